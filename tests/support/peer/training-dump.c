/* Writes a model's tail in F32, hidden states, and the losses and gradients the training core makes of them, for training-torch. From block
 * 0 on: two training steps of the whole model.
 * usage: training-dump MODEL.gguf FIRST_BLOCK POSITIONS DIRECTORY */
#include <stdlib.h>
#include <string.h>

#include "codec/training/adamw.h"
#include "codec/training/language.h"
#include "models/blocks.h"
#include "tests/support/training-tools.h"

static const gchar *directory;

static void
save (const gchar * name, gconstpointer data, gsize bytes)
{
  g_autofree gchar *path = g_build_filename (directory, name, NULL);
  g_autoptr (GError) error = NULL;

  if (!g_file_set_contents (path, data, (gssize) bytes, &error))
    g_error ("%s", error->message);
}

static void
save_matrix (const gchar * name, const StMatrix * matrix)
{
  g_autofree float *values = g_new (float, matrix->rows * matrix->cols);

  for (gsize row = 0; row < matrix->rows; row++)
    st_get_row (matrix, row, values + row * matrix->cols);
  save (name, values, matrix->rows * matrix->cols * sizeof (float));
}

/* Nothing if there is no @vector. */
static void
save_vector (const gchar * prefix, const gchar * name, const float *vector,
    gsize n)
{
  g_autofree gchar *full = g_strconcat (prefix, name, NULL);

  if (vector != NULL)
    save (full, vector, n * sizeof (float));
}

static void
save_norm (const gchar * prefix, const StNorm * norm, gsize hidden)
{
  save_vector (prefix, ".weight", norm->weight, hidden);
  save_vector (prefix, ".bias", norm->bias, hidden);
}

static void
save_block (guint number, const StBlock * block, gsize hidden)
{
  g_autofree gchar *attn_norm = g_strdup_printf ("blk.%u.attn_norm", number);
  g_autofree gchar *ffn_norm = g_strdup_printf ("blk.%u.ffn_norm", number);

  save_norm (attn_norm, &block->attn_norm, hidden);
  save_norm (ffn_norm, &block->ffn_norm, hidden);
  for (guint m = 0; m < ST_BLOCK_MATRICES; m++) {
    g_autofree gchar *name =
        g_strdup_printf ("blk.%u.%s", number, st_block_matrix_name (m));
    g_autofree gchar *weight = g_strconcat (name, ".weight", NULL);

    if (block->matrices[m].rows > 0)
      save_matrix (weight, &block->matrices[m]);
    save_vector (name, ".bias", block->biases[m], block->matrices[m].rows);
  }
}

static void
save_weights (StModel * model)
{
  const StWeights *weights = st_model_weights (model);
  const StModelConfig *c = st_model_config (model);
  g_autofree gchar *config = g_strdup_printf ("%u %u %u %u %u %u %u %.9g\n",
      weights->n_layers, c->hidden_size, c->ff_size, c->vocab_size, c->n_heads,
      c->n_kv_heads, c->head_dim, (gdouble) c->norm_eps);

  save ("config", config, strlen (config));
  save ("rope", weights->rope_frequency, c->rope_dim / 2 * sizeof (double));
  for (guint i = 0; i < weights->n_layers; i++)
    save_block (i, &weights->blocks[i], c->hidden_size);
  save_norm ("output_norm", &weights->output_norm, c->hidden_size);
  save_matrix ("output.weight", &weights->output);
  if (weights->positions.data != NULL)
    save_matrix ("position_embd.weight", &weights->positions);
}

/* All three losses of the same hidden states; the teacher's are those of the position before. */
static void
save_results (StModel * model, const float *x, gsize n)
{
  const gsize hidden = st_model_config (model)->hidden_size;
  const gsize bytes = n * hidden * sizeof (float);
  g_autoptr (RdTail) tail = rd_test_tail (model, n, 1, FALSE);
  g_autofree float *teacher = g_malloc0 (bytes);
  g_autofree float *y = g_malloc (bytes);
  g_autofree float *gradient = g_malloc (bytes);
  g_autofree gint32 *sampled = g_new (gint32, n);
  g_autofree gint32 *labels = g_new (gint32, n);

  for (gsize i = 0; i < n; i++)
    labels[i] = (gint32) (i * 7919u % st_model_config (model)->vocab_size);
  for (guint loss = RD_LOSS_SAMPLED; loss <= RD_LOSS_TEACHER; loss++) {
    RdTailJob job = {.n = n,.x = x,.loss = (RdLoss) loss,.seed = 1,.labels =
          labels,.teacher = teacher,.sampled = sampled,.y = y,.gradient =
          gradient
    };
    g_autofree gchar *name = g_strdup_printf ("gradient%u", loss);
    g_autofree gchar *total = g_strdup_printf ("total%u", loss);

    rd_test_run (tail, &job, 1);
    save (name, gradient, bytes);
    save (total, &job.total, sizeof (job.total));
    for (gsize i = hidden; i < n * hidden; i++)
      teacher[i] = y[i - hidden];
  }
  save ("x", x, bytes);
  save ("y", y, bytes);
  save ("teacher", teacher, bytes);
  save ("labels0", sampled, n * sizeof (gint32));
  save ("labels1", labels, n * sizeof (gint32));
}

/* Numbers of the training, which training-torch knows, too. */
#define RANK 3
#define ALPHA 6.0f
#define GATE 0.8f
#define RATE 1e-3
#define N_STEPS 2
#define N_JOBS 2

static void
save_parameters (const RdParameters * parameters, const gchar * prefix)
{
  for (guint i = 0; i < rd_parameters_count (parameters); i++) {
    const RdParameter *p = rd_parameters_get (parameters, i);
    g_autofree gchar *name = g_strconcat (prefix, p->name, NULL);

    save (name, p->values, p->n * sizeof (float));
  }
}

static void
save_gradient (const RdParameters * parameters, guint step,
    const float *gradient)
{
  for (guint i = 0; i < rd_parameters_count (parameters); i++) {
    const RdParameter *p = rd_parameters_get (parameters, i);
    g_autofree gchar *name = g_strdup_printf ("gradient%u.%s", step, p->name);

    save (name, gradient + p->offset, p->n * sizeof (float));
  }
}

/* The first job has labels, the second, which is shorter, a mixed loss. */
static void
train (RdLanguage * language, guint step, const gint32 * ids, gsize n,
    const float *teacher, RdAdamW * adamw)
{
  const RdParameters *parameters = rd_language_parameters (language);
  g_autofree float *gradient = g_new0 (float, parameters->n);
  g_autofree gchar *name = g_strdup_printf ("total%u", step);
  g_autoptr (GError) error = NULL;
  RdLanguageJob jobs[N_JOBS] = {
    {.ids = ids,.gate = GATE,.target = {.n = n,.loss = RD_LOSS_LABELS,.labels =
                ids + 1}},
    {.ids = ids + 1,.gate = GATE,.target = {.n = n / 2,.loss =
                RD_LOSS_MIXED,.labels = ids + 2,.teacher =
                teacher,.label_weight = 0.3f,.teacher_weight = 0.7f}},
  };
  const gsize tokens = n + n / 2;
  gdouble numbers[2];

  if (!rd_language_run (language, jobs, N_JOBS, gradient, NULL, &error))
    g_error ("%s", error->message);
  save_gradient (parameters, step, gradient);
  if (!rd_adamw_step (adamw, parameters, gradient, 1.0 / (double) tokens,
          RATE, &numbers[1], &error))
    g_error ("%s", error->message);
  numbers[0] = jobs[0].target.total + jobs[1].target.total;
  save (name, numbers, sizeof (numbers));
}

/* Adapters and weights at once. */
static void
save_training (StModel * model, gsize n)
{
  const StModelConfig *config = st_model_config (model);
  const gsize size = n * config->hidden_size;
  const RdAdamWOptions adamw_options = { 0.9, 0.95, 1e-8, 0.1, 0.5 };
  g_autofree guint8 *sets = g_malloc (config->n_blocks);
  const RdAdaptersOptions adapters_options = { RANK, ALPHA, 1, sets };
  g_autoptr (RdWeights) weights = rd_weights_new (model, n, NULL);
  g_autoptr (RdAdapters) adapters = NULL;
  g_autoptr (RdLanguage) language = NULL;
  g_autoptr (RdAdamW) adamw = NULL;
  g_autofree gint32 *ids = g_new (gint32, n + 1);
  g_autofree float *teacher = g_new (float, size);
  RdLanguageOptions options = {.weights = weights,.train_weights =
        TRUE,.threads = 1
  };

  memset (sets, RD_ADAPTERS_ALL, config->n_blocks);
  adapters = rd_adapters_new (config, &adapters_options, NULL);
  options.adapters = adapters;
  language = rd_language_new (&options, NULL);
  adamw = rd_adamw_new (rd_language_parameters (language)->n, &adamw_options,
      NULL);
  for (gsize i = 0; i <= n; i++)
    ids[i] = (gint32) (i * 7919u % config->vocab_size);
  for (gsize i = 0; i < size; i++)
    teacher[i] = (float) (i * 31u % 101) / 50.0f - 1.0f;
  save ("ids", ids, (n + 1) * sizeof (gint32));
  save ("teacher", teacher, size * sizeof (float));
  save_parameters (rd_language_parameters (language), "before.");
  for (guint step = 0; step < N_STEPS; step++)
    train (language, step, ids, n, teacher, adamw);
  save_parameters (rd_language_parameters (language), "after.");
}

int
main (int argc, char **argv)
{
  StModelOptions options = {.last_block = -1,.output = TRUE,.threads = 1 };
  g_autoptr (GError) error = NULL;
  g_autoptr (StModel) model = NULL;
  g_autofree float *x = NULL;
  gint first, n;

  if (argc != 5 || (first = atoi (argv[2])) < 0 || (n = atoi (argv[3])) < 1) {
    g_printerr ("usage: %s MODEL.gguf FIRST_BLOCK POSITIONS DIRECTORY\n",
        argv[0]);
    return 2;
  }
  directory = argv[4];
  options.first_block = first;
  options.embed = first == 0;
  model = st_model_open (argv[1], &options, &error);
  if (model == NULL)
    g_error ("%s", error->message);
  save_weights (model);
  if (first == 0) {
    save_training (model, (gsize) n);
    return 0;
  }
  x = rd_test_states (argv[1], first, (gsize) n);
  save_results (model, x, (gsize) n);
  return 0;
}
