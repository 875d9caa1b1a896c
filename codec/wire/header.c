/* Contents of HEADER: records of tag, length, value. Odd tags may be skipped, even ones must be known. */
#include <math.h>
#include <string.h>
#include "codec/wire/bytes.h"
#include "codec/wire/layout.h"

#define MAX_SPLIT_LAYER 65535u
#define MAX_HIDDEN_SIZE (1u << 20)

static gboolean
header_invalid (GError ** error, const gchar * what)
{
  g_set_error (error, RD_WIRE_ERROR, RD_WIRE_ERROR_INVALID, "HEADER: %s", what);
  return FALSE;
}

void
rd_wishes_clear (RdWishes * wishes)
{
  g_strfreev (wishes->stop);
  memset (wishes, 0, sizeof *wishes);
}

void
rd_wishes_copy (RdWishes * dst, const RdWishes * src)
{
  *dst = *src;
  dst->stop = g_strdupv (src->stop);
}

void
rd_header_clear (RdHeader * header)
{
  rd_wishes_clear (&header->wishes);
  memset (header, 0, sizeof *header);
}

void
rd_header_copy (RdHeader * dst, const RdHeader * src)
{
  *dst = *src;
  rd_wishes_copy (&dst->wishes, &src->wishes);
}

static guint
count_stops (const RdWishes * wishes)
{
  return wishes->stop ? g_strv_length (wishes->stop) : 0;
}

/* The same limits hold for what is written and for what is read. */
static gboolean
check_wishes (const RdWishes * w, GError ** error)
{
  const gfloat floats[] = { w->temperature, w->top_p, w->min_p,
    w->repeat_penalty, w->presence_penalty, w->frequency_penalty
  };
  guint i, n_stops = count_stops (w);

  for (i = 0; i < G_N_ELEMENTS (floats); i++)
    if (!isfinite (floats[i]))
      return header_invalid (error, "a sampling wish is not a finite number");
  if (n_stops > RD_MAX_STOPS)
    return header_invalid (error, "more than 16 stop strings");
  for (i = 0; i < n_stops; i++) {
    gsize n = strlen (w->stop[i]);

    if (n == 0 || n > RD_MAX_STOP_BYTES
        || !g_utf8_validate (w->stop[i], (gssize) n, NULL))
      return header_invalid (error,
          "a stop string is empty, over 256 bytes or not UTF-8");
  }
  return TRUE;
}

static gboolean
check_header (const RdHeader * h, GError ** error)
{
  if (!memchr (h->codec, 0, sizeof h->codec) || !h->codec[0]
      || !g_utf8_validate (h->codec, -1, NULL))
    return header_invalid (error, "no usable codec name");
  if (!memchr (h->model_name, 0, sizeof h->model_name)
      || !g_utf8_validate (h->model_name, -1, NULL))
    return header_invalid (error, "the model's name is not UTF-8");
  if (h->split_layer > MAX_SPLIT_LAYER || h->hidden_size == 0
      || h->hidden_size > MAX_HIDDEN_SIZE || h->vocab_size > G_MAXINT32)
    return header_invalid (error,
        "split layer, hidden size or vocabulary size out of range");
  return check_wishes (&h->wishes, error);
}

static void
append_record (GByteArray * out, guint tag, const void *value, gsize size)
{
  rd_varint_append (out, tag);
  rd_varint_append (out, size);
  g_byte_array_append (out, value, (guint) size);
}

static void
append_wish_le (GByteArray * out, const RdWishes * w, guint32 wish,
    guint64 value, guint bytes)
{
  if (!(w->mask & wish))
    return;
  rd_varint_append (out, RD_HEADER_WISH_BASE +
      2 * (guint) g_bit_nth_lsf (wish, -1));
  rd_varint_append (out, bytes);
  rd_append_le (out, value, bytes);
}

static void
append_wish_float (GByteArray * out, const RdWishes * w, guint32 wish,
    gfloat value)
{
  guint32 bits;

  memcpy (&bits, &value, 4);
  append_wish_le (out, w, wish, bits, 4);
}

static void
append_wishes (GByteArray * out, const RdWishes * w)
{
  guint i;

  append_wish_float (out, w, RD_WISH_TEMPERATURE, w->temperature);
  append_wish_le (out, w, RD_WISH_TOP_K, (guint32) w->top_k, 4);
  append_wish_float (out, w, RD_WISH_TOP_P, w->top_p);
  append_wish_float (out, w, RD_WISH_MIN_P, w->min_p);
  append_wish_float (out, w, RD_WISH_REPEAT_PENALTY, w->repeat_penalty);
  append_wish_le (out, w, RD_WISH_REPEAT_LAST_N, (guint32) w->repeat_last_n, 4);
  append_wish_float (out, w, RD_WISH_PRESENCE_PENALTY, w->presence_penalty);
  append_wish_float (out, w, RD_WISH_FREQUENCY_PENALTY, w->frequency_penalty);
  append_wish_le (out, w, RD_WISH_SEED, w->seed, 8);
  append_wish_le (out, w, RD_WISH_MAX_TOKENS, w->max_tokens, 4);
  append_wish_le (out, w, RD_WISH_IGNORE_EOS, w->ignore_eos ? 1 : 0, 1);
  if (!(w->mask & RD_WISH_STOP))
    return;
  /* an empty record says "no stop strings", which is a wish too */
  if (count_stops (w) == 0)
    append_record (out, RD_HEADER_WISH_BASE + 20, "", 0);
  for (i = 0; i < count_stops (w); i++)
    append_record (out, RD_HEADER_WISH_BASE + 20, w->stop[i],
        strlen (w->stop[i]));
}

gboolean
rd_header_append (const RdHeader * h, GByteArray * out, GError ** error)
{
  static const guint8 no_cookie[RD_COOKIE_BYTES] = { 0, };

  if (!check_header (h, error))
    return FALSE;
  append_record (out, RD_HEADER_SESSION_ID, h->session_id,
      sizeof h->session_id);
  append_record (out, RD_HEADER_MODEL_ID, h->model_id, sizeof h->model_id);
  append_record (out, RD_HEADER_TOKENIZER_ID, h->tokenizer_id,
      sizeof h->tokenizer_id);
  append_record (out, RD_HEADER_CODEC, h->codec, strlen (h->codec));
  rd_varint_append (out, RD_HEADER_GEOMETRY);
  rd_varint_append (out, rd_varint_size (h->split_layer) +
      rd_varint_size (h->hidden_size) + rd_varint_size (h->vocab_size));
  rd_varint_append (out, h->split_layer);
  rd_varint_append (out, h->hidden_size);
  rd_varint_append (out, h->vocab_size);
  rd_varint_append (out, RD_HEADER_SEQUENCES);
  rd_varint_append (out, 8);
  rd_append_le (out, h->next_sequence, 4);
  rd_append_le (out, h->first_sequence, 4);
  rd_varint_append (out, RD_HEADER_FEEDBACK);
  rd_varint_append (out, 1);
  rd_append_u8 (out, h->has_feedback ? 1 : 0);
  if (h->model_name[0])
    append_record (out, RD_HEADER_MODEL_NAME, h->model_name,
        strlen (h->model_name));
  if (h->reply_port) {
    rd_varint_append (out, RD_HEADER_REPLY_PORT);
    rd_varint_append (out, 2);
    rd_append_le (out, h->reply_port, 2);
  }
  if (memcmp (h->cookie, no_cookie, sizeof no_cookie) != 0)
    append_record (out, RD_HEADER_COOKIE, h->cookie, sizeof h->cookie);
  append_wishes (out, &h->wishes);
  return TRUE;
}

static gboolean
read_blob (RdReader * r, guint8 * out, gsize size)
{
  const guint8 *p = rd_read_bytes (r, size);

  if (p)
    memcpy (out, p, size);
  return p != NULL;
}

static gboolean
read_string (RdReader * r, gchar * out, gsize size)
{
  if (r->size == 0 || r->size >= size || memchr (r->data, 0, r->size))
    return FALSE;
  out[r->size] = 0;
  return read_blob (r, (guint8 *) out, r->size);
}

static gfloat
read_float (RdReader * r)
{
  guint32 bits = (guint32) rd_read_le (r, 4);
  gfloat value;

  memcpy (&value, &bits, 4);
  return value;
}

static gboolean
read_stop (RdReader * r, RdWishes * w)
{
  guint n = count_stops (w);

  if (n >= RD_MAX_STOPS || r->size > RD_MAX_STOP_BYTES
      || memchr (r->data, 0, r->size))
    return FALSE;
  if (r->size == 0)
    return TRUE;
  w->stop = g_renew (gchar *, w->stop, n + 2);
  w->stop[n] = g_strndup ((const gchar *) r->data, r->size);
  w->stop[n + 1] = NULL;
  r->at = r->size;
  return TRUE;
}

/* One wish; @bit is its number in RdWishMask. An unknown one is skipped. */
static gboolean
read_wish (RdReader * r, guint bit, RdWishes * w)
{
  guint32 wish = bit < 32 ? 1u << bit : 0;

  if ((w->mask & wish) && wish != RD_WISH_STOP)
    return FALSE;
  switch (wish) {
    case RD_WISH_TEMPERATURE:
      w->temperature = read_float (r);
      break;
    case RD_WISH_TOP_K:
      w->top_k = (gint32) rd_read_le (r, 4);
      break;
    case RD_WISH_TOP_P:
      w->top_p = read_float (r);
      break;
    case RD_WISH_MIN_P:
      w->min_p = read_float (r);
      break;
    case RD_WISH_REPEAT_PENALTY:
      w->repeat_penalty = read_float (r);
      break;
    case RD_WISH_REPEAT_LAST_N:
      w->repeat_last_n = (gint32) rd_read_le (r, 4);
      break;
    case RD_WISH_PRESENCE_PENALTY:
      w->presence_penalty = read_float (r);
      break;
    case RD_WISH_FREQUENCY_PENALTY:
      w->frequency_penalty = read_float (r);
      break;
    case RD_WISH_SEED:
      w->seed = rd_read_le (r, 8);
      break;
    case RD_WISH_MAX_TOKENS:
      w->max_tokens = (guint32) rd_read_le (r, 4);
      break;
    case RD_WISH_STOP:
      if (!read_stop (r, w))
        return FALSE;
      break;
    case RD_WISH_IGNORE_EOS:
      w->ignore_eos = rd_read_u8 (r) != 0;
      break;
    default:
      return TRUE;
  }
  w->mask |= wish;
  return !r->bad && r->at == r->size;
}

/* One record; FALSE if it is damaged or must be known and is not. */
static gboolean
read_record (RdReader * r, guint32 tag, RdHeader * h)
{
  switch (tag) {
    case RD_HEADER_SESSION_ID:
      return read_blob (r, h->session_id, sizeof h->session_id);
    case RD_HEADER_MODEL_ID:
      return read_blob (r, h->model_id, sizeof h->model_id);
    case RD_HEADER_TOKENIZER_ID:
      return read_blob (r, h->tokenizer_id, sizeof h->tokenizer_id);
    case RD_HEADER_CODEC:
      return read_string (r, h->codec, sizeof h->codec);
    case RD_HEADER_GEOMETRY:
      h->split_layer = rd_read_varint32 (r);
      h->hidden_size = rd_read_varint32 (r);
      h->vocab_size = rd_read_varint32 (r);
      return !r->bad;
    case RD_HEADER_SEQUENCES:
      h->next_sequence = (guint32) rd_read_le (r, 4);
      h->first_sequence = (guint32) rd_read_le (r, 4);
      return !r->bad;
    case RD_HEADER_FEEDBACK:
      h->has_feedback = rd_read_u8 (r) != 0;
      return !r->bad;
    case RD_HEADER_MODEL_NAME:
      return read_string (r, h->model_name, sizeof h->model_name);
    case RD_HEADER_REPLY_PORT:
      h->reply_port = (guint16) rd_read_le (r, 2);
      return !r->bad;
    case RD_HEADER_COOKIE:
      return read_blob (r, h->cookie, sizeof h->cookie);
    default:
      if (tag % 2 == 0)
        return FALSE;
      if (tag >= RD_HEADER_WISH_BASE)
        return read_wish (r, (tag - RD_HEADER_WISH_BASE) / 2, &h->wishes);
      return TRUE;
  }
}

gboolean
rd_frame_parse_header (const RdFrame * frame, RdHeader * header,
    GError ** error)
{
  const guint32 needed = 1u << RD_HEADER_SESSION_ID | 1u << RD_HEADER_MODEL_ID
      | 1u << RD_HEADER_TOKENIZER_ID | 1u << RD_HEADER_CODEC
      | 1u << RD_HEADER_GEOMETRY | 1u << RD_HEADER_SEQUENCES
      | 1u << RD_HEADER_FEEDBACK;
  RdReader r = { frame->payload, frame->payload_size, 0, FALSE };
  guint32 seen = 0;

  memset (header, 0, sizeof *header);
  if (frame->type != RD_FRAME_HEADER)
    return header_invalid (error, "a frame of another type");
  while (!r.bad && r.at < r.size) {
    guint32 tag = rd_read_varint32 (&r);
    guint32 length = rd_read_varint32 (&r);
    const guint8 *value = rd_read_bytes (&r, length);
    RdReader sub = { value, length, 0, FALSE };

    if (!value)
      break;
    if (tag < 32 && (seen & 1u << tag)) {
      r.bad = TRUE;
      break;
    }
    if (!read_record (&sub, tag, header)) {
      g_set_error (error, RD_WIRE_ERROR, RD_WIRE_ERROR_INVALID,
          "HEADER: record %u is damaged or needs a newer version", tag);
      goto failed;
    }
    seen |= tag < 32 ? 1u << tag : 0;
  }
  if (r.bad || (seen & needed) != needed) {
    header_invalid (error, "damaged or incomplete records");
    goto failed;
  }
  if (!check_header (header, error))
    goto failed;
  return TRUE;

failed:
  rd_header_clear (header);
  return FALSE;
}
