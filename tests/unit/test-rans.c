/* The entropy coder: round trips of every form, instruction sets against each other, golden streams, cost, damage. */
#include "codec/entropy/rans.h"
#include "tests/support/test-model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N_TABLES 40
#define MAX_N 12000

static const guint lane_counts[] = { 1, 8, 16, 32 };
static const gchar *const sets[] = { "c", "avx2", "avx512" };

typedef struct
{
  guint16 cumulative[N_TABLES][RD_TABLE_MAX_VALUES + 2];
  RdTableSpec specs[N_TABLES];
  RdTables *tables;
  guint16 table[MAX_N];
  gint32 symbols[MAX_N], decoded[MAX_N];
} Fixture;

/* Frequencies of many shapes; the last value and the escape of some are as rare as can be. */
static void
make_table (Fixture * f, guint i, GRand * rand)
{
  static const guint sizes[] = { 1, 2, 3, 8, 28, 29, 30, 31, 59, 60, 300, 899 };
  guint n = sizes[i % G_N_ELEMENTS (sizes)];
  guint64 counts[RD_TABLE_MAX_VALUES + 1];
  gdouble width = n * g_rand_double_range (rand, 0.02, 0.5);

  for (guint v = 0; v < n; v++)
    counts[v] = (guint64) (1e9 * exp (-fabs (v - n / 2.0) / width));
  counts[n] = i % 3 ? 0 : 10000000;
  g_assert_true (rd_cumulative_from_counts (counts, n + 1, f->cumulative[i],
          NULL));
  f->specs[i] = (RdTableSpec) {
  -(gint32) (n / 2) + g_rand_int_range (rand, -2, 3), n, i % 5,
        f->cumulative[i]};
}

/* A symbol with the probabilities of its table, escapes near and far. */
static gint32
draw (const RdTableSpec * spec, GRand * rand)
{
  guint slot = g_rand_int_range (rand, 0, RD_TABLE_TOTAL), s = 0;
  guint shift = 9 + g_rand_int_range (rand, 0, 23);
  gint32 distance = 1 + (gint32) (g_rand_int (rand) >> shift);

  while (spec->cumulative[s + 1] <= slot)
    s++;
  if (s < spec->n_values && slot % 1000 != 17)
    return spec->min + (gint32) s;
  return slot & 1 ? spec->min - distance :
      spec->min + (gint32) spec->n_values - 1 + distance;
}

static void
set_up (Fixture * f, gconstpointer data)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);
  GError *error = NULL;

  for (guint i = 0; i < N_TABLES; i++)
    make_table (f, i, rand);
  f->tables = rd_tables_new (f->specs, N_TABLES, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (rd_tables_count (f->tables), ==, N_TABLES);
  for (guint i = 0; i < MAX_N; i++) {
    f->table[i] = g_rand_int_range (rand, 0, N_TABLES);
    f->symbols[i] = draw (&f->specs[f->table[i]], rand);
  }
  if (data) {                   /* hardly any bits: always the likeliest symbol of a steep table */
    for (guint i = 0; i < MAX_N; i++) {
      f->table[i] = 1;
      f->symbols[i] = f->specs[1].min + 1;
    }
  }
}

static void
tear_down (Fixture * f, gconstpointer data)
{
  (void) data;
  g_assert_true (rd_rans_force_instruction_set (NULL));
  rd_tables_free (f->tables);
}

static GByteArray *
encode (const Fixture * f, guint lanes, gsize n)
{
  GByteArray *out = g_byte_array_new ();
  GError *error = NULL;

  g_byte_array_append (out, (const guint8 *) "before", 6);
  g_assert_true (rd_rans_encode (f->tables, lanes, f->symbols, f->table, n,
          out, &error));
  g_assert_no_error (error);
  g_assert_cmpmem (out->data, 6, "before", 6);
  g_byte_array_remove_range (out, 0, 6);
  return out;
}

/* Decodes a copy of exact size, @step symbols a call. */
static gboolean
decode (Fixture * f, guint lanes, gsize n, const guint8 * stream, gsize size,
    gsize step)
{
  g_autofree guint8 *exact = malloc (MAX (size, 1));
  g_autoptr (GError) error = NULL;
  RdRansDecoder d;

  if (size)
    memcpy (exact, stream, size);
  memset (f->decoded, 0x55, sizeof f->decoded);
  if (!rd_rans_decoder_init (&d, f->tables, lanes, n, exact, size, &error)) {
    g_assert_error (error, RD_ENTROPY_ERROR, RD_ENTROPY_ERROR_STREAM);
    return FALSE;
  }
  for (gsize done = 0; done < n; done += step)
    rd_rans_decode (&d, f->table + done, f->decoded + done,
        MIN (step, n - done));
  for (gsize i = 0; i < n; i++)
    g_assert_cmpint (abs (f->decoded[i]), <=, RD_SYMBOL_MAX);
  if (rd_rans_decoder_finish (&d, &error))
    return TRUE;
  g_assert_error (error, RD_ENTROPY_ERROR, RD_ENTROPY_ERROR_STREAM);
  return FALSE;
}

static void
assert_symbols (const Fixture * f, gsize n)
{
  g_assert_cmpmem (f->decoded, n * 4, f->symbols, n * 4);
}

static void
check_length (Fixture * f, guint lanes, gsize n)
{
  g_assert_true (rd_rans_force_instruction_set ("c"));
  g_autoptr (GByteArray) first = encode (f, lanes, n);

  for (guint i = 0; i < G_N_ELEMENTS (sets); i++) {
    if (!rd_rans_force_instruction_set (sets[i]))
      continue;
    g_autoptr (GByteArray) out = encode (f, lanes, n);
    g_assert_true (decode (f, lanes, n, out->data, out->len, MAX (n, 1)));
    assert_symbols (f, n);
    g_assert_cmpmem (out->data, out->len, first->data, first->len);
  }
  g_assert_true (decode (f, lanes, n, first->data, first->len, lanes));
  assert_symbols (f, n);
}

static void
test_round_trip (Fixture * f, gconstpointer data)
{
  (void) data;
  for (guint l = 0; l < G_N_ELEMENTS (lane_counts); l++) {
    guint lanes = lane_counts[l];

    for (gsize n = 0; n <= 4096; n += n < 80 ? 1 : 37)
      check_length (f, lanes, n);
    check_length (f, lanes, 4096);
    for (gsize n = 256 * lanes - 2; n < 256 * lanes + 40; n += 3)
      check_length (f, lanes, n);
    check_length (f, lanes, MAX_N);
  }
}

static void
test_main_symbols (void)
{
  g_assert_cmpuint (rd_rans_main_symbols (1, 1u << 20), ==, 0);
  g_assert_cmpuint (rd_rans_main_symbols (16, 16 * 256 - 1), ==, 0);
  g_assert_cmpuint (rd_rans_main_symbols (16, 16 * 256 + 15), ==, 16 * 192);
}

static gdouble
ideal_bits (const Fixture * f, gsize n)
{
  gdouble bits = 0;

  for (gsize i = 0; i < n; i++)
    bits += rd_tables_bits (f->tables, f->table[i], f->symbols[i]);
  return bits;
}

/* One token, and frames of many. Where every symbol has more than half of the slots, the ending has nowhere to begin, and
 * a sequence of one symbol does not average out what whole-numbered states lose. */
static void
test_cost (Fixture * f, gconstpointer data)
{
  gdouble total = 0, most = 0;

  for (gsize n = 1; n <= 1152; n++) {
    g_autoptr (GByteArray) out = encode (f, 16, n);
    gdouble loss = out->len * 8.0 - ideal_bits (f, n);

    g_assert_cmpfloat (loss, <, 24 + (data ? 0.003 * (gdouble) n : 0));
    g_assert_cmpfloat (loss, >, -8);    /* the length says something too */
    total += loss;
    most = MAX (most, loss);
  }
  g_test_message ("one state: %.1f bits above the ideal on average, %.1f at"
      " most", total / 1152, most);
  for (guint l = 1; l < G_N_ELEMENTS (lane_counts); l++) {
    guint lanes = lane_counts[l];
    g_autoptr (GByteArray) out = encode (f, lanes, MAX_N);
    gdouble ideal = ideal_bits (f, MAX_N), loss = out->len * 8.0 - ideal;

    g_test_message ("%u lanes: %.0f bits above %.0f", lanes, loss, ideal);
    g_assert_cmpfloat (loss, <, data ? 64 + 24 * lanes
        : 32 + 8 * lanes + 0.002 * ideal);
    g_assert_cmpfloat (loss, >, 0);
  }
}

/* Values close to each table's edges and to the limits; beyond them an error that leaves the output alone. */
static void
test_escapes (Fixture * f, gconstpointer data)
{
  const gsize n = 8192 + 5;
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  (void) data;

  for (gsize i = 0; i < n; i++) {
    const RdTableSpec *spec = &f->specs[f->table[i]];
    gint32 above = spec->min + (gint32) spec->n_values;
    const gint32 values[] = { above, spec->min - 1, above + 1, above - 1,
      spec->min, RD_SYMBOL_MAX, -RD_SYMBOL_MAX, above + 77777
    };
    f->symbols[i] = values[i / 3 % G_N_ELEMENTS (values)];
  }
  for (guint l = 0; l < G_N_ELEMENTS (lane_counts); l++)
    check_length (f, lane_counts[l], n);
  f->symbols[11] = -RD_SYMBOL_MAX - 1;
  g_assert_false (rd_rans_encode (f->tables, 16, f->symbols, f->table, n, out,
          &error));
  g_assert_error (error, RD_ENTROPY_ERROR, RD_ENTROPY_ERROR_SYMBOL);
  g_assert_nonnull (strstr (error->message, "symbol 11 is -16777217"));
  g_assert_cmpuint (out->len, ==, 0);
}

/* Every instruction set makes the same of a damaged stream. */
static gboolean
decode_damaged (Fixture * f, guint lanes, gsize n, const guint8 * stream,
    gsize size)
{
  g_autofree gint32 *first = NULL;
  gboolean good = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (sets); i++) {
    if (!rd_rans_force_instruction_set (sets[i]))
      continue;
    gboolean result = decode (f, lanes, n, stream, size, n);
    if (first) {
      g_assert_cmpint (result, ==, good);
      g_assert_cmpmem (f->decoded, n * 4, first, n * 4);
    } else {
      first = g_memdup2 (f->decoded, n * 4);
      good = result;
    }
  }
  return good;
}

/* Damage is often noticed, not always: bits of an escape are as good as others, and any number can be an ending. */
static void
damage (Fixture * f, guint lanes, gsize n, guint stride)
{
  g_autoptr (GByteArray) out = encode (f, lanes, n);
  guint truncations = 0, flips = 0, tries = 0;

  for (gsize size = 0; size < out->len; size += stride)
    truncations += decode_damaged (f, lanes, n, out->data, size);
  for (gsize bit = 0; bit < (gsize) out->len * 8; bit += stride, tries++) {
    out->data[bit / 8] ^= 1u << bit % 8;
    flips += decode_damaged (f, lanes, n, out->data, out->len);
    out->data[bit / 8] ^= 1u << bit % 8;
  }
  g_test_message ("%u lanes: not noticed are %u truncations, %u of %u flipped"
      " bits", lanes, truncations, flips, tries);
  g_assert_cmpuint (flips * 5, <=, tries);
  if (lanes > 1)
    g_assert_cmpuint (truncations, ==, 0);
}

static void
test_damage (Fixture * f, gconstpointer data)
{
  (void) data;
  damage (f, 1, 576, 1);
  damage (f, 8, 2100, 13);
  damage (f, 16, 4100, 61);
  damage (f, 32, 8200, 127);
}

static guint32
take_u32 (const guint8 ** p)
{
  guint32 value = (*p)[0] | (guint32) (*p)[1] << 8 | (guint32) (*p)[2] << 16
      | (guint32) (*p)[3] << 24;

  *p += 4;
  return value;
}

static guint16
take_u16 (const guint8 ** p)
{
  guint16 value = (*p)[0] | (guint16) ((*p)[1] << 8);

  *p += 2;
  return value;
}

/* A file of tests/support/rans-golden.py: fills @f, returns where the stream begins. */
static const guint8 *
read_golden (Fixture * f, const guint8 * p, guint * lanes, gsize * n)
{
  *lanes = take_u32 (&p);
  *n = take_u32 (&p);
  guint n_tables = take_u32 (&p);

  g_assert_cmpuint (n_tables, <=, N_TABLES);
  g_assert_cmpuint (*n, <=, MAX_N);
  for (guint i = 0; i < n_tables; i++) {
    RdTableSpec *spec = &f->specs[i];

    spec->min = (gint32) take_u32 (&p);
    spec->n_values = take_u32 (&p);
    spec->golomb = take_u32 (&p);
    for (guint j = 0; j < spec->n_values + 2; j++)
      f->cumulative[i][j] = take_u16 (&p);
  }
  rd_tables_free (f->tables);
  f->tables = rd_tables_new (f->specs, n_tables, NULL);
  g_assert_nonnull (f->tables);
  for (gsize i = 0; i < *n; i++)
    f->table[i] = take_u16 (&p);
  for (gsize i = 0; i < *n; i++)
    f->symbols[i] = (gint32) take_u32 (&p);
  return p;
}

static void
test_golden (Fixture * f, gconstpointer data)
{
  g_autofree gchar *directory = st_test_data_path ("entropy");
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  const gchar *name;
  guint n_files = 0;
  (void) data;

  g_assert_nonnull (dir);
  for (; (name = g_dir_read_name (dir)); n_files++) {
    g_autofree gchar *path = g_build_filename (directory, name, NULL);
    g_autofree gchar *bytes = NULL;
    gsize size, n;
    guint lanes;

    g_assert_true (g_file_get_contents (path, &bytes, &size, NULL));
    const guint8 *stream = read_golden (f, (const guint8 *) bytes, &lanes, &n);
    gsize stream_size = (gsize) ((const guint8 *) bytes + size - stream);
    for (guint i = 0; i < G_N_ELEMENTS (sets); i++) {
      if (!rd_rans_force_instruction_set (sets[i]))
        continue;
      g_autoptr (GByteArray) out = encode (f, lanes, n);
      g_assert_cmpmem (out->data, out->len, stream, stream_size);
      g_assert_true (decode (f, lanes, n, stream, stream_size, MAX (n, 1)));
      assert_symbols (f, n);
    }
  }
  g_assert_cmpuint (n_files, >=, 14);
}

static void
assert_refused (const RdTableSpec * spec, const gchar * message)
{
  static const guint16 fine[] = { 0, 7, RD_TABLE_TOTAL };
  const RdTableSpec specs[] = { {0, 1, 0, fine}, *spec };
  g_autoptr (GError) error = NULL;

  g_assert_null (rd_tables_new (specs, 2, &error));
  g_assert_error (error, RD_ENTROPY_ERROR, RD_ENTROPY_ERROR_TABLE);
  g_assert_nonnull (strstr (error->message, message));
  g_assert_nonnull (strstr (error->message, "table 1:"));
}

static void
test_validation (void)
{
  static const guint16 good[] = { 0, 5, 9, RD_TABLE_TOTAL };
  static const guint16 late[] = { 1, 5, 9, RD_TABLE_TOTAL };
  static const guint16 zero[] = { 0, 5, 5, RD_TABLE_TOTAL };
  static const guint16 no_escape[] = { 0, 5, RD_TABLE_TOTAL, RD_TABLE_TOTAL };
  static const guint16 down[] = { 0, 9, 5, RD_TABLE_TOTAL };
  static const guint16 beyond[] = { 0, 5, 20000, RD_TABLE_TOTAL };
  static const guint16 less[] = { 0, 5, 9, RD_TABLE_TOTAL - 1 };
  static const guint16 more[] = { 0, 5, 9, RD_TABLE_TOTAL + 1 };
  const struct
  {
    RdTableSpec spec;
    const gchar *message;
  } cases[] = {
    {{0, 0, 0, good}, "number of values"},
    {{0, RD_TABLE_MAX_VALUES + 1, 0, good}, "number of values"},
    {{0, G_MAXUINT, 0, good}, "number of values"},
    {{RD_TABLE_MIN_VALUE - 1, 2, 0, good}, "smallest value"},
    {{RD_TABLE_MAX_MIN + 1, 2, 0, good}, "smallest value"},
    {{0, 2, RD_TABLE_MAX_GOLOMB + 1, good}, "Golomb"},
    {{0, 2, 0, late}, "begin with 0"},
    {{0, 2, 0, zero}, "frequency zero"},
    {{0, 2, 0, no_escape}, "frequency zero"},
    {{0, 2, 0, down}, "descend"},
    {{0, 2, 0, beyond}, "descend"},
    {{0, 2, 0, less}, "sum to 16384"},
    {{0, 2, 0, more}, "sum to 16384"},
  };
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_refused (&cases[i].spec, cases[i].message);
  g_assert_null (rd_tables_new (&cases[0].spec, 0, &error));
  g_assert_error (error, RD_ENTROPY_ERROR, RD_ENTROPY_ERROR_TABLE);
}

static void
test_counts (void)
{
  static const guint64 odd[] = { 0, 1, 1000000, 0, 3 };
  static const guint64 ones[] = { 1, 1, 1 };
  static const guint64 empty[] = { 0, 0 };
  static const guint64 large[] = { G_MAXUINT64, 2, 3 };
  guint16 c[6];
  g_autoptr (GError) error = NULL;

  g_assert_true (rd_cumulative_from_counts (odd, 5, c, NULL));
  g_assert_cmpmem (c, sizeof c,
      ((const guint16[]) { 0, 1, 2, 16382, 16383, 16384 }), sizeof c);
  g_assert_true (rd_cumulative_from_counts (ones, 3, c, NULL));
  g_assert_cmpmem (c, 8, ((const guint16[]) { 0, 5462, 10923, 16384 }), 8);
  g_assert_false (rd_cumulative_from_counts (empty, 2, c, &error));
  g_assert_error (error, RD_ENTROPY_ERROR, RD_ENTROPY_ERROR_TABLE);
  g_assert_false (rd_cumulative_from_counts (large, 3, c, NULL));
  g_assert_false (rd_cumulative_from_counts (ones, 1, c, NULL));
}

/* No other frequencies with the same sum cost the counted symbols less: no unit moved from one to another gains. */
static void
test_counts_are_best (void)
{
  guint64 counts[20];
  guint16 c[21];

  for (guint round = 0; round < 200; round++) {
    for (guint i = 0; i < 20; i++)
      counts[i] = (guint32) g_test_rand_int () >> (i + round) % 32;
    counts[round % 20]++;
    g_assert_true (rd_cumulative_from_counts (counts, 20, c, NULL));
    for (guint i = 0; i < 400; i++) {
      guint a = i / 20, b = i % 20;
      gdouble fa = c[a + 1] - c[a], fb = c[b + 1] - c[b];

      if (a == b || fa == 1)
        continue;
      gdouble lost = (gdouble) counts[a] * log (fa / (fa - 1));
      gdouble won = (gdouble) counts[b] * log ((fb + 1) / fb);
      g_assert_cmpfloat (won, <=, lost * 1.04 + 1e-6);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/rans/round-trip", Fixture, NULL, set_up, test_round_trip,
      tear_down);
  g_test_add ("/rans/round-trip/few-bits", Fixture, "quiet", set_up,
      test_round_trip, tear_down);
  g_test_add_func ("/rans/main-symbols", test_main_symbols);
  g_test_add ("/rans/cost", Fixture, NULL, set_up, test_cost, tear_down);
  g_test_add ("/rans/cost/few-bits", Fixture, "quiet", set_up, test_cost,
      tear_down);
  g_test_add ("/rans/escapes", Fixture, NULL, set_up, test_escapes, tear_down);
  g_test_add ("/rans/damage", Fixture, NULL, set_up, test_damage, tear_down);
  g_test_add ("/rans/golden", Fixture, NULL, set_up, test_golden, tear_down);
  g_test_add_func ("/rans/tables/validation", test_validation);
  g_test_add_func ("/rans/tables/counts", test_counts);
  g_test_add_func ("/rans/tables/counts-are-best", test_counts_are_best);
  return g_test_run ();
}
