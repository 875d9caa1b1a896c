/* Ids to text as they come. The state is the beginning of one UTF-8 character (Unicode 15, table 3-7); what cannot be continued
 * becomes one U+FFFD for the longest part that was still well-formed, at once. */
#include "models/tokenizer/tokenizer.h"

#define REPLACEMENT "\xef\xbf\xbd"

struct _StDetokenizer
{
  StTokenizer *tokenizer;
  gchar begun[4];               /* first bytes of a character */
  guint n_begun;
  guint n_needed;               /* bytes that are still missing, 0 if nothing is begun */
  guint8 low, high;             /* range of the next byte */
};

StDetokenizer *
st_detokenizer_new (StTokenizer * tokenizer)
{
  StDetokenizer *detokenizer = g_new0 (StDetokenizer, 1);

  detokenizer->tokenizer = st_tokenizer_ref (tokenizer);
  return detokenizer;
}

void
st_detokenizer_free (StDetokenizer * detokenizer)
{
  if (detokenizer == NULL)
    return;
  st_tokenizer_unref (detokenizer->tokenizer);
  g_free (detokenizer);
}

/* Overlong forms, surrogates and what is above U+10FFFF show in the second byte. */
static void
begin_character (StDetokenizer * d, guint8 byte, GString * out)
{
  d->low = 0x80;
  d->high = 0xbf;
  if (byte < 0x80) {
    g_string_append_c (out, (gchar) byte);
    return;
  }
  if (byte >= 0xc2 && byte <= 0xdf) {
    d->n_needed = 1;
  } else if (byte >= 0xe0 && byte <= 0xef) {
    d->n_needed = 2;
    if (byte == 0xe0)
      d->low = 0xa0;
    else if (byte == 0xed)
      d->high = 0x9f;
  } else if (byte >= 0xf0 && byte <= 0xf4) {
    d->n_needed = 3;
    if (byte == 0xf0)
      d->low = 0x90;
    else if (byte == 0xf4)
      d->high = 0x8f;
  } else {
    g_string_append (out, REPLACEMENT);
    return;
  }
  d->begun[0] = (gchar) byte;
  d->n_begun = 1;
}

static void
push_byte (StDetokenizer * d, guint8 byte, GString * out)
{
  if (d->n_needed > 0 && (byte < d->low || byte > d->high))
    st_detokenizer_flush (d, out);
  if (d->n_needed == 0) {
    begin_character (d, byte, out);
    return;
  }
  d->begun[d->n_begun++] = (gchar) byte;
  d->low = 0x80;
  d->high = 0xbf;
  if (--d->n_needed == 0)
    g_string_append_len (out, d->begun, d->n_begun);
}

void
st_detokenizer_push (StDetokenizer * detokenizer, gint32 id, GString * out)
{
  gsize len;
  const gchar *piece = st_tokenizer_piece (detokenizer->tokenizer, id, &len);

  if (piece == NULL || st_tokenizer_is_control (detokenizer->tokenizer, id))
    return;
  for (gsize i = 0; i < len; i++)
    push_byte (detokenizer, (guint8) piece[i], out);
}

void
st_detokenizer_flush (StDetokenizer * detokenizer, GString * out)
{
  if (detokenizer->n_needed > 0)
    g_string_append (out, REPLACEMENT);
  detokenizer->n_needed = 0;
}
