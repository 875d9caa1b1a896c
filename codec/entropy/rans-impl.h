/* Lookup and the decoder of one state, compiled once per instruction set: define RD_TARGET and count_limits() before. */
#include "codec/entropy/rans-private.h"

/* Line of 30 symbols for a slot of a wide table, and the first of its symbols. */
static inline RD_TARGET const guint16 *
find_fine_line (const RdTables * tables, guint index, guint slot,
    gint32 * first)
{
  const RdTableInfo *info = &tables->info[index];
  guint i = count_limits (tables->lines[index], slot) - 1;

  *first = info->min + (gint32) (i * RD_LINE_SYMBOLS);
  return tables->lines[info->fine + i];
}

/* Range of the symbol that holds @slot: its start, and in the upper half its end. @symbol is meaningless for the escape, whose range
 * ends at RD_TABLE_TOTAL. */
static inline RD_TARGET guint32
look_up (const RdTables * tables, guint index, guint slot, gint32 * symbol)
{
  const guint16 *line = tables->lines[index];
  gint32 first = (gint32) line[RD_LINE_EXTRA] - (gint32) RD_LINE_MIN;

  if (G_UNLIKELY (line[RD_LINE_EXTRA] == RD_LINE_WIDE))
    line = find_fine_line (tables, index, slot, &first);
  guint i = count_limits (line, slot) - 1;
  *symbol = first + (gint32) i;
  return line[i] | (guint32) line[i + 1] << 16;
}

/* Symbols of the single state, and in the end those of the ending. */
static RD_TARGET void
decode_single (RdRansDecoder * d, const guint16 * table, gint32 * symbols,
    gsize n)
{
  const RdTables *tables = d->tables;
  const guint8 *p = d->p, *end = d->end;
  guint32 x = d->state[0];

  for (gsize i = 0; i < n; i++) {
    guint32 slot = x & RD_SLOT_MASK;
    guint32 range = look_up (tables, table[i], slot, &symbols[i]);
    guint32 start = range & 0xffff, limit = range >> 16;

    x = (limit - start) * (x >> RD_TABLE_BITS) + slot - start;
    if (x < RD_RANS_LOW) {
      if (G_UNLIKELY (p == end)) {
        if (rd_rans_next_source (d, x)) {
          d->damaged |= limit == RD_TABLE_TOTAL;
          rd_rans_decode_ending (d, table + i + 1, symbols + i + 1, n - i - 1);
          return;
        }
        p = d->p;
        end = d->end;
      }
      if (p < end) {
        x = x << 16 | rd_read_word (p);
        p += 2;
      }
    }
    if (G_UNLIKELY (limit == RD_TABLE_TOTAL)) {
      d->state[0] = x;
      d->p = p;
      symbols[i] = rd_rans_read_escape (d, 0, table[i]);
      x = d->state[0];
      p = d->p;
      end = d->end;
    }
  }
  d->state[0] = x;
  d->p = p;
}
