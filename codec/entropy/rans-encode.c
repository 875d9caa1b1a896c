/* Encoder: from the last symbol to the first, words stored downwards, so that the decoder reads upwards. */
#include "codec/entropy/rans-private.h"

#include <string.h>

#define BLOCK_SYMBOLS 1024u     /* a multiple of all lane counts */
#define BLOCK_SPACE (2 * BLOCK_SYMBOLS + 64)    /* bytes of a block's symbols, and of states */
#define ESCAPE_SPACE 12         /* bytes of 1 + 25 + 26 bits, each word stored early */
#define CHUNK_BITS 14
#define ENDING_SYMBOLS 1024u    /* the ending has at most so many */

typedef struct
{
  const RdTables *tables;
  const RdRansKernels *kernels;
  const gint32 *symbols;
  const guint16 *table;
  RdRansWriter writer;
} Encoder;

/* One block: what each symbol needs, and which of them are escapes. */
typedef struct
{
  guint64 entries[BLOCK_SYMBOLS];
  guint16 escapes[BLOCK_SYMBOLS + 1];
  guint n_escapes;
} Block;

static void
reserve (RdRansWriter * writer, gsize size)
{
  gsize left = (gsize) (writer->p - writer->begin);
  gsize used = (gsize) (writer->end - writer->p);

  if (left >= size)
    return;
  gsize capacity = 2 * used + size + BLOCK_SPACE;
  guint8 *bytes = g_malloc (capacity);
  if (used)
    memcpy (bytes + capacity - used, writer->p, used);
  g_free (writer->begin);
  writer->begin = bytes;
  writer->end = bytes + capacity;
  writer->p = writer->end - used;
}

/* Entry of symbol @i; sets *@is_escape. */
static inline guint64
find_entry (const Encoder * encoder, gsize i, gboolean * is_escape)
{
  const RdTableInfo *info = &encoder->tables->info[encoder->table[i]];
  guint32 offset = (guint32) encoder->symbols[i] - (guint32) info->min;
  guint32 index = MIN (offset, info->n_values);

  *is_escape = index == info->n_values;
  return encoder->tables->entries[info->first_entry + index];
}

static void
resolve (const Encoder * encoder, gsize first, guint n, Block * block)
{
  guint n_escapes = 0;

  for (guint i = 0; i < n; i++) {
    gboolean is_escape;

    block->entries[i] = find_entry (encoder, first + i, &is_escape);
    block->escapes[n_escapes] = i;
    n_escapes += (guint) is_escape;
  }
  block->n_escapes = n_escapes;
}

static void
push_bits (RdRansWriter * writer, guint lane, guint bits, guint n_bits)
{
  guint32 x = writer->state[lane];

  if (x >> (RD_RANS_STATE_BITS - n_bits)) {
    rd_push_word (writer, x);
    x >>= 16;
  }
  writer->state[lane] = x << n_bits | bits;
}

/* What rd_rans_read_escape() reads, backwards. */
static gboolean
push_escape (Encoder * encoder, gsize i, guint lane, GError ** error)
{
  const RdTableInfo *info = &encoder->tables->info[encoder->table[i]];
  RdRansWriter *writer = &encoder->writer;
  gint32 symbol = encoder->symbols[i];

  if (symbol < -RD_SYMBOL_MAX || symbol > RD_SYMBOL_MAX) {
    g_set_error (error, RD_ENTROPY_ERROR, RD_ENTROPY_ERROR_SYMBOL,
        "symbol %" G_GSIZE_FORMAT " is %d; the entropy coder carries"
        " magnitudes up to %d", i, symbol, RD_SYMBOL_MAX);
    return FALSE;
  }
  gboolean above = symbol > info->min;
  gint32 distance = above ? symbol - info->min - info->n_values
      : info->min - 1 - symbol;
  guint e = (guint) distance + (1u << info->golomb);
  guint length = g_bit_storage (e) - 1;
  guint n_low = MIN (length, CHUNK_BITS);

  push_bits (writer, lane, e & ((1u << n_low) - 1), n_low);
  if (length > n_low) {
    guint n_high = length - n_low;
    push_bits (writer, lane, (e >> n_low) & ((1u << n_high) - 1), n_high);
  }
  push_bits (writer, lane, 0, 1);
  for (guint j = info->golomb; j < length; j++)
    push_bits (writer, lane, 1, 1);
  push_bits (writer, lane, above, 1);
  return TRUE;
}

/* Symbols @first .. @first + @n - 1, whole groups, n <= BLOCK_SYMBOLS. */
static gboolean
encode_block (Encoder * encoder, guint lanes, gsize first, guint n,
    Block * block, GError ** error)
{
  const RdRansKernels *kernels =
      lanes == 1 ? &rd_rans_kernels_c : encoder->kernels;
  guint end = n;

  resolve (encoder, first, n, block);
  reserve (&encoder->writer,
      BLOCK_SPACE + (gsize) block->n_escapes * ESCAPE_SPACE);
  while (block->n_escapes > 0) {
    guint group = block->escapes[block->n_escapes - 1] / lanes * lanes;

    kernels->encode_groups (&encoder->writer, lanes,
        block->entries + group + lanes, (end - group) / lanes - 1);
    while (block->n_escapes > 0
        && block->escapes[block->n_escapes - 1] >= group) {
      guint i = block->escapes[--block->n_escapes];
      if (!push_escape (encoder, first + i, i - group, error))
        return FALSE;
    }
    end = group + lanes;
  }
  kernels->encode_groups (&encoder->writer, lanes, block->entries, end / lanes);
  return TRUE;
}

/* Symbols @begin .. @end - 1, whole groups, backwards. */
static gboolean
encode_range (Encoder * encoder, guint lanes, gsize begin, gsize end,
    GError ** error)
{
  Block block;

  while (end > begin) {
    guint n = MIN (end - begin, BLOCK_SYMBOLS);

    end -= n;
    if (!encode_block (encoder, lanes, end, n, &block, error))
      return FALSE;
  }
  return TRUE;
}

/* The other lanes start with the words stored last, which the decoder finds there when it is through with the lanes. */
static void
begin_lanes (RdRansWriter * writer, guint lanes)
{
  for (guint lane = 1; lane < lanes; lane++) {
    writer->state[lane] = RD_RANS_LOW;
    if (writer->p < writer->end) {
      writer->state[lane] = 1u << 16 | rd_read_word (writer->p);
      writer->p += 2;
    }
  }
}

static guint
frequency (guint64 entry)
{
  return ((entry >> 32) & RD_ENTRY_MASK) + 1;
}

/* Lower end and size of the range of the @n symbols of @entries. */
static guint32
narrow (const guint64 * entries, guint n, guint32 * range)
{
  guint32 low = 0;

  *range = RD_ENDING_RANGE;
  for (guint i = 0; i < n; i++) {
    guint32 unit = *range >> RD_TABLE_BITS;
    low += unit * (entries[i] >> 32 >> RD_ENTRY_START_SHIFT & RD_ENTRY_MASK);
    *range = unit * frequency (entries[i]);
  }
  return low;
}

/* Shortest number within a range, behind a leading one; at least @min. 0 if the range is too small for any. */
static guint32
make_ending (guint32 low, guint32 range, guint32 min)
{
  for (guint length = 0; length <= RD_ENDING_BITS; length++) {
    guint shift = RD_RANS_STATE_BITS - length;
    guint32 number = (low + (1u << shift) - 1) >> shift;
    if (1u << length >= min && number << shift < low + range)
      return 1u << length | number;
  }
  return 0;
}

/* Encodes as many of the last symbols as the ending has room for, and returns how many. The symbol before them must make a state of
 * at least RD_ENDING_LIMIT; one with half of all slots or fewer does. */
static gsize
encode_ending (Encoder * encoder, gsize n)
{
  guint starts[RD_ENDING_BITS + 2], n_starts = 0;
  guint first = ENDING_SYMBOLS;
  guint32 range = RD_ENDING_RANGE;
  guint64 entries[ENDING_SYMBOLS];
  gboolean is_escape = FALSE;

  while (first > 0 && ENDING_SYMBOLS - first < n
      && range >= RD_ENDING_RANGE_MIN) {
    entries[first - 1] = find_entry (encoder, n - 1 - (ENDING_SYMBOLS - first),
        &is_escape);
    if (is_escape)
      break;
    guint f = frequency (entries[--first]);
    if (f <= RD_ENDING_LIMIT / 2)
      starts[n_starts++] = first + 1;
    range = (range >> RD_TABLE_BITS) * f;
  }
  if (range >= RD_ENDING_RANGE_MIN && ENDING_SYMBOLS - first == n)
    starts[n_starts++] = first;
  while (n_starts > 0) {
    guint start = starts[--n_starts], count = ENDING_SYMBOLS - start;
    guint32 low = narrow (entries + start, count, &range);
    guint32 min = count < n ? frequency (entries[start - 1]) : 1;

    encoder->writer.state[0] = make_ending (low, range, min);
    if (encoder->writer.state[0] > 0)
      return count;
  }
  encoder->writer.state[0] = RD_ENDING_LIMIT;
  return 0;
}

static void
push_number (RdRansWriter * writer, guint32 number, guint n_bytes)
{
  while (n_bytes-- > 0)
    *--writer->p = number >> 8 * n_bytes & 0xff;
}

static void
push_states (RdRansWriter * writer, guint lanes)
{
  guint32 x = writer->state[0];
  guint n_bytes = (g_bit_storage (x) + 7) / 8;

  if (writer->p < writer->end)
    n_bytes = MAX (n_bytes, 3);
  push_number (writer, x, x ? n_bytes : 0);
  for (guint lane = lanes - 1; lane > 0; lane--) {
    gboolean is_long = writer->state[lane] >> 23 != 0;
    push_number (writer, writer->state[lane] << 1 | (guint) is_long,
        3 + is_long);
  }
}

gboolean
rd_rans_encode (const RdTables * tables, guint lanes, const gint32 * symbols,
    const guint16 * table, gsize n, GByteArray * out, GError ** error)
{
  gsize n_main = rd_rans_main_symbols (lanes, n);
  Encoder encoder = {.tables = tables,.symbols = symbols,.table = table };
  RdRansWriter *writer = &encoder.writer;
  gboolean ok;

  g_assert (lanes == 1 || lanes == 8 || lanes == 16 || lanes == 32);
  g_assert (n <= RD_RANS_MAX_SYMBOLS);
  rd_check_tables (tables, table, n);
  encoder.kernels = rd_rans_kernels ();
  reserve (writer, n / 4 + BLOCK_SPACE);
  gsize n_ending = 0;
  if (n_main > 0)
    writer->state[0] = RD_RANS_LOW;
  else if (n > 0)
    n_ending = encode_ending (&encoder, n);
  ok = encode_range (&encoder, 1, n_main, n - n_ending, error);
  if (ok && n_main > 0) {
    begin_lanes (writer, lanes);
    ok = encode_range (&encoder, lanes, 0, n_main, error);
  }
  if (ok) {
    reserve (writer, 4 * RD_RANS_MAX_LANES);
    push_states (writer, n_main > 0 ? lanes : 1);
    g_byte_array_append (out, writer->p, (guint) (writer->end - writer->p));
  }
  g_free (writer->begin);
  return ok;
}
