/* What networks are worth to a codec file as it is: trains each entropy model's networks on hidden states of some text, everything else of the file fixed, and
 * prints the bits a token of other text at two qualities, beside the file's own: the trainer's estimate, latents' share of it in brackets, that of other frames, and
 * the real bytes of 64-token payloads by both quantisers, before and after tables and contexts were fitted anew.
 *
 * usage: bench-entropy-models MODEL CODEC TEXT OTHER-TEXT STEPS [NAME...]      one thread; a step is a sequence of 512 tokens
 * NAME: an entropy model; "bias": the autoregressive one, of which nothing but the last layers' biases is trained. */
#include <glib/gstdio.h>
#include <string.h>
#include <time.h>

#include "codec/training/adamw.h"
#include "codec/training/corpus.h"
#include "codec/learned/learned.h"
#include "codec/training/entropy-models.h"
#include "codec/training/refit.h"
#include "codec/training/states.h"
#include "models/kernels/openblas.h"

#define LENGTH 512
#define FRAME 64
#define SEQUENCES 40
#define OTHER_SEQUENCES 8
#define SEED 1
#define RATE 2e-3
#define WARMUP 20

/* Qualities 32 and 50. */
static const guint levels[] = { 41, 64 };

typedef struct
{
  RdLearnedParameters *codec;
  float *x, *other;             /* (sequences, LENGTH, D) */
  guint64 steps;
} Bench;

static double
cpu_seconds (void)
{
  return (double) clock () / CLOCKS_PER_SEC;
}

static float *
read_states (RdStates * states, const gchar * text, gsize n, GError ** error)
{
  StModel *model = rd_states_model (states);
  const gsize row = LENGTH * st_model_config (model)->hidden_size;
  const gchar *const paths[] = { text, NULL };
  g_autoptr (RdCorpus) corpus =
      rd_corpus_new (st_model_tokenizer (model), paths, error);
  g_autofree float *x = g_new (float, n * row);
  gint32 ids[LENGTH];

  for (gsize i = 0; i < n; i++) {
    if (corpus == NULL || !rd_corpus_sequence (corpus, SEED, i, LENGTH, ids,
            NULL, error)
        || !rd_states_run (states, ids, LENGTH, x + i * row, NULL, NULL, error))
      return NULL;
  }
  return g_steal_pointer (&x);
}

static gboolean
is_trained (const gchar * name, gboolean bias)
{
  return !g_str_has_prefix (name, "static.")
      && (!bias || g_str_has_suffix (name, ".out.bias")
      || g_str_has_suffix (name, ".out.slope"));
}

static void
keep_fixed (const RdParameters * parameters, gboolean bias, float *gradient)
{
  for (guint i = 0; i < rd_parameters_count (parameters); i++) {
    const RdParameter *p = rd_parameters_get (parameters, i);

    if (!is_trained (p->name, bias))
      memset (gradient + p->offset, 0, p->n * sizeof (float));
  }
}

static gboolean
has_latents (const gchar * name)
{
  return g_str_has_prefix (name, "hyperprior-");
}

static RdTrainableJob
job_of (const Bench * b, const float *x, gsize sequence, guint level, float *y)
{
  return (RdTrainableJob) {
  .n = LENGTH,.x =
        x + sequence * LENGTH * b->codec->hidden_size,.level =
        (float) level,.frame = FRAME,.seed = sequence,.y = y};
}

/* Of the other text in frames of @frame tokens. */
static void
print_bits (const Bench * b, RdTrainablePass * pass, gsize frame, float *y)
{
  const double tokens = OTHER_SEQUENCES * LENGTH;

  for (guint l = 0; l < G_N_ELEMENTS (levels); l++) {
    double bits = 0, latents = 0;

    for (gsize i = 0; i < OTHER_SEQUENCES; i++) {
      RdTrainableJob job = job_of (b, b->other, i, levels[l], y);

      job.frame = frame;
      if (!pass->trainable->klass->forward (pass, &job, NULL))
        g_error ("states are not finite");
      bits += job.bits / tokens;
      latents += job.latent_bits / tokens;
    }
    g_print (" %8.2f (%5.2f)", bits, latents);
  }
}

static gboolean
train (const Bench * b, RdTrainable * model, RdTrainablePass * pass,
    gboolean bias, float *y, GError ** error)
{
  const RdAdamWOptions options = RD_ADAMW_OPTIONS_DEFAULT;
  const RdSchedule schedule = { RATE, RATE / 20, WARMUP, b->steps };
  RdParameters parameters = { 0 };

  model->klass->parameters (model, &parameters);
  g_autofree float *gradient = g_new (float, parameters.n);
  g_autofree float *d = g_new (float, LENGTH * model->hidden_size);
  g_autoptr (RdAdamW) adamw = rd_adamw_new (parameters.n, &options, error);
  gboolean good = adamw != NULL;
  double window = 0;

  for (guint64 i = 0; i < b->steps && good; i++) {
    RdTrainableJob job = job_of (b, b->x, i / 2 % SEQUENCES, levels[i % 2], y);

    job.seed = i;
    memset (gradient, 0, parameters.n * sizeof (float));
    memset (d, 0, LENGTH * model->hidden_size * sizeof (float));
    good = model->klass->forward (pass, &job, error);
    if (!good)
      break;
    model->klass->backward (pass, &job, 1, d, gradient);
    keep_fixed (&parameters, bias, gradient);
    good = rd_adamw_step (adamw, &parameters, gradient, 1.0 / LENGTH,
        rd_schedule_rate (&schedule, i), NULL, error);
    model->klass->stepped (model);
    window += job.bits / LENGTH;
    if (i % 80 == 79) {
      g_print ("# step %" G_GUINT64_FORMAT ": %.1f\n", i + 1, window / 80);
      window = 0;
    }
  }
  rd_parameters_clear (&parameters);
  return good;
}

/* ---- files ---- */

/* Bits a token of the other text's payloads. */
static double
coded_bits (const Bench * b, RdLearnedParameters * p, guint level,
    guint complexity, GError ** error)
{
  g_autofree gchar *path = NULL;
  const gint fd = g_file_open_tmp ("codec-XXXXXX.gguf", &path, error);
  const RdSettings settings = {.quality =
        level * 100.0 / (RD_LEARNED_LEVELS - 1),.complexity = complexity
  };
  const RdRows rows = {.n = FRAME };
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (RdCodec) codec = NULL;
  gboolean packed;

  if (fd < 0)
    return -1;
  g_close (fd, NULL);
  if (rd_learned_parameters_save (p, path, error))
    codec = rd_codec_new (path, 0, error);
  g_unlink (path);
  if (codec == NULL)
    return -1;
  rd_codec_set (codec, &settings);
  for (gsize t = 0; t < OTHER_SEQUENCES * LENGTH; t += FRAME) {
    if (!rd_codec_encode (codec, &rows, b->other + t * p->hidden_size, FALSE,
            out, &packed, error))
      return -1;
  }
  return 8.0 * out->len / (OTHER_SEQUENCES * LENGTH);
}

static gboolean
print_coded (const Bench * b, RdLearnedParameters * p, const gchar * what,
    GError ** error)
{
  for (guint complexity = 2; complexity <= 5; complexity += 3) {
    g_print ("  %-20s %-9s", what, complexity > 2 ? "trellis" : "scalar");
    for (guint i = 0; i < G_N_ELEMENTS (levels); i++) {
      const double bits = coded_bits (b, p, levels[i], complexity, error);

      if (bits < 0)
        return FALSE;
      g_print (" %8.2f        ", bits);
    }
    g_print ("\n");
  }
  return TRUE;
}

static gboolean
give_states (gsize index, guint level, float *x, float *features,
    gpointer user_data, GError ** error)
{
  const Bench *b = user_data;
  const gsize row = LENGTH * b->codec->hidden_size;

  (void) level;
  (void) features;
  (void) error;
  memcpy (x, b->x + index * row, row * sizeof (float));
  return TRUE;
}

static gboolean
refit (const Bench * b, RdLearnedParameters * p, GError ** error)
{
  const RdRefitData data = {.sequences = SEQUENCES,.length = LENGTH,.states =
        give_states,.user_data = (gpointer) b,.threads = 1
  };

  return rd_refit (&data, p, error) && print_coded (b, p, "fitted anew", error);
}

static gboolean
try_file (const Bench * b, RdTrainable * model, const gchar * name,
    GError ** error)
{
  const RdTrainableJob job = job_of (b, b->x, 0, 0, NULL);
  g_autoptr (RdLearnedParameters) p = NULL;

  if (g_str_equal (name, "bias"))
    return TRUE;
  p = rd_learned_parameters_copy (b->codec);
  return rd_trainable_export (model, &job, p, error)
      && print_coded (b, p, "file", error) && refit (b, p, error);
}

static gboolean
try_model (const Bench * b, const gchar * name, gboolean contexts,
    GError ** error)
{
  const gboolean bias = g_str_equal (name, "bias");
  g_autoptr (RdLearnedParameters) start = rd_learned_parameters_copy (b->codec);
  const double began = cpu_seconds ();
  g_autofree float *y = NULL;
  RdTrainablePass *pass = NULL;
  RdTrainable *model;
  gboolean good;

  if (!contexts)
    memset (start->set[0].weights, 0, 2 * start->hidden_size * sizeof (gint32));
  model = rd_trainable_new_by_name (bias ? "autoregressive" : name, start, 0,
      SEED, error);
  if (model == NULL)
    return FALSE;
  y = g_new (float, LENGTH * model->hidden_size);
  pass = model->klass->pass_new (model, LENGTH, error);
  good = pass != NULL && (g_str_equal (name, "static")
      || train (b, model, pass, bias, y, error));
  if (good) {
    g_print ("%-22s %-9s", name, contexts ? "contexts" : "none");
    print_bits (b, pass, FRAME, y);
    g_print ("   %.0f s\n", cpu_seconds () - began);
    for (gsize frame = 8; frame > 0 && has_latents (name); frame /= 8) {
      g_print ("  frames of %-20" G_GSIZE_FORMAT, frame);
      print_bits (b, pass, frame, y);
      g_print ("\n");
    }
    good = (!contexts && !has_latents (name))
        || try_file (b, model, name, error);
  }
  if (pass != NULL)
    model->klass->pass_free (pass);
  model->klass->free (model);
  return good;
}

static gboolean
run (Bench * b, gchar ** argv, gint argc, GError ** error)
{
  RdStatesOptions options = {.max_tokens = LENGTH,.threads = 1 };
  g_autoptr (RdStates) states = NULL;

  b->codec = rd_learned_parameters_load (argv[2], error);
  if (b->codec == NULL)
    return FALSE;
  options.split_layer = b->codec->split_layer;
  states = rd_states_new (argv[1], &options, error);
  if (states == NULL)
    return FALSE;
  b->x = read_states (states, argv[3], SEQUENCES, error);
  if (b->x == NULL)
    return FALSE;
  b->other = read_states (states, argv[4], OTHER_SEQUENCES, error);
  if (b->other == NULL)
    return FALSE;
  b->steps = g_ascii_strtoull (argv[5], NULL, 10);
  g_print ("# %.0f s for states\n", cpu_seconds ());
  g_print ("%-22s %-9s %8s %16s\n", "networks", "contexts", "q 32", "q 50");
  for (guint contexts = 0; contexts < 2; contexts++) {
    if (!try_model (b, "static", contexts, error))
      return FALSE;
  }
  for (gint i = 6; i < argc; i++) {
    /* hyper-priors train without */
    for (guint contexts = 0; contexts < (has_latents (argv[i]) ? 1 : 2);
        contexts++) {
      if (!try_model (b, argv[i], contexts, error))
        return FALSE;
    }
  }
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  Bench bench = { 0 };

  st_openblas_restart (argv);
  if (argc < 6) {
    g_printerr ("usage: bench-entropy-models MODEL CODEC TEXT OTHER-TEXT STEPS "
        "[NAME...]\n");
    return 2;
  }
  if (!run (&bench, argv, argc, &error))
    g_printerr ("bench-entropy-models: %s\n", error->message);
  rd_learned_parameters_free (bench.codec);
  g_free (bench.x);
  g_free (bench.other);
  return error == NULL ? 0 : 1;
}
