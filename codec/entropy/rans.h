/* The entropy coder: interleaved range asymmetric numeral systems with a table of probabilities per symbol (J. Duda, arXiv:1311.2540). The
 * bytes are in FORMAT.md; they and the decoded symbols are the same for every instruction set, compiler and thread.
 *
 * Symbols are coded in the order of an array. `lanes` (1, 8, 16 or 32) neighbours are one group, decoded at once, so the table of a symbol
 * may depend on symbols of earlier groups only. With 1 lane, and in streams too short to pay for more (rd_rans_main_symbols() is 0), one
 * state does everything: a stream then costs about 7 bits above the ideal length, 24 at most (FORMAT.md).
 *
 * The environment variable ST_KERNELS = c, avx2 or avx512 forces a lower instruction set. */
#pragma once
#include "codec/entropy/tables.h"

G_BEGIN_DECLS

#define RD_RANS_MAX_LANES 32
#define RD_RANS_MAX_SYMBOLS (1u << 28)

/** rd_rans_main_symbols: how many of the first of @n symbols are coded in @lanes lanes; the others follow in one state. A multiple
 * of @lanes, 0 for 1 lane or fewer than 256 groups. */
gsize rd_rans_main_symbols (guint lanes, gsize n);

/** rd_rans_encode: appends the stream of @n (up to RD_RANS_MAX_SYMBOLS) @symbols to @out; @table[i] < rd_tables_count() is the table of symbol i. SYMBOL error if one is
 * beyond RD_SYMBOL_MAX; @out is then what it was. */
gboolean rd_rans_encode (const RdTables * tables, guint lanes, const gint32 * symbols, const guint16 * table, gsize n, GByteArray * out,
    GError ** error);

typedef struct _RdRansKernels RdRansKernels;

/** RdRansDecoder: lives on the caller's stack and is not moved; all fields are private. Tables and stream must outlive it. Nothing to free. */
typedef struct
{
  guint32 state[RD_RANS_MAX_LANES];
  const RdTables *tables;
  const RdRansKernels *kernels;
  const guint8 *p, *end;        /* 16-bit words to read next */
  const guint8 *rest, *rest_end;        /* words after those */
  gsize n, n_main, done;
  guint32 ending;               /* range of the last symbols' coder, once it has begun */
  guint lanes;
  gboolean damaged;
  guint8 hidden[2 * RD_RANS_MAX_LANES]; /* words that the lanes carried */
} RdRansDecoder;

/** rd_rans_decoder_init: starts decoding the @size bytes of @stream, which hold @n symbols. STREAM error if they
 * cannot. With 1 lane @n may be more than are there. A few bytes may stand for many symbols: bound @n before allocating for it. */
gboolean rd_rans_decoder_init (RdRansDecoder * decoder, const RdTables * tables, guint lanes, gsize n, const guint8 * stream, gsize size,
    GError ** error);
/** rd_rans_decode: the next @n @symbols under the tables @table[i] < rd_tables_count(). @n is a multiple of the lanes unless it reaches
 * beyond the main symbols; one call for many groups is faster than many calls. Damaged streams give any symbols up to RD_SYMBOL_MAX. */
void rd_rans_decode (RdRansDecoder * decoder, const guint16 * table, gint32 * symbols, gsize n);
/** rd_rans_decoder_finish: after all symbols: STREAM error unless the stream was used up exactly. Finds much of the damage, not
 * all: a checksum is the frame's work. */
gboolean rd_rans_decoder_finish (const RdRansDecoder * decoder, GError ** error);

/** rd_rans_instruction_set: what run-time dispatch chose: "avx512", "avx2" or "c". */
const gchar *rd_rans_instruction_set (void);
/** rd_rans_force_instruction_set: for tests, while nothing is being decoded; %FALSE if this CPU lacks it. NULL goes back to the choice. */
gboolean rd_rans_force_instruction_set (const gchar * name);

G_END_DECLS
