/* Damaged entropy-coded streams and tables: an error, or bounded symbols, the same from every instruction set; accepted tables code
 * everything. */
#include "codec/entropy/rans.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

/* Input: 0..3 = lanes of a stream, 4 = tables; n (2 bytes); stream or cumulative frequencies. */
#define PREFIX 3
#define MAX_N 9000u
#define N_TABLES 12

static const guint lane_counts[] = { 1, 8, 16, 32 };
static const gchar *const sets[] = { "c", "avx2", "avx512" };

static guint16 cumulative[N_TABLES][RD_TABLE_MAX_VALUES + 2];
static guint16 table[MAX_N];
static gint32 symbols[MAX_N], decoded[MAX_N], first[MAX_N];

static RdTables *
make_tables (void)
{
  RdTableSpec specs[N_TABLES];

  for (guint i = 0; i < N_TABLES; i++) {
    guint n = i * i * 7 + 1;
    guint64 counts[RD_TABLE_MAX_VALUES + 1];

    for (guint v = 0; v <= n; v++)
      counts[v] = 1 + (G_GUINT64_CONSTANT (1) << (20 - v * 20 / (n + 1)));
    g_assert_true (rd_cumulative_from_counts (counts, n + 1, cumulative[i],
            NULL));
    specs[i] = (RdTableSpec) {
    -(gint32) n / 3, n, i, cumulative[i]};
  }
  for (guint i = 0; i < MAX_N; i++) {
    guint t = i * 2654435761u >> 20;
    table[i] = t % N_TABLES;
    symbols[i] = specs[table[i]].min + (gint32) (i % 7);
    if (i % 97 == 3)
      symbols[i] = (gint32) i *(i & 1 ? 900 : -11);
  }
  return rd_tables_new (specs, N_TABLES, NULL);
}

static gboolean
decode (const RdTables * tables, guint lanes, guint n, const guint8 * stream,
    gsize size)
{
  RdRansDecoder d;
  g_autoptr (GError) error = NULL;
  gboolean ok;

  memset (decoded, 0, sizeof decoded);
  ok = rd_rans_decoder_init (&d, tables, lanes, n, stream, size, &error);
  if (ok) {
    rd_rans_decode (&d, table, decoded, n);
    ok = rd_rans_decoder_finish (&d, &error);
  }
  g_assert_true (ok || g_error_matches (error, RD_ENTROPY_ERROR,
          RD_ENTROPY_ERROR_STREAM));
  for (guint i = 0; i < n; i++)
    g_assert_cmpint (abs (decoded[i]), <=, RD_SYMBOL_MAX);
  return ok;
}

static void
try_stream (guint lanes, guint n, const guint8 * stream, gsize size)
{
  g_autoptr (RdTables) tables = make_tables ();
  gboolean good = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (sets); i++) {
    if (!rd_rans_force_instruction_set (sets[i]))
      continue;
    gboolean ok = decode (tables, lanes, n, stream, size);
    if (i == 0) {
      good = ok;
      memcpy (first, decoded, sizeof first);
    }
    g_assert_cmpint (ok, ==, good);
    g_assert_cmpmem (decoded, sizeof first, first, sizeof first);
  }
}

static void
try_tables (const guint8 * data, gsize size)
{
  guint n = MIN (size / 2, RD_TABLE_MAX_VALUES + 3);
  guint16 numbers[RD_TABLE_MAX_VALUES + 3] = { 0 };
  const gint32 values[] = { 0, 1, -1, 5, 1000, -RD_SYMBOL_MAX, RD_SYMBOL_MAX };
  static const guint16 zeros[G_N_ELEMENTS (values)];
  const guint n_values = G_N_ELEMENTS (values);
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < n; i++)
    numbers[i] = data[2 * i] | (guint16) (data[2 * i + 1] << 8);
  RdTableSpec spec = { -(gint32) (n / 2), n < 2 ? 0 : n - 2, n % 14, numbers };
  g_autoptr (RdTables) tables = rd_tables_new (&spec, 1, &error);
  if (!tables) {
    g_assert_error (error, RD_ENTROPY_ERROR, RD_ENTROPY_ERROR_TABLE);
    return;
  }
  g_assert_true (rd_rans_encode (tables, 1, values, zeros, n_values, out,
          NULL));
  memset (table, 0, sizeof table);
  g_assert_true (decode (tables, 1, n_values, out->data, out->len));
  g_assert_cmpmem (decoded, sizeof values, values, sizeof values);
}

void
fuzz_one (const guint8 * data, gsize size)
{
  if (size < PREFIX)
    return;
  guint n = data[1] | (guint) data[2] << 8;
  if (data[0] >= G_N_ELEMENTS (lane_counts))
    try_tables (data + PREFIX, size - PREFIX);
  else if (n <= MAX_N)
    try_stream (lane_counts[data[0]], n, data + PREFIX, size - PREFIX);
}

GBytes *
fuzz_seed (guint i)
{
  static const guint lengths[] = { 1, 40, 576, 2050, 4100, 8200 };
  GByteArray *input = g_byte_array_new ();
  g_autoptr (RdTables) tables = make_tables ();
  guint shape = i / G_N_ELEMENTS (lane_counts);
  guint n = lengths[MIN (shape, G_N_ELEMENTS (lengths) - 1)];
  guint8 prefix[PREFIX] = { i % G_N_ELEMENTS (lane_counts), n & 0xff, n >> 8 };

  if (shape > G_N_ELEMENTS (lengths)) {
    g_byte_array_unref (input);
    return NULL;
  }
  if (shape == G_N_ELEMENTS (lengths))
    prefix[0] = G_N_ELEMENTS (lane_counts);
  g_byte_array_append (input, prefix, PREFIX);
  if (shape < G_N_ELEMENTS (lengths)) {
    g_assert_true (rd_rans_encode (tables, lane_counts[prefix[0]], symbols,
            table, n, input, NULL));
  } else {
    guint t = i % N_TABLES, count = t * t * 7 + 3;
    for (guint j = 0; j < count; j++) {
      guint16 le = GUINT16_TO_LE (cumulative[t][j]);
      g_byte_array_append (input, (const guint8 *) &le, 2);
    }
  }
  return g_byte_array_free_to_bytes (input);
}
