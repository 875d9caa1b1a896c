/* What the parts of the coder share. */
#pragma once
#include "codec/entropy/rans.h"
#include "codec/entropy/tables-private.h"

G_BEGIN_DECLS

#if defined (__x86_64__)
#define RD_RANS_X86 1
#endif

#define RD_RANS_LOW (1u << 15)  /* states between symbols are RD_RANS_LOW .. 2^31 - 1 */
#define RD_RANS_STATE_BITS 31
/* The last symbols of a stream without lanes, the ending, are a range coder's: its range begins with RD_ENDING_RANGE and does not fall below
 * RD_ENDING_RANGE_MIN. What is left is a number of up to RD_ENDING_BITS bits behind a leading one, below RD_ENDING_LIMIT; states have
 * at least that. */
#define RD_ENDING_RANGE (1u << 31)
#define RD_ENDING_BITS 13
#define RD_ENDING_RANGE_MIN (RD_ENDING_RANGE >> RD_ENDING_BITS)
#define RD_ENDING_LIMIT (1u << (RD_ENDING_BITS + 1))
#define RD_SLOT_MASK (RD_TABLE_TOTAL - 1)

/** RdRansWriter: words are stored downwards from the end of a buffer. */
typedef struct
{
  guint32 state[RD_RANS_MAX_LANES];
  guint8 *p;                    /* the last stored word, or @end */
  guint8 *begin, *end;
} RdRansWriter;

struct _RdRansKernels
{
  const gchar *name;
  /* @n_groups groups of all lanes. */
  void (*decode_groups) (RdRansDecoder * d, const guint16 * table, gint32 * symbols, gsize n_groups);
  /* @n symbols of the single state. */
  void (*decode_single) (RdRansDecoder * d, const guint16 * table, gint32 * symbols, gsize n);
  /* @n_groups groups of @lanes entries, the last group first. Room for a word each and 16 bytes more is below writer->p. */
  void (*encode_groups) (RdRansWriter * writer, guint lanes, const guint64 * entries, gsize n_groups);
};

extern const RdRansKernels rd_rans_kernels_c;
#ifdef RD_RANS_X86
extern const RdRansKernels rd_rans_kernels_avx2, rd_rans_kernels_avx512;
/* Lanes whose bit is not set keep their place; the i-th set one gets word i. Bytes, for each mask of 8 lanes. */
extern guint8 rd_rans_expand[256][8];
/* Byte shuffles that move the words of the set lanes to the upper end. */
extern guint8 rd_rans_compress[256][16];
#endif

const RdRansKernels *rd_rans_kernels (void);

/** rd_check_tables: the caller's indices exist; anything else is a bug. */
static inline void
rd_check_tables (const RdTables * tables, const guint16 * table, gsize n)
{
  guint16 max = 0;

  for (gsize i = 0; i < n; i++)
    max = MAX (max, table[i]);
  g_assert (max < tables->n);
}

static inline guint
rd_read_word (const guint8 * p)
{
  return p[0] | (guint) p[1] << 8;
}

static inline void
rd_push_word (RdRansWriter * writer, guint word)
{
  *--writer->p = word >> 8;
  *--writer->p = word & 0xff;
}

/* x * m / 2^(31 + b): see RD_ENTRY_START_SHIFT. */
static inline void
rd_encode_entry (RdRansWriter * writer, guint32 * state, guint64 entry)
{
  guint32 x = *state, high = entry >> 32;
  guint32 f = (high & RD_ENTRY_MASK) + 1;
  guint32 start = (high >> RD_ENTRY_START_SHIFT) & RD_ENTRY_MASK;

  if (x >= f << (RD_RANS_STATE_BITS - RD_TABLE_BITS)) {
    rd_push_word (writer, x);
    x >>= 16;
  }
  guint32 q = (x * (entry & 0xffffffffu)) >> (31 + (high >> RD_ENTRY_B_SHIFT));
  *state = x + start + q * (RD_TABLE_TOTAL - f);
}

/* Slow paths of rans-decode.c. */

/** rd_rans_next_source: the words at hand are used up; go on with those after them, if any. If there are none and the state is @x, %TRUE
 * if the ending begins. */
gboolean rd_rans_next_source (RdRansDecoder * d, guint32 x);
/** rd_rans_read_escape: the value after the escape of table @index in the state @lane. */
gint32 rd_rans_read_escape (RdRansDecoder * d, guint lane, guint index);
/** rd_rans_decode_ending: @n symbols of the ending, a plain range coder. */
void rd_rans_decode_ending (RdRansDecoder * d, const guint16 * table, gint32 * symbols, gsize n);
/** rd_rans_decode_careful: one group, for the end of a stream. */
void rd_rans_decode_careful (RdRansDecoder * d, const guint16 * table, gint32 * symbols);
/** rd_rans_read_escapes: values of all lanes of a group whose bit is set in @mask. */
void rd_rans_read_escapes (RdRansDecoder * d, const guint16 * table, gint32 * symbols, guint32 mask);

G_END_DECLS
