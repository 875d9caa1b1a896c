/* Token ids to text, with stop strings. */
#include "elements/common/gstrdtext.h"
#include <string.h>

GstRdText *
gst_rd_text_new (StTokenizer * tokenizer, gchar ** stops)
{
  GstRdText *text = g_new0 (GstRdText, 1);

  text->detokenizer = st_detokenizer_new (tokenizer);
  text->held = g_string_new (NULL);
  text->stops = g_strdupv (stops);
  return text;
}

void
gst_rd_text_free (GstRdText * text)
{
  if (!text)
    return;
  st_detokenizer_free (text->detokenizer);
  g_string_free (text->held, TRUE);
  g_strfreev (text->stops);
  g_free (text);
}

/* Where the first complete stop string begins; -1 if there is none. */
static gssize
find_stop (const GstRdText * text)
{
  gssize first = -1;

  for (gchar ** stop = text->stops; stop && *stop; stop++) {
    gsize length = strlen (*stop);
    const gchar *at = length == 0 ? NULL :
        memmem (text->held->str, text->held->len, *stop, length);

    if (at && (first < 0 || at - text->held->str < first))
      first = at - text->held->str;
  }
  return first;
}

/* Bytes at the end that a stop string may begin with. */
static gsize
held_back (const GstRdText * text)
{
  gsize most = 0;

  for (gchar ** stop = text->stops; stop && *stop; stop++) {
    gsize length = strlen (*stop);

    for (gsize n = MIN (length, text->held->len); n > most; n--) {
      const gchar *end = text->held->str + text->held->len - n;

      if (memcmp (end, *stop, n) == 0)
        most = n;
    }
  }
  return most;
}

gboolean
gst_rd_text_push (GstRdText * text, gint32 id, GString * out)
{
  st_detokenizer_push (text->detokenizer, id, text->held);
  gssize stop = find_stop (text);
  if (stop >= 0) {
    g_string_append_len (out, text->held->str, stop);
    gst_rd_text_drop (text);
    return TRUE;
  }
  gsize n = text->held->len - held_back (text);
  g_string_append_len (out, text->held->str, (gssize) n);
  g_string_erase (text->held, 0, (gssize) n);
  return FALSE;
}

void
gst_rd_text_flush (GstRdText * text, GString * out)
{
  st_detokenizer_flush (text->detokenizer, text->held);
  g_string_append_len (out, text->held->str, (gssize) text->held->len);
  g_string_truncate (text->held, 0);
}

void
gst_rd_text_drop (GstRdText * text)
{
  st_detokenizer_flush (text->detokenizer, text->held);
  g_string_truncate (text->held, 0);
}
