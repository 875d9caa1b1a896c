/* Writes a model's tail in F32, hidden states, and the losses and gradients the training core makes of them, for training-torch.
 * usage: training-dump MODEL.gguf FIRST_BLOCK POSITIONS DIRECTORY */
#include <stdlib.h>
#include <string.h>

#include "models/llama.h"
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

static void
save_block (guint number, const StLlamaBlock * block, gsize hidden)
{
  const struct
  {
    const gchar *name;
    StMatrix matrix;
  } parts[] = {
    {"attn_norm", {ST_TYPE_F32, 1, hidden, block->attn_norm}},
    {"ffn_norm", {ST_TYPE_F32, 1, hidden, block->ffn_norm}},
    {"q", block->q}, {"k", block->k}, {"v", block->v}, {"o", block->o},
    {"gate", block->gate}, {"up", block->up}, {"down", block->down},
  };

  for (gsize i = 0; i < G_N_ELEMENTS (parts); i++) {
    g_autofree gchar *name = g_strdup_printf ("%u.%s", number, parts[i].name);

    save_matrix (name, &parts[i].matrix);
  }
}

static void
save_weights (StModel * model)
{
  const StLlamaWeights *weights = st_model_weights (model);
  const StModelConfig *c = st_model_config (model);
  const StMatrix norm =
      { ST_TYPE_F32, 1, c->hidden_size, weights->output_norm };
  g_autofree gchar *config = g_strdup_printf ("%u %u %u %u %u %u %u %.9g\n",
      weights->n_layers, c->hidden_size, c->ff_size, c->vocab_size, c->n_heads,
      c->n_kv_heads, c->head_dim, (gdouble) c->rms_eps);

  save ("config", config, strlen (config));
  save ("rope", weights->rope_frequency, c->rope_dim / 2 * sizeof (double));
  for (guint i = 0; i < weights->n_layers; i++)
    save_block (i, &weights->blocks[i], c->hidden_size);
  save_matrix ("output_norm", &norm);
  save_matrix ("output", &weights->output);
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

int
main (int argc, char **argv)
{
  StModelOptions options = {.last_block = -1,.output = TRUE,.threads = 1 };
  g_autoptr (GError) error = NULL;
  g_autoptr (StModel) model = NULL;
  g_autofree float *x = NULL;
  gint first, n;

  if (argc != 5 || (first = atoi (argv[2])) < 1 || (n = atoi (argv[3])) < 1) {
    g_printerr ("usage: %s MODEL.gguf FIRST_BLOCK POSITIONS DIRECTORY\n",
        argv[0]);
    return 2;
  }
  directory = argv[4];
  options.first_block = first;
  model = st_model_open (argv[1], &options, &error);
  if (model == NULL)
    g_error ("%s", error->message);
  x = rd_test_states (argv[1], first, (gsize) n);
  save_weights (model);
  save_results (model, x, (gsize) n);
  return 0;
}
