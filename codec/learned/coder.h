/* Blocks of rows to symbols and back. Private to codec/learned. */
#pragma once
#include "codec/learned/model.h"
#include "codec/learned/network-run.h"
#include "codec/wire/bytes.h"

G_BEGIN_DECLS

#define RD_BLOCK_LANES 8u       /* more cost bits: a block's last coefficients hold little to start lanes with */

/** RdCoder: scratch of one thread. D = hidden size. */
typedef struct
{
  const RdLearnedModel *model;
  const RdPackedMatrix *analysis;     /* of an encoder's set */
  const RdLatents *latents;     /* of an encoder's set with latents */
  RdSteps steps;
  guint set, level;             /* of the steps */
  gboolean scalar;
  gboolean have_steps;
  RdContext context;
  RdNetworkRun *networks;       /* NULL: the file has none */
  guint n_latents;              /* L, of the set */
  gint32 *stream;               /* (L + D + 2, w) symbols in their order */
  guint16 *stream_tables;       /* (L + D + 2, w) */
  gint32 *symbols;              /* (D + 2, w), behind the latents */
  guint16 *tables;              /* (D + 2, w) */
  gfloat *coefficients;         /* (n, D) of an encoder, (D, w) of a decoder */
  gfloat *rows;                 /* (RD_BLOCK_ROWS, D) */
  gfloat *values;               /* (D, RD_TRELLIS_ROWS) coefficients of some rows in steps */
  gint32 *row_symbols;          /* (D, RD_TRELLIS_ROWS) or, for latents, those of one row */
  gint32 *decisions;            /* of the trellis */
  /* Of an encoder with latents: */
  RdSteps scalar_steps;         /* of the same set and level, for the scalar quantiser */
  gboolean have_scalar_steps;
  gfloat *features;             /* (RD_BLOCK_ROWS, 2 D) */
  gfloat *latent_values;        /* (RD_BLOCK_ROWS, L) */
} RdCoder;

RdCoder *rd_coder_new (const RdLearnedModel * model);
void rd_coder_free (RdCoder * coder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdCoder, rd_coder_free)

/** rd_coder_set: what the next blocks use that are decoded. */
void rd_coder_set (RdCoder * coder, guint set, guint level, gboolean scalar);
/** rd_coder_set_encoder: what the next blocks use that are encoded. INPUT error if the set's synthesis has no inverse, or memory is
 * short. */
gboolean rd_coder_set_encoder (RdCoder * coder, guint set, guint level, gboolean scalar, GError ** error);

/** rd_coder_set_rows: places the arrays for a block of @n rows. */
void rd_coder_set_rows (RdCoder * coder, gsize n);
/** rd_coder_latent_tables: those of the latents of @n rows. */
void rd_coder_latent_tables (RdCoder * coder, gsize n);
/** rd_coder_choose_latents: an encoder's, from what the scalar quantiser would make of @n rows: their coefficients, modes (in the symbols) and offsets (in
 * the context) are set, steps are those of the coder's set and level. */
void rd_coder_choose_latents (RdCoder * coder, gsize n);
/** rd_coder_start, rd_coder_next: tables of coefficient @j, from symbols of those before it. j = 0, 1, 2, ... */
void rd_coder_start (RdCoder * coder);
void rd_coder_next (RdCoder * coder, gsize j, guint16 * tables);

/** rd_padded_rows: w of FORMAT.md section 3. */
static inline gsize
rd_padded_rows (gsize n)
{
  return n < RD_BLOCK_LANES ? n :
      (n + RD_BLOCK_LANES - 1) / RD_BLOCK_LANES * RD_BLOCK_LANES;
}

static inline guint
rd_block_lanes (gsize n)
{
  return n < RD_BLOCK_LANES ? 1 : RD_BLOCK_LANES;
}

/** rd_coder_quantise: symbols and tables of @n rows from row @from of @rows. Numbers of RAW rows (guint8) are appended to @raw if it is not
 * NULL. */
void rd_coder_quantise (RdCoder * coder, const RdRows * rows, const gfloat * x, gsize from, gsize n, GByteArray * raw);
/** rd_coder_encode: appends the block: length, stream and RAW rows, whose number is added to *n_raw. */
gboolean rd_coder_encode (RdCoder * coder, const RdRows * rows, const gfloat * x, gsize from, gsize n, GByteArray * out, gsize * n_raw,
    GError ** error);

/** RdBlock: one block to be decoded, rows @from .. @from + @n - 1 of @rows. */
typedef struct
{
  const RdRows *rows;
  gsize from, n;
  RdReader *reader;             /* behind the length */
  gsize length;                 /* of the stream */
  gboolean may_be_raw;
  gfloat *x;                    /* (n, D) out */
  gdouble *bits;                /* ideal length of the symbols is added; may be NULL */
} RdBlock;

gboolean rd_coder_decode (RdCoder * coder, const RdBlock * block, GError ** error);
/** rd_coder_damaged: sets a PAYLOAD error that says @what is wrong; FALSE. */
gboolean rd_coder_damaged (GError ** error, const gchar * what);

G_END_DECLS
