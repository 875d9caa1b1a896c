/* Bytes to turns of a conversation. */
#include "elements/tokensrc/gstrdturns.h"
#include <string.h>

static void
free_turn (gpointer turn)
{
  g_string_free (turn, TRUE);
}

void
gst_rd_turns_init (GstRdTurns * turns)
{
  memset (turns, 0, sizeof *turns);
  turns->delimiter = g_strdup ("\n");
  turns->partial = g_string_new (NULL);
  g_queue_init (&turns->turns);
}

void
gst_rd_turns_clear (GstRdTurns * turns)
{
  gst_rd_turns_flush (turns);
  g_string_free (turns->partial, TRUE);
  g_clear_pointer (&turns->delimiter, g_free);
}

void
gst_rd_turns_set_delimiter (GstRdTurns * turns, const gchar * delimiter)
{
  g_free (turns->delimiter);
  turns->delimiter = g_strdup (delimiter ? delimiter : "");
}

void
gst_rd_turns_flush (GstRdTurns * turns)
{
  g_queue_clear_full (&turns->turns, free_turn);
  g_string_truncate (turns->partial, 0);
  turns->bytes = 0;
}

static void
append_turn (GstRdTurns * turns, const gchar * data, gsize size)
{
  if (size == 0)
    return;
  g_queue_push_tail (&turns->turns, g_string_new_len (data, (gssize) size));
  turns->bytes += size;
}

/* Bytes at the end of the text that begin a character and do not finish it. */
static gsize
open_character (const GString * text)
{
  for (gsize n = 1; n <= 3 && n <= text->len; n++) {
    guchar c = (guchar) text->str[text->len - n];

    if ((c & 0xc0) == 0x80)
      continue;
    if (c >= 0xf0)
      return n < 4 ? n : 0;
    if (c >= 0xe0)
      return n < 3 ? n : 0;
    return c >= 0xc0 && n < 2 ? n : 0;
  }
  return 0;
}

static void
cut_turns (GstRdTurns * turns)
{
  gsize length = strlen (turns->delimiter), begin = 0;
  const gchar *at;

  while ((at = memmem (turns->partial->str + begin,
              turns->partial->len - begin, turns->delimiter, length))) {
    gsize end = (gsize) (at - turns->partial->str);

    append_turn (turns, turns->partial->str + begin, end - begin);
    begin = end + length;
  }
  g_string_erase (turns->partial, 0, (gssize) begin);
}

gboolean
gst_rd_turns_push (GstRdTurns * turns, const gchar * data, gsize size)
{
  if (size > GST_RD_MAX_TURN_BYTES - MIN (turns->partial->len,
          GST_RD_MAX_TURN_BYTES))
    return FALSE;
  g_string_append_len (turns->partial, data, (gssize) size);
  if (turns->delimiter[0])
    cut_turns (turns);
  else if (open_character (turns->partial) == 0)
    gst_rd_turns_end (turns);
  return TRUE;
}

void
gst_rd_turns_end (GstRdTurns * turns)
{
  append_turn (turns, turns->partial->str, turns->partial->len);
  g_string_truncate (turns->partial, 0);
}

GString *
gst_rd_turns_pop (GstRdTurns * turns)
{
  GString *turn = g_queue_pop_head (&turns->turns);

  if (turn)
    turns->bytes -= turn->len;
  return turn;
}
