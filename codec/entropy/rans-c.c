/* The coder in plain C: what every other instruction set must equal, and the slow paths' lookup. */
#define RD_TARGET
#include "codec/entropy/tables-private.h"

/* Limits of @line not above @slot; compilers make four SSE2 comparisons of it. */
static inline guint
count_limits (const guint16 * line, guint slot)
{
  gint16 count = 0, key = (gint16) slot;

  for (guint i = 0; i < RD_LINE_SIZE; i++)
    count += (gint16) line[i] <= key;
  return (guint) count;
}

#include "codec/entropy/rans-impl.h"

/* A damaged stream that ends too early goes on with zeros. */
static inline guint32
refill (RdRansDecoder * d, guint32 x)
{
  if (G_UNLIKELY (d->p == d->end)) {
    d->damaged = TRUE;
    return x << 16;
  }
  x = x << 16 | rd_read_word (d->p);
  d->p += 2;
  return x;
}

void
rd_rans_decode_careful (RdRansDecoder * d, const guint16 * table,
    gint32 * symbols)
{
  guint32 escapes = 0;

  for (guint lane = 0; lane < d->lanes; lane++) {
    guint32 x = d->state[lane], slot = x & RD_SLOT_MASK;
    guint32 range = look_up (d->tables, table[lane], slot, &symbols[lane]);
    guint32 start = range & 0xffff, limit = range >> 16;

    x = (limit - start) * (x >> RD_TABLE_BITS) + slot - start;
    d->state[lane] = x < RD_RANS_LOW ? refill (d, x) : x;
    escapes |= (guint32) (limit == RD_TABLE_TOTAL) << lane;
  }
  if (G_UNLIKELY (escapes))
    rd_rans_read_escapes (d, table, symbols, escapes);
}

void
rd_rans_decode_ending (RdRansDecoder * d, const guint16 * table,
    gint32 * symbols, gsize n)
{
  guint32 low = d->state[0], range = d->ending;

  for (gsize i = 0; i < n; i++) {
    guint32 unit = MAX (range >> RD_TABLE_BITS, 1);
    guint32 slot = MIN (low / unit, RD_SLOT_MASK);
    guint32 limits = look_up (d->tables, table[i], slot, &symbols[i]);
    guint32 start = limits & 0xffff, limit = limits >> 16;

    low -= start * unit;
    range = (limit - start) * unit;
    if (limit == RD_TABLE_TOTAL) {
      d->damaged = TRUE;
      symbols[i] = 0;
    }
  }
  d->state[0] = low;
  d->ending = range;
}

static void
decode_groups (RdRansDecoder * d, const guint16 * table, gint32 * symbols,
    gsize n_groups)
{
  for (gsize i = 0; i < n_groups; i++)
    rd_rans_decode_careful (d, table + i * d->lanes, symbols + i * d->lanes);
}

/* Lanes descend, so that they can be read in ascending order: all words of a group, as the vector decoders take them. */
static void
encode_groups (RdRansWriter * writer, guint lanes, const guint64 * entries,
    gsize n_groups)
{
  while (n_groups-- > 0) {
    for (guint lane = lanes; lane-- > 0;)
      rd_encode_entry (writer, &writer->state[lane],
          entries[n_groups * lanes + lane]);
  }
}

const RdRansKernels rd_rans_kernels_c = {
  "c", decode_groups, decode_single, encode_groups
};
