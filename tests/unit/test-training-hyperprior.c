/* Entropy models with networks, whole: where they start, what training does, and what they are called. */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "codec/learned/network-run.h"
#include "codec/training/adamw.h"
#include "codec/training/entropy-models.h"
#include "codec/training/hyperprior.h"
#include "codec/training/static-private.h"
#include "tests/support/learned-tools.h"
#include "models/model.h"
#include "tests/support/random-weights.h"

#define D 48
#define N 80
#define CONSTANTS 2

typedef struct
{
  RdLearnedParameters *start;
  RdTrainable *model;
  RdTrainablePass *pass;
  RdParameters parameters;
  float *x, *y;
  RdTrainableJob job;
} Fixture;

/* Tokens are loud or quiet as a whole, which the static scales do not know. */
static float *
loud_rows (void)
{
  float *x = rd_test_rows (N, D, 5);

  for (gsize t = 0; t < N; t++) {
    for (gsize i = 0; i < D && t % 9 != 0; i++)
      x[t * D + i] *= t % 3 == 0 ? 8 : 0.5f;
  }
  return x;
}

static void
fixture_init (Fixture * f, const gchar * name)
{
  RdLearnedParameters *start =
      rd_test_parameters (D, RD_SIDE_INFO_NONE, CONSTANTS);
  g_autoptr (GError) error = NULL;

  /* nothing but the networks may follow the tokens */
  memset (start->set[0].weights, 0, 2 * D * sizeof (gint32));
  memset (start->set[0].strength, 0, start->n_knots * sizeof (gfloat));
  *f = (Fixture) {
  .start = start,.model = rd_trainable_new_by_name (name, start, 0, 3, &error)};
  g_assert_no_error (error);
  g_assert_cmpstr (f->model->klass->name, ==, name);
  g_assert_cmpuint (f->model->hidden_size, ==, D);
  f->model->klass->parameters (f->model, &f->parameters);
  f->pass = f->model->klass->pass_new (f->model, N, &error);
  g_assert_no_error (error);
  f->x = loud_rows ();
  f->y = g_new (float, N * D);
  f->job = (RdTrainableJob) {
  .n = N,.x = f->x,.level = 60,.frame = 16,.seed = 2,.y = f->y};
}

static void
fixture_clear (Fixture * f)
{
  f->model->klass->pass_free (f->pass);
  f->model->klass->free (f->model);
  rd_parameters_clear (&f->parameters);
  rd_learned_parameters_free (f->start);
  g_free (f->x);
  g_free (f->y);
}

static void
forward (Fixture * f)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (f->model->klass->forward (f->pass, &f->job, &error));
  g_assert_no_error (error);
}

/* Values are the static codec's. So are the bits without latents; with them scales follow the tokens from the start. */
static void
test_start (void)
{
  const gchar *const *names = rd_trainable_names ();

  g_assert_cmpuint (g_strv_length ((gchar **) names), ==, 4);
  for (guint noise = 0; noise < 2; noise++) {
    g_autofree float *y = NULL;
    double bits = 0, rate_bits = 0;

    for (guint i = 0; names[i] != NULL; i++) {
      const gboolean latents = g_str_has_prefix (names[i], "hyper");
      Fixture f;

      fixture_init (&f, names[i]);
      f.job.noise = noise;
      forward (&f);
      if (i == 0) {
        y = g_memdup2 (f.y, N * D * sizeof (float));
        bits = f.job.bits;
        rate_bits = f.job.rate_bits;
      }
      g_test_message ("%s: %.0f bits, %.0f of latents, of the gradient %.0f",
          names[i], f.job.bits, f.job.latent_bits, f.job.rate_bits);
      g_assert_cmpmem (f.y, N * D * sizeof (float), y, N * D * sizeof (float));
      g_assert_true (latents == (f.job.latent_bits > 0));
      g_assert_cmpfloat (f.job.bits, <=, latents ? 0.9 * bits : bits);
      g_assert_cmpfloat (f.job.rate_bits, <=, latents ? 0.9 * rate_bits :
          rate_bits);
      if (!latents)
        g_assert_cmpfloat (f.job.bits, ==, bits);
      fixture_clear (&f);
    }
  }
}

/* Steps of the networks alone down the bits' gradient. */
static void
train (Fixture * f, guint steps)
{
  const RdAdamWOptions options = RD_ADAMW_OPTIONS_DEFAULT;
  const gsize own = ((RdStatic *) f->model)->layout.n;
  g_autofree float *gradient = g_new (float, f->parameters.n);
  g_autofree float *d = g_new (float, N * D);
  g_autoptr (GError) error = NULL;
  g_autoptr (RdAdamW) adamw = rd_adamw_new (f->parameters.n, &options, &error);

  g_assert_no_error (error);
  for (guint i = 0; i < steps; i++) {
    memset (gradient, 0, f->parameters.n * sizeof (float));
    memset (d, 0, N * D * sizeof (float));
    f->job.seed = i;
    forward (f);
    f->model->klass->backward (f->pass, &f->job, 1.0 / N, d, gradient);
    memset (gradient, 0, own * sizeof (float));
    rd_adamw_step (adamw, &f->parameters, gradient, 1, 6e-3, NULL, &error);
    g_assert_no_error (error);
    f->model->klass->stepped (f->model);
  }
  forward (f);
  for (guint i = 0; i < rd_parameters_count (&f->parameters); i++) {
    const RdParameter *p = rd_parameters_get (&f->parameters, i);

    for (gsize k = 0; k < p->n; k++)
      if (!(fabsf (p->values[k]) < 1e3f))
        g_error ("%s %" G_GSIZE_FORMAT " became %g", p->name, k,
            (double) p->values[k]);
  }
}

/* They find what the tokens have in common. */
static void
test_training (gconstpointer data)
{
  double without, before;
  Fixture f;

  fixture_init (&f, RD_STATIC_NAME);
  f.job.noise = GPOINTER_TO_UINT (data) & 1;
  forward (&f);
  without = f.job.bits;
  fixture_clear (&f);
  fixture_init (&f, rd_hyperprior_name (GPOINTER_TO_UINT (data) >> 1));
  f.job.noise = GPOINTER_TO_UINT (data) & 1;
  forward (&f);
  before = f.job.bits;
  train (&f, 50);
  g_test_message ("%s: from %.0f bits to %.0f, %.0f without networks, %u rows",
      f.model->klass->name, before, f.job.bits, without, N);
  g_assert_cmpfloat (f.job.bits, <, before);
  g_assert_cmpfloat (f.job.bits, <, 0.9 * without);
  fixture_clear (&f);
}

/* Where tokens have nothing in common, latents become the same for all, and cost less and less. */
static void
test_useless (gconstpointer data)
{
  double before;
  Fixture f;

  fixture_init (&f, rd_hyperprior_name (GPOINTER_TO_UINT (data)));
  g_free (f.x);
  f.x = rd_test_rows (N, D, 5);
  f.job.x = f.x;
  forward (&f);
  before = f.job.latent_bits;
  train (&f, 400);
  g_test_message ("%s: latents from %.1f bits to %.1f, %u rows",
      f.model->klass->name, before, f.job.latent_bits, N);
  g_assert_cmpfloat (f.job.latent_bits, <, 0.3 * before);
  fixture_clear (&f);
}

/* ---- whole numbers ---- */

/* Bits of the rows' payload under @p, and the decoded rows. */
static double
code (RdLearnedParameters * p, const RdTrainableJob * job, guint complexity,
    float *y)
{
  const RdSettings settings = {.quality =
        job->level * 100.0 / (RD_LEARNED_LEVELS - 1),.complexity = complexity
  };
  const RdRows rows = {.n = job->n };

  return rd_test_payload_bits (p, &rows, job->x, &settings, y);
}

/* Payloads of the job's frames, and 14 bytes around each. */
static double
wire (RdLearnedParameters * p, const RdTrainableJob * job)
{
  double bits = 0;

  for (gsize at = 0; at < job->n; at += job->frame) {
    RdTrainableJob frame = *job;

    frame.n = MIN (job->frame, job->n - at);
    frame.x = job->x + at * D;
    bits += 14 * 8 + code (p, &frame, RD_LEARNED_SCALAR_COMPLEXITY, NULL);
  }
  return bits;
}

/* Octaves between the networks' shifts and those in whole numbers, the root of the mean square. */
static double
shift_error (const RdLearnedNetworks * networks, const RdStaticPass * pass,
    guint level)
{
  RdPackedNetworks *packed = rd_packed_networks_new (networks);
  RdNetworkRun *run = rd_network_run_new (packed, D);
  RdContext context = {.n = 64,.hidden_size = D,.scalar = TRUE,.base =
        pass->base_scale
  };
  gint32 symbols[64 * D];
  double sum = 0;

  for (gsize t = 0; t < 64; t++) {
    context.offset[t] = 32 * pass->token_step[t];
    for (gsize j = 0; j < D; j++)
      symbols[j * 64 + t] = (gint32) pass->symbol[t * D + j];
  }
  rd_network_run_start (run, &context, level, NULL);
  for (gsize j = 0; j < D; j++) {
    rd_network_run_next (run, &context, symbols, j);
    for (gsize t = 0; t < 64; t++) {
      const double error = (double) run->shift[j * 64 + t] / 256
          - (double) pass->shift[t * D + j];

      sum += error * error;
    }
  }
  rd_network_run_free (run);
  rd_packed_networks_free (packed);
  return sqrt (sum / (64 * D));
}

/* What was trained is what files code with: the expected bits, and values to the bit; and the trellis profits, too. */
static void
test_export (gconstpointer data)
{
  const gchar *name = rd_hyperprior_name (GPOINTER_TO_UINT (data));
  g_autofree float *decoded = g_new (float, N * D);
  g_autoptr (RdLearnedParameters) plain = NULL;
  g_autoptr (RdLearnedParameters) out = NULL;
  g_autoptr (GError) error = NULL;
  double bits, without, error_octaves = 0;
  Fixture f;

  fixture_init (&f, name);
  f.job.frame = 64;
  train (&f, 50);
  out = rd_learned_parameters_copy (f.start);
  rd_trainable_export (f.model, &f.job, out, &error);
  g_assert_no_error (error);
  forward (&f);
  g_assert_cmpstr (out->networks->entropy, ==, name);
  if (GPOINTER_TO_UINT (data) == RD_HYPERPRIOR_AUTOREGRESSIVE)
    error_octaves = shift_error (out->networks, (RdStaticPass *) f.pass,
        (guint) f.job.level);
  bits = code (out, &f.job, RD_LEARNED_SCALAR_COMPLEXITY, decoded);
  plain = rd_learned_parameters_copy (out);
  g_clear_pointer (&plain->networks, rd_learned_networks_free);
  without = code (plain, &f.job, RD_LEARNED_SCALAR_COMPLEXITY, decoded);
  g_test_message ("%s: %.0f bits, %.0f expected, %.0f without networks, whole "
      "numbers off by %.4f octaves; on the wire %.0f, %.0f expected", name,
      bits, f.job.bits, without, error_octaves, wire (out, &f.job),
      f.job.wire_bits);
  st_test_near (bits, f.job.bits, 0.01 * f.job.bits);
  st_test_near (wire (out, &f.job), f.job.wire_bits, 0.01 * f.job.wire_bits);
  g_assert_cmpfloat (bits, <, 0.9 * without);
  g_assert_cmpfloat (error_octaves, <, 0.03);
  for (guint complexity = 2; complexity < 6; complexity += 3) {
    bits = code (out, &f.job, complexity, decoded);
    without = code (plain, &f.job, complexity, f.y);
    g_assert_cmpfloat (bits, <, 0.9 * without);
    g_assert_cmpmem (decoded, N * D * sizeof (float), f.y,
        N * D * sizeof (float));
  }
  fixture_clear (&f);
}

/* Weights that no whole numbers stand for, and rows that are none. */
static void
test_export_refusals (void)
{
  g_autoptr (GError) error = NULL;
  Fixture f;

  fixture_init (&f, "autoregressive");
  const RdParameter *p = rd_parameters_get (&f.parameters,
      f.parameters.list->len - 3);
  g_assert_cmpstr (p->name, ==, "groups.14.out.weight");
  p->values[0] = 1e9f;
  g_assert_false (rd_trainable_export (f.model, &f.job, f.start, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
  g_clear_error (&error);
  f.x[7] = NAN;
  g_assert_false (rd_trainable_export (f.model, &f.job, f.start, &error));
  g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT);
  fixture_clear (&f);
}

/* Of the last layer's biases: what every token of the scales' derivatives adds up to, whatever RAW rows hold. */
static void
test_gradient (void)
{
  for (guint kind = 0; kind < RD_N_HYPERPRIORS; kind++) {
    const gchar *name = kind == RD_HYPERPRIOR_AUTOREGRESSIVE ?
        "groups.14.out.bias" : "synthesis.3.bias";
    g_autofree float *gradient = NULL, *d = g_new0 (float, N * D);
    const RdParameter *bias = NULL;
    Fixture f;

    fixture_init (&f, rd_hyperprior_name (kind));
    for (gsize i = 0; i < D; i++)
      f.x[20 * D + i] = 1e30f;
    gradient = g_new0 (float, f.parameters.n);
    forward (&f);
    f.model->klass->backward (f.pass, &f.job, 0.25, d, gradient);
    for (guint i = 0; i < f.parameters.list->len; i++) {
      if (g_str_equal (rd_parameters_get (&f.parameters, i)->name, name))
        bias = rd_parameters_get (&f.parameters, i);
    }
    g_assert_nonnull (bias);
    const RdStaticPass *pass = (const RdStaticPass *) f.pass;
    g_assert_cmpint (pass->mode[20], ==, 1 + CONSTANTS);
    for (gsize j = 0; j < 3; j++) {
      const gsize at = kind == RD_HYPERPRIOR_AUTOREGRESSIVE ? D - 3 + j : j;
      double sum = 0;

      for (gsize t = 0; t < N; t++)
        sum += 0.25 * (double) pass->d_scale[t * D + at];
      st_test_near (gradient[bias->offset + j], sum, 1e-5 * (1 + fabs (sum)));
    }
    for (gsize i = 0; i < D; i++)
      g_assert_cmpfloat (d[20 * D + i], ==, 0);
    fixture_clear (&f);
  }
}

/* Forward and backward give the same bits in a new pass, and after the pass has done something else. */
static void
test_again (void)
{
  for (guint kind = 0; kind < RD_N_HYPERPRIORS; kind++) {
    g_autofree float *first = NULL, *d_first = NULL;
    double bits = 0;
    Fixture f;

    fixture_init (&f, rd_hyperprior_name (kind));
    for (guint i = 0; i < 3; i++) {
      g_autofree float *gradient = g_new0 (float, f.parameters.n);
      g_autofree float *d = st_test_floats (N * D);

      for (gsize k = 0; k < N * D; k++)
        d[k] = sinf ((float) k);
      f.job.frame = i == 1 ? 1 : 16;
      forward (&f);
      f.model->klass->backward (f.pass, &f.job, 0.1, d, gradient);
      if (i == 0) {
        first = g_steal_pointer (&gradient);
        d_first = g_steal_pointer (&d);
        bits = f.job.rate_bits;
      } else if (i == 2) {
        g_assert_cmpmem (gradient, f.parameters.n * sizeof (float), first,
            f.parameters.n * sizeof (float));
        g_assert_cmpmem (d, N * D * sizeof (float), d_first,
            N * D * sizeof (float));
        g_assert_cmpfloat (f.job.rate_bits, ==, bits);
      }
    }
    fixture_clear (&f);
  }
}

static void
test_refusals (void)
{
  g_autoptr (RdLearnedParameters) start =
      rd_test_parameters (D, RD_SIDE_INFO_NONE, 0);
  g_autoptr (GError) error = NULL;

  g_assert_null (rd_trainable_new_by_name ("hyper", start, 0, 1, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS);
  g_assert_nonnull (strstr (error->message, "static, hyperprior-factorized, "
          "hyperprior-fourier, autoregressive"));
  g_clear_error (&error);
  for (guint i = 0; rd_trainable_names ()[i] != NULL; i++) {
    g_assert_null (rd_trainable_new_by_name (rd_trainable_names ()[i], start,
            1, 1, &error));
    g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
    g_clear_error (&error);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training/hyperprior/start", test_start);
  g_test_add_data_func ("/training/hyperprior/training/factorized",
      GUINT_TO_POINTER (0), test_training);
  g_test_add_data_func ("/training/hyperprior/training/factorized-noise",
      GUINT_TO_POINTER (1), test_training);
  g_test_add_data_func ("/training/hyperprior/training/fourier",
      GUINT_TO_POINTER (2), test_training);
  g_test_add_data_func ("/training/hyperprior/training/autoregressive",
      GUINT_TO_POINTER (4), test_training);
  g_test_add_data_func ("/training/hyperprior/useless/factorized",
      GUINT_TO_POINTER (RD_HYPERPRIOR_FACTORIZED), test_useless);
  g_test_add_data_func ("/training/hyperprior/useless/fourier",
      GUINT_TO_POINTER (RD_HYPERPRIOR_FOURIER), test_useless);
  g_test_add_data_func ("/training/hyperprior/export/factorized",
      GUINT_TO_POINTER (RD_HYPERPRIOR_FACTORIZED), test_export);
  g_test_add_data_func ("/training/hyperprior/export/fourier",
      GUINT_TO_POINTER (RD_HYPERPRIOR_FOURIER), test_export);
  g_test_add_data_func ("/training/hyperprior/export/autoregressive",
      GUINT_TO_POINTER (RD_HYPERPRIOR_AUTOREGRESSIVE), test_export);
  g_test_add_func ("/training/hyperprior/export-refusals",
      test_export_refusals);
  g_test_add_func ("/training/hyperprior/gradient", test_gradient);
  g_test_add_func ("/training/hyperprior/again", test_again);
  g_test_add_func ("/training/hyperprior/refusals", test_refusals);
  return g_test_run ();
}
