#include <string.h>
#include "codec/session/sender-private.h"

#define MAX_REORDER 128

void
rd_record_free (RdRecord * record)
{
  g_free (record->ids);
  g_free (record->payload);
  g_free (record);
}

RdRecord *
rd_record_new (const RdSender * sender, const RdStates * states,
    const guint8 * payload, gsize size, gsize offset, gsize total)
{
  RdRecord *r = g_new0 (RdRecord, 1);

  r->epoch = states->epoch;
  r->position = states->position;
  r->count = states->count;
  r->step = states->step;
  r->sample = states->sample;
  r->packed = states->packed;
  r->truncate = offset == 0 && (!sender->started ? states->epoch != 0
      : states->epoch != sender->epoch);
  /* one fragment is enough to carry the ids */
  if (offset == 0) {
    r->given = states->given;
    r->given_id = states->given_id;
    if (states->ids)
      r->ids = g_memdup2 (states->ids, sizeof (gint32) * states->count);
  }
  if (size < total) {
    r->fragment_offset = (guint32) offset;
    r->fragment_total = (guint32) total;
  }
  r->payload = g_memdup2 (payload, size);
  r->size = size;
  r->cost = MAX (size, RD_SENDER_DATAGRAM_COST);
  return r;
}

RdRecord *
rd_sender_record (const RdSender * sender, guint i)
{
  return g_ptr_array_index (sender->chain, i);
}

gsize
rd_sender_cost (const RdSender * sender, guint from, guint to)
{
  gsize cost = 0;

  for (; from < to; from++)
    cost += rd_sender_record (sender, from)->cost;
  return cost;
}

/* Is @r stored by a tail that has everything below (@epoch, @position)? Of a cut payload the early parts may be stored alone. */
static gboolean
record_covered (const RdRecord * r, guint32 epoch, guint32 position)
{
  if (r->epoch != epoch)
    return r->epoch < epoch;
  return r->position + r->count <= position
      || (r->position == position
      && r->fragment_offset + r->size < r->fragment_total);
}

/* Removes what the acknowledged frame at @index, the first of its epoch, has truncated away. */
static void
drop_void (RdSender * s, guint index)
{
  guint32 cut = rd_sender_record (s, index)->position;
  guint i, kept = 0;

  for (i = 0; i < s->chain->len; i++) {
    RdRecord *r = rd_sender_record (s, i);

    if (i < index && r->position >= cut) {
      s->history_bytes -= r->size;
      rd_record_free (r);
    } else {
      s->chain->pdata[kept++] = r;
    }
  }
  s->acked -= i - kept;
  s->sent -= i - kept;
  /* the freed entries have been overwritten: shrink without freeing again */
  g_ptr_array_set_free_func (s->chain, NULL);
  g_ptr_array_set_size (s->chain, (gint) kept);
  g_ptr_array_set_free_func (s->chain, (GDestroyNotify) rd_record_free);
}

static void
limit_history (RdSender * s)
{
  guint n = 0;

  if (!s->config.replay_bytes)
    return;
  while (n < s->acked && s->history_bytes > s->config.replay_bytes)
    s->history_bytes -= rd_sender_record (s, n++)->size;
  if (n)
    g_ptr_array_remove_range (s->chain, 0, n);
  s->acked -= n;
  s->sent -= n;
}

gboolean
rd_sender_acknowledge (RdSender * s, guint8 sequence, guint32 epoch,
    guint32 position, gint64 now)
{
  guint n = (guint8) (sequence - (guint8) s->ack_sequence), i;
  guint64 probed = s->probe_orders[s->probe_number % RD_SENDER_PROBE_TIMES];
  gboolean resent = FALSE;

  if (n > s->sent - s->acked)
    return FALSE;
  for (i = 0; i < n; i++)
    if (!record_covered (rd_sender_record (s, s->acked + i), epoch, position))
      return FALSE;
  for (i = 0; i < n; i++) {
    RdRecord *r = rd_sender_record (s, s->acked);

    /* what waited behind a hole, or for a second acknowledgement, says nothing about the round trip */
    resent |= r->n_sent > 1;
    if (i + 1 == n && !resent && r->last_order > probed)
      rd_sender_measure (s, now - r->last_sent);
    /* acknowledged sooner than the second copy can have been: the first was late, not lost */
    if (r->n_sent > 1 && now - r->last_sent < s->least_round_trip)
      s->reorder = MIN (2 * s->reorder, MAX_REORDER);
    r->missing = FALSE;
    s->history_bytes += r->size;
    s->acked++;
    s->ack_sequence++;
    if (r->truncate)
      drop_void (s, s->acked - 1);
  }
  limit_history (s);
  return TRUE;
}

void
rd_sender_number_anew (RdSender * s)
{
  s->ack_sequence = s->header.first_sequence = s->next_sequence;
  s->check = rd_session_check (s->header.session_id, s->next_sequence);
}

gboolean
rd_sender_restart (RdSender * s)
{
  const RdRecord *first;
  guint i;

  if (s->chain->len == 0)
    return TRUE;
  first = rd_sender_record (s, 0);
  if (s->sent && (first->position != 0 || first->fragment_offset != 0))
    return FALSE;
  for (i = 0; i < s->sent; i++)
    rd_sender_record (s, i)->missing = FALSE;
  s->acked = s->sent = 0;
  s->history_bytes = 0;
  s->held = 0;
  rd_sender_number_anew (s);
  s->confirmed = FALSE;
  s->header_out = FALSE;
  s->linger_until = 0;
  memset (s->header.cookie, 0, sizeof s->header.cookie);
  return TRUE;
}

void
rd_sender_note_token (RdSender * s, guint32 position, gint32 id)
{
  guint i;

  for (i = s->sent; i-- > 0;) {
    RdRecord *r = rd_sender_record (s, i);

    if (r->epoch != s->epoch || r->position + r->count < position)
      return;
    if (r->sample && r->position + r->count == position
        && r->fragment_offset == 0) {
      r->given = TRUE;
      r->given_id = id;
    }
  }
}
