/* A block of rows to its bytes and back (FORMAT.md sections 2 to 4). */
#include "codec/learned/coder.h"
#include "codec/entropy/rans.h"
#include "codec/float-bits.h"

#include <string.h>

static void
append_raw (const RdCoder * coder, const gfloat * x, const GByteArray * raw,
    GByteArray * out)
{
  gsize d = coder->model->p->hidden_size;

  for (guint i = 0; i < raw->len; i++)
    for (gsize c = 0; c < d; c++)
      rd_append_le (out, rd_float_to_bits (x[raw->data[i] * d + c]), 4);
}

gboolean
rd_coder_encode (RdCoder * coder, const RdRows * rows, const gfloat * x,
    gsize from, gsize n, GByteArray * out, gsize * n_raw, GError ** error)
{
  const RdLearnedModel *model = coder->model;
  gsize d = model->p->hidden_size;
  g_autoptr (GByteArray) raw = g_byte_array_new ();
  g_autoptr (GByteArray) stream = g_byte_array_new ();

  rd_coder_quantise (coder, rows, x, from, n, raw);
  if (!rd_rans_encode (model->tables, rd_block_lanes (n), coder->stream,
          coder->stream_tables, (coder->n_latents + d + 2) * coder->context.n,
          stream, error))
    return FALSE;
  rd_varint_append (out, stream->len);
  g_byte_array_append (out, stream->data, stream->len);
  append_raw (coder, x + from * d, raw, out);
  *n_raw += raw->len;
  return TRUE;
}

gboolean
rd_coder_damaged (GError ** error, const gchar * what)
{
  g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD,
      "damaged payload: %s", what);
  return FALSE;
}

/* ---- symbols ---- */

static void
add_bits (const RdCoder * coder, const guint16 * tables,
    const gint32 * symbols, gsize n, gdouble * bits)
{
  for (gsize i = 0; bits && i < n; i++)
    *bits += rd_tables_bits (coder->model->tables, tables[i], symbols[i]);
}

/* Latents come first; FALSE if those of padding are not 0. */
static gboolean
read_latents (RdCoder * coder, RdRansDecoder * decoder, const RdBlock * block)
{
  const gsize w = coder->context.n, n = coder->n_latents * w;
  gint32 bad = 0;

  rd_coder_latent_tables (coder, block->n);
  rd_rans_decode (decoder, coder->stream_tables, coder->stream, n);
  for (gsize i = 0; i < n; i++)
    if (coder->stream_tables[i] == RD_TABLE_PADDING)
      bad |= coder->stream[i];
  add_bits (coder, coder->stream_tables, coder->stream, n, block->bits);
  return bad == 0;
}

/* Modes and steps: the first two symbols of every row. */
static gboolean
read_rows (RdCoder * coder, RdRansDecoder * decoder, const RdBlock * block,
    GError ** error)
{
  gsize w = coder->context.n, n = block->n;
  gint32 raw = 1 + (gint32) coder->model->p->n_constants;
  gint32 last = block->may_be_raw ? raw : raw - 1;

  for (gsize t = 0; t < w; t++)
    coder->tables[t] = t < n ? RD_TABLE_MODE : RD_TABLE_PADDING;
  rd_rans_decode (decoder, coder->tables, coder->symbols, w);
  for (gsize t = 0; t < w; t++) {
    if (coder->symbols[t] < 0 || coder->symbols[t] > (t < n ? last : 0))
      return rd_coder_damaged (error, "a token's mode does not exist");
    coder->tables[w + t] = t < n && coder->symbols[t] != raw ? RD_TABLE_STEP :
        RD_TABLE_PADDING;
  }
  rd_rans_decode (decoder, coder->tables + w, coder->symbols + w, w);
  for (gsize t = 0; t < w; t++) {
    gint32 step = coder->symbols[w + t];

    if (step < RD_LEARNED_MIN_TOKEN_STEP || step > RD_LEARNED_MAX_TOKEN_STEP
        || (coder->tables[w + t] == RD_TABLE_PADDING && step != 0))
      return rd_coder_damaged (error, "a token's step is out of range");
    coder->context.offset[t] = 32 * step;
  }
  add_bits (coder, coder->tables, coder->symbols, 2 * w, block->bits);
  return TRUE;
}

/* Symbols of all coefficients; FALSE if padding is not 0. */
static gboolean
read_symbols (RdCoder * coder, RdRansDecoder * decoder, gdouble * bits)
{
  gsize d = coder->model->p->hidden_size, w = coder->context.n;
  guint16 *tables = coder->tables + 2 * w;
  const guint16 *step_tables = coder->tables + w;
  gboolean plain = TRUE;
  gint32 bad = 0;

  for (gsize t = 0; t < w; t++)
    plain = plain && step_tables[t] == RD_TABLE_STEP;
  rd_coder_start (coder);
  for (gsize j = 0; j < d; j++) {
    gint32 *symbols = coder->symbols + (j + 2) * w;

    rd_coder_next (coder, j, tables);
    for (gsize t = 0; t < w && !plain; t++)
      if (step_tables[t] == RD_TABLE_PADDING)
        tables[t] = RD_TABLE_PADDING;
    rd_rans_decode (decoder, tables, symbols, w);
    for (gsize t = 0; t < w && !plain; t++)
      if (step_tables[t] == RD_TABLE_PADDING)
        bad |= symbols[t];
    add_bits (coder, tables, symbols, w, bits);
  }
  return bad == 0;
}

static gboolean
read_stream (RdCoder * coder, const RdBlock * block, GError ** error)
{
  gsize n_symbols = (coder->n_latents + coder->model->p->hidden_size + 2)
      * coder->context.n;
  const guint8 *stream = rd_read_bytes (block->reader, block->length);
  g_autoptr (GError) fault = NULL;
  RdRansDecoder decoder;

  if (!stream)
    return rd_coder_damaged (error, "it ends within a block");
  if (!rd_rans_decoder_init (&decoder, coder->model->tables,
          rd_block_lanes (block->n), n_symbols, stream, block->length, &fault))
    return rd_coder_damaged (error, fault->message);
  if (!read_latents (coder, &decoder, block))
    return rd_coder_damaged (error, "padding is not 0");
  if (!read_rows (coder, &decoder, block, error))
    return FALSE;
  if (!read_symbols (coder, &decoder, block->bits))
    return rd_coder_damaged (error, "padding is not 0");
  return rd_rans_decoder_finish (&decoder, &fault)
      || rd_coder_damaged (error, fault->message);
}

/* ---- values ---- */

/* What the rows begin with. */
static void
start_rows (const RdCoder * coder, const RdBlock * block)
{
  const RdLearnedModel *model = coder->model;
  gsize d = model->p->hidden_size;

  rd_model_start (model, block->rows, block->from, block->n, block->x);
  for (gsize t = 0; t < block->n; t++) {
    gint32 mode = coder->symbols[t];

    if (mode > 0 && mode <= (gint32) model->p->n_constants)
      memcpy (block->x + t * d,
          model->p->constants + (gsize) (mode - 1) * d, d * sizeof (gfloat));
  }
}

/* Raw rows follow the stream, and are what they are to the last bit: nothing is added to them. */
static gboolean
read_raw_rows (RdCoder * coder, const RdBlock * block)
{
  gsize d = coder->model->p->hidden_size;
  gint32 raw = 1 + (gint32) coder->model->p->n_constants;

  for (gsize t = 0; t < block->n; t++)
    for (gsize i = 0; i < d && coder->symbols[t] == raw; i++)
      block->x[t * d + i] =
          rd_float_from_bits ((guint32) rd_read_le (block->reader, 4));
  return !block->reader->bad;
}

gboolean
rd_coder_decode (RdCoder * coder, const RdBlock * block, GError ** error)
{
  gsize d = coder->model->p->hidden_size, w = rd_padded_rows (block->n);
  const RdFactor coefficients = { coder->coefficients, block->n, 1, w };

  rd_coder_set_rows (coder, block->n);
  if (!read_stream (coder, block, error))
    return FALSE;
  if (!rd_dequantise (&coder->context, coder->symbols + 2 * w,
          coder->coefficients))
    return rd_coder_damaged (error, "a symbol is out of range");
  start_rows (coder, block);
  rd_packed_matrix_apply (coder->model->synthesis[coder->set], &coefficients,
      block->x);
  if (!read_raw_rows (coder, block))
    return rd_coder_damaged (error, "it ends within a raw row");
  return rd_float_max_abs_bits (block->x,
      block->n * d) < RD_FLOAT_INFINITY_BITS
      || rd_coder_damaged (error, "a value is not finite");
}
