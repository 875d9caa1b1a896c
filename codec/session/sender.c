/* The head's end of a session: its life and what the encoder hands in. */
#include <string.h>
#include "codec/session/sender-private.h"

#define FIRST_REORDER 3

RdSender *
rd_sender_new (const RdSenderConfig * config, const RdHeader * header,
    guint8 alias)
{
  RdSender *s = g_new0 (RdSender, 1);
  guint i;

  s->config = *config;
  rd_header_copy (&s->header, header);
  s->header.has_feedback = config->has_feedback;
  memset (s->header.cookie, 0, sizeof s->header.cookie);
  s->alias = alias;
  /* Numbering starts anywhere, so that late frames of another session under the same alias rarely fit. (Not at a CRC of the id: appended to
   * the id in rd_session_check() it would give the same check for every session.) */
  for (i = 0; i < 4; i++)
    s->next_sequence = s->next_sequence << 8 | header->session_id[i];
  rd_sender_number_anew (s);
  s->chain = g_ptr_array_new_with_free_func ((GDestroyNotify) rd_record_free);
  s->awaited = g_array_new (FALSE, FALSE, sizeof (RdAwaited));
  s->feedback_open = config->has_feedback;
  s->clean = TRUE;
  s->reorder = FIRST_REORDER;
  return s;
}

void
rd_sender_free (RdSender * s)
{
  if (!s)
    return;
  g_ptr_array_unref (s->chain);
  g_array_unref (s->awaited);
  rd_header_clear (&s->header);
  g_free (s->input_ids);
  g_free (s->error_text);
  g_free (s->failure);
  g_free (s);
}

gboolean
rd_sender_can_queue (const RdSender * s, gsize bytes)
{
  gsize used;

  if (s->over || s->error_text)
    return TRUE;
  /* without a way back only what has not gone out yet is in the way */
  used = rd_sender_cost (s, s->feedback_open ? s->acked : s->sent,
      s->chain->len) + (s->feedback_open ? s->held : 0);
  return used == 0
      || used + MAX (bytes, RD_SENDER_DATAGRAM_COST) <= s->config.window_bytes;
}

static gboolean
check_states (const RdSender * s, const RdStates * states, gsize size,
    GError ** error)
{
  const gchar *what = NULL;

  if (s->ending)
    what = "rows after the end of the session";
  else if (states->count == 0 || states->count > RD_MAX_FRAME_TOKENS
      || size > G_MAXINT32)
    what = "a group of impossible size";
  else if (states->position > G_MAXUINT32 - states->count)
    what = "positions beyond 32 bits";
  else if (!s->started && states->position != 0)
    what = "a session that does not begin at position 0";
  else if (s->started && states->epoch < s->epoch)
    what = "rows of an epoch that is over";
  else if (s->started && states->epoch == s->epoch
      && states->position < s->next_position)
    what = "rows that were sent already, without a new epoch";
  else if (states->position > s->next_position)
    what = "a gap in the positions";
  if (!what)
    return TRUE;
  g_set_error (error, RD_WIRE_ERROR, RD_WIRE_ERROR_INVALID,
      "Cannot send rows from position %u of epoch %u (position %u of epoch %u "
      "comes next): %s", states->position, states->epoch, s->next_position,
      s->epoch, what);
  return FALSE;
}

gboolean
rd_sender_queue (RdSender * s, const RdStates * states,
    const guint8 * payload, gsize size, gint64 now, GError ** error)
{
  gsize offset = 0;

  if (!check_states (s, states, size, error))
    return FALSE;
  do {
    gsize n = MIN (size - offset,
        rd_sender_payload_room (s->config.max_payload_size, states->count,
            states->ids && offset == 0));

    g_ptr_array_add (s->chain, rd_record_new (s, states, payload + offset, n,
            offset, size));
    offset += n;
  } while (offset < size);

  if (!s->started || states->epoch != s->epoch) {
    /* tokens of the epoch before are of no use any more */
    g_array_set_size (s->awaited, 0);
    s->tokens_next = 0;
    s->finish_next = 0;
  }
  s->started = TRUE;
  s->cancelled = FALSE;
  s->epoch = states->epoch;
  s->next_position = states->position + states->count;
  rd_sender_touch (s, FALSE, now);
  return TRUE;
}

void
rd_sender_set_max_payload_size (RdSender * s, gsize size)
{
  s->config.max_payload_size = size;
}

void
rd_sender_force_key (RdSender * s)
{
  s->force_key = TRUE;
}

void
rd_sender_cancel (RdSender * s, guint32 epoch, guint32 position, gint64 now)
{
  guint len = s->chain->len;

  while (len > s->sent && rd_sender_record (s, len - 1)->position >= position)
    len--;
  /* a payload of which a part is out goes on to its end: the tail cannot use half of it */
  while (len < s->chain->len && rd_sender_record (s, len)->fragment_offset)
    len++;
  g_ptr_array_set_size (s->chain, (gint) len);
  s->epoch = s->sent_epoch;
  s->next_position = s->sent_position;
  if (len > s->sent) {
    const RdRecord *last = rd_sender_record (s, len - 1);

    s->epoch = last->epoch;
    s->next_position = last->position + last->count;
  }
  g_array_set_size (s->awaited, 0);
  s->cancelled = TRUE;
  s->cancel_left = RD_SENDER_REPEATS;
  s->cancel_at = now;
  s->cancel_epoch = epoch;
  s->cancel_position = position;
  rd_sender_touch (s, TRUE, now);
}

void
rd_sender_error (RdSender * s, const gchar * message, gint64 now)
{
  (void) now;
  if (s->over || s->error_text)
    return;
  s->error_text = g_utf8_make_valid (message, -1);
  /* cut at a character, not inside one */
  if (strlen (s->error_text) > RD_MAX_CONTROL_TEXT)
    *g_utf8_find_prev_char (s->error_text,
        s->error_text + RD_MAX_CONTROL_TEXT + 1) = 0;
}

void
rd_sender_end (RdSender * s, gint64 now)
{
  if (s->ending)
    return;
  s->ending = TRUE;
  s->end_at = now;
  g_array_set_size (s->awaited, 0);
  rd_sender_touch (s, TRUE, now);
}

void
rd_sender_feedback_closed (RdSender * s, gint64 now)
{
  if (!s->feedback_open)
    return;
  s->feedback_open = FALSE;
  s->end_at = now;
  s->ends_sent = 0;
  g_array_set_size (s->awaited, 0);
  rd_sender_touch (s, TRUE, now);
}

gboolean
rd_sender_drained (const RdSender * s)
{
  return s->sent == s->chain->len
      && (!s->feedback_open || s->acked == s->chain->len);
}

gboolean
rd_sender_ended (const RdSender * s, gboolean * clean)
{
  if (clean)
    *clean = s->clean;
  return s->ended;
}

gboolean
rd_sender_failed (const RdSender * s, gchar ** message)
{
  if (message)
    *message = g_strdup (s->failure);
  return s->failure != NULL;
}

void
rd_sender_stats (const RdSender * s, RdSenderStats * stats)
{
  *stats = s->stats;
  stats->srtt = s->round_trip.mean;
  stats->outstanding = rd_sender_cost (s, s->acked, s->sent) + s->held;
}
