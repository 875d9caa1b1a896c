#include "tests/support/learned-tools.h"

#include <glib/gstdio.h>
#include <math.h>
#include <unistd.h>

#define CONSTANT 100
#define ESCAPE_COUNT 40
#define MAX_REACH 30            /* of tables */

/* Column i of the inverse of row j: a cosine transform, orthonormal. */
static gfloat *
make_synthesis (guint d)
{
  gfloat *m = g_new (gfloat, (gsize) d * d);

  for (guint j = 0; j < d; j++)
    for (guint i = 0; i < d; i++)
      m[j * d + i] = (gfloat) (sqrt ((j ? 2. : 1.) / d)
          * cos (G_PI * (i + 0.5) * j / d));
  return m;
}

static void
fill_set (RdLearnedParameters * p, guint s)
{
  RdLearnedSet *set = &p->set[s];
  guint d = p->hidden_size;

  set->mean = g_new (gfloat, d);
  set->synthesis = make_synthesis (d);
  set->scale = g_new (gint32, d);
  set->steps = g_new0 (gint32, p->n_knots * d);
  set->weights = g_new (gint32, 2 * d);
  set->token_step = g_new0 (gfloat, d + 2);
  set->strength = g_new (gfloat, p->n_knots);
  if (s == 1)
    set->readout = g_new0 (gfloat, (gsize) d * d);
  for (guint j = 0; j < d; j++) {
    set->mean[j] = (gfloat) (j % 7) - 3;
    set->scale[j] = 768 - (gint32) (512 * j / d);
    set->weights[j] = set->weights[d + j] = 24;
    set->steps[j] = j % 3 ? 0 : 64;
    if (s == 1)
      set->readout[j * d + j] = 1;
  }
  set->token_step[d] = 0.5f;
  for (guint k = 0; k < p->n_knots; k++)
    set->strength[k] = 0.5f;
}

/* Laplacian around 0, of standard deviation @deviation. */
static void
make_table (RdLearnedTable * table, gdouble deviation)
{
  guint reach = (guint) CLAMP (deviation * 5, 1, MAX_REACH);
  guint64 counts[2 * MAX_REACH + 2];

  table->n_values = 2 * reach + 1;
  table->min = -(gint32) reach;
  table->golomb = (guint) CLAMP (log2 (deviation), 0, 8);
  for (guint i = 0; i < table->n_values; i++)
    counts[i] = (guint64) (1e7
        * exp (-fabs ((gdouble) i - reach) * G_SQRT2 / deviation));
  counts[table->n_values] = ESCAPE_COUNT + (guint64) (1e7
      * exp (-(gdouble) reach * G_SQRT2 / deviation) * deviation);
  table->cumulative = g_new (guint16, table->n_values + 2);
  g_assert_true (rd_cumulative_from_counts (counts, table->n_values + 1,
          table->cumulative, NULL));
}

/* @counts of the values from @min on, and next to nothing for the escape. */
static void
make_fixed (RdLearnedTable * table, gint32 min, guint n, guint peak)
{
  guint64 counts[RD_TABLE_NARROW_VALUES * 3];

  for (guint i = 0; i < n; i++)
    counts[i] = i == peak ? 100000 : 1000;
  counts[n] = 0;
  table->min = min;
  table->n_values = n;
  table->cumulative = g_new (guint16, n + 2);
  g_assert_true (rd_cumulative_from_counts (counts, n + 1, table->cumulative,
          NULL));
}

static void
fill_tables (RdLearnedParameters * p)
{
  for (guint i = 0; i < RD_LEARNED_SCALES; i++) {
    gdouble deviation = exp2 (i / 8. - 6);
    gdouble mean = 16 * deviation / G_SQRT2;

    make_table (&p->tables[RD_TABLE_SCALAR + i], deviation);
    make_table (&p->tables[RD_TABLE_TRELLIS_0 + i], deviation / 2);
    make_table (&p->tables[RD_TABLE_TRELLIS_1 + i], deviation / 2);
    p->magnitude[0][i] = (gint32) MIN (mean, RD_LEARNED_MAX_MAGNITUDE);
    p->magnitude[1][i] = (gint32) MIN (mean / 2, RD_LEARNED_MAX_MAGNITUDE);
  }
  make_fixed (&p->tables[RD_TABLE_MODE], 0, p->n_constants + 2, 0);
  make_fixed (&p->tables[RD_TABLE_STEP], RD_LEARNED_MIN_TOKEN_STEP, 64, 32);
  make_fixed (&p->tables[RD_TABLE_PADDING], 0, 1, 0);
}

RdLearnedParameters *
rd_test_parameters (guint hidden_size, RdSideInfo side_info, guint n_constants)
{
  RdLearnedParameters *p = g_new0 (RdLearnedParameters, 1);
  static const gint32 knots[] = { 0, 50, 127 };

  p->name = g_strdup ("made for a test");
  p->license = g_strdup ("Apache-2.0");
  p->model_name = g_strdup ("none");
  p->split_layer = 3;
  p->hidden_size = hidden_size;
  p->side_info = side_info;
  p->n_blocks = side_info == RD_SIDE_INFO_BLOCKS ? 2 : 0;
  p->coarsest = 3 * 256;
  p->n_knots = G_N_ELEMENTS (knots);
  for (guint k = 0; k < p->n_knots; k++)
    p->knots[k] = knots[k];
  p->lambda = 0.1f;
  p->n_constants = n_constants;
  if (n_constants > 0)
    p->constants = g_new0 (gfloat, (gsize) n_constants * hidden_size);
  for (guint c = 0; c < n_constants; c++)
    for (guint i = 0; i < hidden_size; i += 3)
      p->constants[c * hidden_size + i] = (gfloat) (CONSTANT * (c + 1));
  for (guint s = 0; s < rd_learned_parameters_n_sets (p); s++)
    fill_set (p, s);
  fill_tables (p);
  return p;
}

static gfloat *
random_floats (GRand * rand, gsize n, gdouble size)
{
  gfloat *values = g_new (gfloat, n);

  for (gsize i = 0; i < n; i++)
    values[i] = (gfloat) g_rand_double_range (rand, -size, size);
  return values;
}

void
rd_test_adapters (RdLearnedParameters * parameters,
    const RdTestMatrix * matrices, guint n, guint rank, gdouble size,
    guint32 seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  RdLearnedAdapters *adapters =
      rd_learned_adapters_new ((gfloat) MAX (rank, 1), parameters->n_knots);

  for (guint i = 0; i < n; i++) {
    const RdTestMatrix *m = &matrices[i];
    g_autofree gfloat *a = random_floats (rand, (gsize) rank * m->inputs, size);
    g_autofree gfloat *b =
        random_floats (rand, (gsize) rank * m->outputs, size);

    rd_learned_adapters_add (adapters, m->name, m->inputs, m->outputs, rank, a,
        b);
  }
  adapters->gates[0] = 0.5f;
  adapters->gates[parameters->n_knots - 1] = 1.25f;
  rd_learned_adapters_free (parameters->adapters);
  parameters->adapters = adapters;
}

gchar *
rd_test_save (RdLearnedParameters * parameters)
{
  gchar *path;
  gint fd = g_file_open_tmp ("rd-codec-XXXXXX.gguf", &path, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (fd, >=, 0);
  close (fd);
  rd_learned_parameters_save (parameters, path, &error);
  g_assert_no_error (error);
  return path;
}

/* The codec of a file with @parameters. */
static RdCodec *
open_codec (RdLearnedParameters * parameters)
{
  g_autofree gchar *path = rd_test_save (parameters);
  g_autoptr (GError) error = NULL;
  RdCodec *codec = rd_codec_new (path, parameters->hidden_size, &error);

  g_assert_no_error (error);
  g_unlink (path);
  return codec;
}

RdCodec *
rd_test_codec (guint hidden_size, RdSideInfo side_info, guint n_constants)
{
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (hidden_size, side_info, n_constants);

  return open_codec (p);
}

gdouble
rd_test_payload_bits (RdLearnedParameters * parameters, const RdRows * rows,
    const gfloat * x, const RdSettings * settings, gfloat * y)
{
  g_autoptr (RdCodec) codec = open_codec (parameters);
  g_autoptr (GByteArray) payload = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  gboolean packed;

  rd_codec_set (codec, settings);
  rd_codec_encode (codec, rows, x, FALSE, payload, &packed, &error);
  g_assert_no_error (error);
  if (y != NULL)
    rd_codec_decode (codec, rows, payload->data, payload->len, packed, y,
        &error);
  g_assert_no_error (error);
  return 8.0 * payload->len;
}

gfloat *
rd_test_rows (gsize n, guint hidden_size, guint32 seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  gfloat *x = g_new (gfloat, n * hidden_size);

  for (gsize t = 0; t < n; t++)
    for (guint i = 0; i < hidden_size; i++) {
      gdouble u = g_rand_double_range (rand, -0.999, 0.999);
      gdouble value = copysign (-3 * log (1 - fabs (u)), u);

      value += t % 9 == 8 ? (i % 3 ? 0 : CONSTANT) : (i % 7) - 3.;
      x[t * hidden_size + i] = (gfloat) value;
    }
  return x;
}
