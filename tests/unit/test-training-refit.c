/* Scales and tables of a codec that are fitted to hidden states anew. */
#include <math.h>
#include <string.h>


#include "codec/training/fit-entropy.h"
#include "codec/training/refit.h"
#include "models/model.h"
#include "tests/support/learned-tools.h"
#include "tests/support/random-weights.h"

#define D 24u
#define LENGTH 72u
#define SEQUENCES 10u
/* log2 of rd_test_rows()' standard deviation, 3 sqrt (2), 1/256 octave */
#define SCALE 533.7

typedef struct
{
  gint calls, fails;            /* the last one that fails, 0: none */
} Source;

static gboolean
states (gsize index, guint level, float *x, float *features,
    gpointer user_data, GError ** error)
{
  Source *source = user_data;
  g_autofree float *rows = rd_test_rows (LENGTH, D, (guint32) index);

  g_assert_cmpuint (index, ==, source->calls);
  g_assert_cmpuint (level, ==, rd_entropy_level (index));
  if (++source->calls == source->fails) {
    g_set_error_literal (error, G_FILE_ERROR, G_FILE_ERROR_IO, "no states");
    return FALSE;
  }
  memcpy (x, rows, LENGTH * D * sizeof (float));
  for (gsize i = 0; features != NULL && i < LENGTH * D; i++) {
    features[i] = (float) (i % 5);
    x[i] += features[i];
  }
  return TRUE;
}

static double
coded (RdLearnedParameters * p, guint complexity)
{
  g_autofree float *x = rd_test_rows (LENGTH, D, 99);
  const RdSettings settings = {.quality = 50,.complexity = complexity };
  const RdRows rows = {.n = LENGTH };

  return rd_test_payload_bits (p, &rows, x, &settings, NULL);
}

static void
test_refit (void)
{
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (D, RD_SIDE_INFO_EMBEDDING, 1);
  g_autoptr (RdLearnedParameters) other = NULL;
  g_autoptr (GError) error = NULL;
  Source source = { 0, 0 };
  RdRefitData data = { SEQUENCES, LENGTH, states, &source, 1, NULL };
  double before[2], after[2];

  for (guint i = 0; i < 2; i++)
    before[i] = coded (p, i ? RD_COMPLEXITY_DEFAULT : 0);
  other = rd_learned_parameters_copy (p);
  rd_refit (&data, p, &error);
  g_assert_no_error (error);
  g_assert_cmpint (source.calls, ==, SEQUENCES);
  for (guint i = 0; i < 2; i++) {
    after[i] = coded (p, i ? RD_COMPLEXITY_DEFAULT : 0);
    g_test_message ("%.0f bits, before %.0f", after[i], before[i]);
    g_assert_cmpfloat (after[i], <, before[i]);
  }
  /* the features explain what they add */
  for (guint j = 0; j < D; j++)
    st_test_near (p->set[1].scale[j], SCALE, 40);
  /* any number of threads */
  source.calls = 0;
  data.threads = 3;
  g_assert_true (rd_refit (&data, other, &error));
  for (guint s = 0; s < RD_LEARNED_SETS; s++) {
    g_assert_cmpmem (p->set[s].scale, D * sizeof (gint32),
        other->set[s].scale, D * sizeof (gint32));
    g_assert_cmpmem (p->set[s].weights, 2 * D * sizeof (gint32),
        other->set[s].weights, 2 * D * sizeof (gint32));
  }
  g_assert_cmpmem (p->magnitude, sizeof (p->magnitude), other->magnitude,
      sizeof (p->magnitude));
}

static void
test_failures (void)
{
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (D, RD_SIDE_INFO_NONE, 1);
  g_autoptr (GError) error = NULL;
  const gint cancel = 1;
  Source source = { 0, 3 };
  RdRefitData data = { SEQUENCES, LENGTH, states, &source, 1, NULL };

  g_assert_false (rd_refit (&data, p, &error));
  g_assert_error (error, G_FILE_ERROR, G_FILE_ERROR_IO);
  g_assert_cmpint (source.calls, ==, 3);
  g_clear_error (&error);
  source = (Source) {
  0, 0};
  data.cancel = &cancel;
  g_assert_false (rd_refit (&data, p, &error));
  g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED);
  g_clear_error (&error);
  data.sequences = 0;
  g_assert_false (rd_refit (&data, p, &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training/refit", test_refit);
  g_test_add_func ("/training/refit-failures", test_failures);
  return g_test_run ();
}
