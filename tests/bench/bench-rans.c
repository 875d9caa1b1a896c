/* The entropy coder against a textbook scalar 64-bit rANS on the same symbols and tables, and htscodecs' order-0 32-way coder (an easier job:
 * one table for all) where it is installed. Symbols are Gaussian with the scales of a transformed hidden state, a table per symbol.
 * Times are the best of interleaved rounds on this thread's clock. usage: bench-rans [ROUNDS [SCALE]], where the default scale makes about 1000
 * bits a token. */
#include "codec/entropy/rans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef HAVE_HTSCODECS
#include <htscodecs/rANS_static4x16.h>
#endif

#define HIDDEN 576
#define TOKENS 64
#define N (HIDDEN * TOKENS)
#define N_TABLES 64
#define MAX_SYMBOLS (RD_TABLE_MAX_VALUES + 1)
#define LANES 8                 /* what the learned codec uses */
#define TEXTBOOK_LOW (G_GUINT64_CONSTANT (1) << 31)

typedef struct
{
  gint32 min;
  guint n_values;
  guint16 cumulative[MAX_SYMBOLS + 1];
  guint16 slot_to_symbol[RD_TABLE_TOTAL];
} Table;

typedef struct
{
  Table *tables;                /* N_TABLES */
  RdTables *rd_tables;
  guint16 table[N];
  gint32 symbols[N], decoded[N];
  guint8 bytes[N];              /* symbols for htscodecs */
  GByteArray *stream;
  gsize offsets[TOKENS + 1];    /* frames in stream */
  guint32 words[2 * N];
  gsize n_words;
  guint8 *packed;
  guint packed_size;
} Job;

typedef void (*Pass) (Job * job);

static gdouble
scale_of (guint table)
{
  return 0.11 * exp (table * log (64 / 0.11) / (N_TABLES - 1));
}

static void
make_table (Table * table, gdouble scale)
{
  gint range = CLAMP ((gint) ceil (4.2 * scale), 2, 449);
  guint64 counts[MAX_SYMBOLS];
  gdouble k = 1 / (scale * sqrt (2));

  table->min = -range;
  table->n_values = 2 * (guint) range + 1;
  for (gint v = -range; v <= range; v++) {
    gdouble p = 0.5 * (erf ((v + 0.5) * k) - erf ((v - 0.5) * k));
    counts[v + range] = (guint64) (p * 0x1p40);
  }
  counts[table->n_values] = (guint64) (erfc ((range + 0.5) * k) * 0x1p40);
  if (!rd_cumulative_from_counts (counts, table->n_values + 1,
          table->cumulative, NULL))
    exit (1);
  for (guint s = 0; s <= table->n_values; s++) {
    for (guint i = table->cumulative[s]; i < table->cumulative[s + 1]; i++)
      table->slot_to_symbol[i] = s;
  }
}

static gdouble
random_normal (GRand * rand)
{
  gdouble u = g_rand_double_range (rand, 1e-12, 1);

  return sqrt (-2 * log (u)) * cos (2 * G_PI * g_rand_double (rand));
}

static void
make_symbols (Job * job, gdouble gain)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);

  for (gsize i = 0; i < N; i++) {
    gdouble scale = gain * exp (-3.2 * (gdouble) (i % HIDDEN) / HIDDEN
        + 0.3 * random_normal (rand));
    gint t = (gint) lround (log (scale / 0.11) / log (64 / 0.11)
        * (N_TABLES - 1));

    job->table[i] = CLAMP (t, 0, N_TABLES - 1);
    job->symbols[i] = (gint32) lround (scale_of (job->table[i])
        * random_normal (rand));
    job->bytes[i] = (guint8) (CLAMP (job->symbols[i], -128, 127) + 128);
  }
}

/* A textbook coder: one 64-bit state, 32-bit words, division. Escaped values are 16 bits. */
static inline guint64
textbook_push (Job * job, guint64 x, guint start, guint f, guint bits)
{
  if (x >= ((TEXTBOOK_LOW >> bits) << 32) * f) {
    job->words[job->n_words++] = (guint32) x;
    x >>= 32;
  }
  return ((x / f) << bits) + x % f + start;
}

static void
encode_textbook (Job * job)
{
  guint64 x = TEXTBOOK_LOW;

  job->n_words = 0;
  for (gsize i = N; i-- > 0;) {
    const Table *t = &job->tables[job->table[i]];
    guint32 s = (guint32) (job->symbols[i] - t->min);

    if (s >= t->n_values) {
      x = textbook_push (job, x, (guint16) job->symbols[i], 1, 16);
      s = t->n_values;
    }
    x = textbook_push (job, x, t->cumulative[s],
        t->cumulative[s + 1] - t->cumulative[s], RD_TABLE_BITS);
  }
  job->words[job->n_words++] = (guint32) x;
  job->words[job->n_words++] = x >> 32;
}

static inline guint
find_by_bisection (const Table * t, guint slot)
{
  guint low = 0, high = t->n_values + 1;

  while (high - low > 1) {
    guint middle = (low + high) / 2;

    if (t->cumulative[middle] <= slot)
      low = middle;
    else
      high = middle;
  }
  return low;
}

static inline guint
find_by_slot (const Table * t, guint slot)
{
  return t->slot_to_symbol[slot];
}

static inline guint64
textbook_refill (guint64 x, const guint32 ** p)
{
  return x < TEXTBOOK_LOW ? x << 32 | *--*p : x;
}

static inline void
decode_textbook (Job * job, guint (*find) (const Table * t, guint slot))
{
  const guint32 *p = job->words + job->n_words - 2;
  guint64 x = (guint64) p[1] << 32 | p[0];

  for (gsize i = 0; i < N; i++) {
    const Table *t = &job->tables[job->table[i]];
    guint slot = x & (RD_TABLE_TOTAL - 1), s = find (t, slot);
    guint start = t->cumulative[s], f = t->cumulative[s + 1] - start;

    x = textbook_refill (f * (x >> RD_TABLE_BITS) + slot - start, &p);
    job->decoded[i] = t->min + (gint32) s;
    if (s == t->n_values) {
      job->decoded[i] = (gint16) (x & 0xffff);
      x = textbook_refill (x >> 16, &p);
    }
  }
}

static void
decode_textbook_bisect (Job * job)
{
  decode_textbook (job, find_by_bisection);
}

static void
decode_textbook_slots (Job * job)
{
  decode_textbook (job, find_by_slot);
}

static void
encode_frames (Job * job, gsize n)
{
  g_byte_array_set_size (job->stream, 0);
  for (gsize i = 0; i < N / n; i++) {
    job->offsets[i] = job->stream->len;
    if (!rd_rans_encode (job->rd_tables, LANES, job->symbols + i * n,
            job->table + i * n, n, job->stream, NULL))
      exit (1);
  }
  job->offsets[N / n] = job->stream->len;
}

/* @step symbols a call. */
static void
decode_frames (Job * job, gsize n, gsize step)
{
  for (gsize i = 0; i < N / n; i++) {
    RdRansDecoder d;

    if (!rd_rans_decoder_init (&d, job->rd_tables, LANES, n,
            job->stream->data + job->offsets[i],
            job->offsets[i + 1] - job->offsets[i], NULL))
      exit (1);
    for (gsize done = 0; done < n; done += step)
      rd_rans_decode (&d, job->table + i * n + done,
          job->decoded + i * n + done, step);
    if (!rd_rans_decoder_finish (&d, NULL))
      exit (1);
  }
}

static void
encode_64_tokens (Job * job)
{
  encode_frames (job, N);
}

static void
decode_64_tokens (Job * job)
{
  decode_frames (job, N, N);
}

static void
decode_64_tokens_by_group (Job * job)
{
  decode_frames (job, N, LANES);
}

static void
encode_1_token (Job * job)
{
  encode_frames (job, HIDDEN);
}

static void
decode_1_token (Job * job)
{
  decode_frames (job, HIDDEN, HIDDEN);
}

static void
decode_1_token_by_group (Job * job)
{
  decode_frames (job, HIDDEN, LANES);
}

#ifdef HAVE_HTSCODECS
static void
encode_htscodecs (Job * job)
{
  job->packed_size = rans_compress_bound_4x16 (N, RANS_ORDER_X32);
  rans_compress_to_4x16 (job->bytes, N, job->packed, &job->packed_size,
      RANS_ORDER_X32);
}

static void
decode_htscodecs (Job * job)
{
  guint size = N;
  rans_uncompress_to_4x16 (job->packed, job->packed_size,
      (guint8 *) job->decoded, &size);
}
#endif

static gdouble
measure (Job * job, Pass pass)
{
  struct timespec a, b;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &a);
  pass (job);
  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &b);
  return ((gdouble) (b.tv_sec - a.tv_sec) * 1e9
      + (gdouble) (b.tv_nsec - a.tv_nsec)) / N;
}

typedef struct
{
  const gchar *name;
  Pass encode, decode;
  gboolean exact;               /* decodes to the symbols */
  gdouble encode_ns, decode_ns, bits;
} Contestant;

static gdouble
bits_of (const Job * job, const Contestant * c)
{
  if (c->encode == encode_textbook)
    return (gdouble) job->n_words * 32;
  return (c->exact ? job->stream->len : job->packed_size) * 8.0;
}

static void
run (Job * job, Contestant * c, guint n, guint rounds)
{
  for (guint round = 0; round < rounds; round++) {
    for (guint i = 0; i < n; i++) {
      gdouble ns = measure (job, c[i].encode);

      c[i].encode_ns = MIN (c[i].encode_ns, ns);
      c[i].bits = bits_of (job, &c[i]);
      memset (job->decoded, 0, sizeof job->decoded);
      ns = measure (job, c[i].decode);
      c[i].decode_ns = MIN (c[i].decode_ns, ns);
      if (c[i].exact
          && memcmp (job->decoded, job->symbols, sizeof job->symbols) != 0)
        g_error ("%s does not decode what it encoded", c[i].name);
    }
  }
}

int
main (int argc, char **argv)
{
  Contestant contestants[] = {
    {"textbook 64-bit, bisection", encode_textbook, decode_textbook_bisect,
        TRUE, 1e9, 1e9, 0},
    {"textbook 64-bit, slot tables", encode_textbook, decode_textbook_slots,
        TRUE, 1e9, 1e9, 0},
    {"64 tokens a frame", encode_64_tokens, decode_64_tokens, TRUE, 1e9, 1e9,
        0},
    {"64 tokens, call per group", encode_64_tokens,
        decode_64_tokens_by_group, TRUE, 1e9, 1e9, 0},
    {"1 token a frame", encode_1_token, decode_1_token, TRUE, 1e9, 1e9, 0},
    {"1 token, call per group", encode_1_token, decode_1_token_by_group,
        TRUE, 1e9, 1e9, 0},
#ifdef HAVE_HTSCODECS
    {"htscodecs order-0 32-way", encode_htscodecs, decode_htscodecs, FALSE,
        1e9, 1e9, 0},
#endif
  };
  guint rounds = argc > 1 ? (guint) atoi (argv[1]) : 100;
  Job *job = g_new0 (Job, 1);
  RdTableSpec specs[N_TABLES];
  gdouble ideal = 0;

  job->tables = g_new0 (Table, N_TABLES);
  job->stream = g_byte_array_new ();
  job->packed = g_malloc ((gsize) 4 * N + 65536);
  for (guint i = 0; i < N_TABLES; i++) {
    Table *t = &job->tables[i];
    make_table (t, scale_of (i));
    specs[i] = (RdTableSpec) {
    t->min, t->n_values, 0, t->cumulative};
  }
  job->rd_tables = rd_tables_new (specs, N_TABLES, NULL);
  make_symbols (job, argc > 2 ? g_ascii_strtod (argv[2], NULL) : 3.55);
  for (gsize i = 0; i < N; i++)
    ideal += rd_tables_bits (job->rd_tables, job->table[i], job->symbols[i]);
  run (job, contestants, G_N_ELEMENTS (contestants), rounds);
  g_print ("%s, ideal %.1f bits a token of %d symbols\n"
      "%-29s %9s %9s %9s %9s %10s\n", rd_rans_instruction_set (),
      ideal / TOKENS, HIDDEN, "ns a symbol; x the first", "encode", "decode",
      "encode x", "decode x", "bits/token");
  for (guint i = 0; i < G_N_ELEMENTS (contestants); i++) {
    const Contestant *c = &contestants[i];
    g_print ("%-29s %9.2f %9.2f %9.2f %9.2f %10.1f\n", c->name, c->encode_ns,
        c->decode_ns, c->encode_ns / contestants[0].encode_ns,
        c->decode_ns / contestants[0].decode_ns, c->bits / TOKENS);
  }
  g_byte_array_unref (job->stream);
  rd_tables_free (job->rd_tables);
  g_free (job->tables);
  g_free (job->packed);
  g_free (job);
  return 0;
}
