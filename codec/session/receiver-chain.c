/* Order of STATES: each sequence number once, fragments joined, what came too early stored until its turn. */
#include <string.h>
#include "codec/session/receiver-private.h"

#define ACK_FRAMES 8
#define REPLAY_FRAMES 3
#define MAX_VIOLATIONS 16

void
rd_stored_free (RdStored * stored)
{
  g_free (stored->bytes);
  g_free (stored);
}

/* Points the frame into its own bytes. */
static void
stored_adopt (RdStored * stored, guint8 * bytes, gsize size)
{
  stored->bytes = bytes;
  stored->frame.ids = stored->frame.n_ids ? bytes : NULL;
  stored->frame.payload = bytes + stored->ids_size;
  stored->frame.payload_size = size - stored->ids_size;
}

RdStored *
rd_stored_new (const RdFrame * frame)
{
  RdStored *stored = g_new0 (RdStored, 1);
  gsize size;
  guint8 *bytes;

  stored->frame = *frame;
  stored->ids_size = frame->ids_size;
  stored->cost = MAX (frame->payload_size, RD_RECEIVER_DATAGRAM_COST);
  size = stored->ids_size + frame->payload_size;
  bytes = g_malloc (MAX (size, 1));
  if (stored->ids_size)
    memcpy (bytes, frame->ids, stored->ids_size);
  if (frame->payload_size)
    memcpy (bytes + stored->ids_size, frame->payload, frame->payload_size);
  stored_adopt (stored, bytes, size);
  return stored;
}

void
rd_token_entry_free (RdTokenEntry * entry)
{
  g_free (entry->ids);
  g_free (entry);
}

static void
drop_slots (RdPeerSession * s)
{
  guint i;

  for (i = 0; i < RD_RECEIVER_SLOTS; i++)
    g_clear_pointer (&s->slots[i], rd_stored_free);
  s->n_held = 0;
  s->held_bytes = 0;
}

static void
drop_partial (RdPeerSession * s)
{
  g_clear_pointer (&s->partial, rd_stored_free);
  g_clear_pointer (&s->assembly, g_byte_array_unref);
}

void
rd_chain_reset (RdPeerSession * s, guint32 first_sequence)
{
  drop_slots (s);
  drop_partial (s);
  g_queue_clear_full (&s->tokens, (GDestroyNotify) rd_token_entry_free);
  s->sequence = first_sequence;
  s->started = s->hinted = s->cancelled = s->replay_wanted = FALSE;
  s->epoch = s->position = 0;
  s->hole_since = 0;
  s->replay_at = G_MAXINT64;
  s->replays_sent = 0;
}

void
rd_chain_clear (RdPeerSession * s)
{
  drop_slots (s);
  drop_partial (s);
  g_queue_clear_full (&s->early, (GDestroyNotify) rd_stored_free);
  g_queue_clear_full (&s->queue, (GDestroyNotify) rd_stored_free);
  g_queue_clear_full (&s->tokens, (GDestroyNotify) rd_token_entry_free);
  s->queue_cost = 0;
}

static gboolean
ids_in_range (const RdPeerSession * s, const RdFrame * f)
{
  g_autofree gint32 *ids = NULL;
  guint32 i;

  if (!s->header.vocab_size || f->n_ids == 0)
    return TRUE;
  ids = g_new (gint32, f->n_ids);
  rd_frame_ids (f, ids);
  for (i = 0; i < f->n_ids; i++)
    if ((guint32) ids[i] >= s->header.vocab_size)
      return FALSE;
  return TRUE;
}

/* Does @f stand where the chain goes on? */
static gboolean
fits_position (const RdPeerSession * s, const RdFrame * f)
{
  if (!s->started)
    return f->position == 0;
  if (f->truncate)
    return f->epoch > s->epoch && f->position <= s->position && !s->partial;
  return f->position == s->position && (!f->has_epoch || f->epoch == s->epoch);
}

static gboolean
fits_fragment (const RdReceiver * receiver, const RdPeerSession * s,
    const RdFrame * f)
{
  const RdFrame *first = s->partial ? &s->partial->frame : NULL;

  if (f->fragment_total > receiver->config.max_frame_bytes)
    return FALSE;
  if (f->fragment_offset == 0)
    return first == NULL;
  return first && f->fragment_total == first->fragment_total
      && f->count == first->count
      && f->fragment_offset == s->assembly->len - s->partial->ids_size;
}

static gboolean
is_void (RdPeerSession * s, const RdFrame * f)
{
  if (s->cancelled && f->epoch > s->cancel_epoch)
    s->cancelled = FALSE;
  return s->cancelled && f->epoch == s->cancel_epoch
      && f->position >= s->cancel_position;
}

static void
stop_sampling (const RdPeerSession * s, RdFrame * f)
{
  if (s->cancelled && f->epoch == s->cancel_epoch
      && f->position + f->count >= s->cancel_position)
    f->sample = FALSE;
}

/* A whole payload, in order. */
static void
enqueue (RdReceiver * receiver, RdPeerSession * s, RdStored * stored)
{
  RdFrame *f = &stored->frame;

  s->position = f->position + f->count;
  f->fragment_offset = f->fragment_total = 0;
  receiver->stats.tokens += f->count;
  rd_chain_prune_tokens (s, s->position);
  if (is_void (s, f)) {
    rd_stored_free (stored);
    return;
  }
  stop_sampling (s, f);
  s->queue_cost += stored->cost;
  g_queue_push_tail (&s->queue, stored);
}

static void
add_fragment (RdReceiver * receiver, RdPeerSession * s, RdStored * stored)
{
  guint32 total = stored->frame.fragment_total;
  RdStored *whole;
  gsize size;

  if (!s->partial) {
    s->partial = stored;
    s->assembly = g_byte_array_new ();
    g_byte_array_append (s->assembly, stored->bytes,
        (guint) (stored->ids_size + stored->frame.payload_size));
  } else {
    g_byte_array_append (s->assembly, stored->frame.payload,
        (guint) stored->frame.payload_size);
    s->partial->cost += stored->cost;
    rd_stored_free (stored);
  }
  whole = s->partial;
  size = s->assembly->len;
  if (size - whole->ids_size < total)
    return;
  g_free (whole->bytes);
  stored_adopt (whole, g_byte_array_free (g_steal_pointer (&s->assembly),
          FALSE), size);
  s->partial = NULL;
  enqueue (receiver, s, whole);
}

/* Takes @stored (and owns it) as number s->sequence. FALSE if it cannot be that frame. */
static gboolean
take (RdReceiver * receiver, RdPeerSession * s, RdStored * stored)
{
  RdFrame *f = &stored->frame;

  if (!fits_position (s, f) || !fits_fragment (receiver, s, f)
      || !ids_in_range (s, f)) {
    receiver->stats.dropped++;
    s->violations++;
    rd_stored_free (stored);
    return FALSE;
  }
  if (!s->started || f->truncate) {
    s->epoch = f->has_epoch ? f->epoch : 0;
    s->position = f->position;
  }
  f->epoch = s->epoch;
  f->has_epoch = TRUE;
  s->started = TRUE;
  s->sequence++;
  s->unacked_frames++;
  s->unacked_cost += stored->cost;
  s->violations = 0;
  if (f->fragment_total)
    add_fragment (receiver, s, stored);
  else
    enqueue (receiver, s, stored);
  return TRUE;
}

/* Takes what waited for the frame that has just come. */
static void
take_held (RdReceiver * receiver, RdPeerSession * s)
{
  RdStored *stored;

  while ((stored = s->slots[s->sequence % RD_RECEIVER_SLOTS])) {
    s->slots[s->sequence % RD_RECEIVER_SLOTS] = NULL;
    s->n_held--;
    s->held_bytes -= stored->cost;
    if (!take (receiver, s, stored))
      return;
  }
}

static void
after_progress (RdPeerSession * s, gint64 now)
{
  s->replays_sent = 0;
  s->replay_wanted = FALSE;
  if (s->n_held) {
    s->hole_since = now;
    rd_session_want_replay (s, now);
    return;
  }
  s->hole_since = 0;
  s->replay_at = G_MAXINT64;
  rd_session_want_ack (s, !s->acknowledged || s->unacked_frames >= ACK_FRAMES
      || s->unacked_cost >= RD_RECEIVER_ACK_COST ? now : now +
      RD_RECEIVER_ACK_DELAY);
}

static void
hold (RdReceiver * receiver, RdPeerSession * s, guint32 sequence,
    const RdFrame * frame, gint64 now)
{
  RdStored **slot = &s->slots[sequence % RD_RECEIVER_SLOTS];

  if (*slot) {
    receiver->stats.duplicates++;
    return;
  }
  if (s->held_bytes + frame->payload_size > receiver->config.hold_bytes) {
    receiver->stats.dropped++;
    return;
  }
  *slot = rd_stored_new (frame);
  s->held_bytes += (*slot)->cost;
  s->held_since_replay++;
  if (s->n_held++ == 0) {
    receiver->stats.holes++;
    s->hole_since = now;
    rd_session_want_replay (s, now);
  } else if (s->held_since_replay >= REPLAY_FRAMES) {
    rd_session_want_replay (s, now);
  }
}

/* How far @frame is beyond the next one wanted; negative = a duplicate. */
static gint32
distance (RdPeerSession * s, const RdFrame * frame)
{
  guint8 low = (guint8) frame->sequence;

  if (s->hinted && (guint8) s->hint == low) {
    s->hinted = FALSE;
    return (gint32) (s->hint - s->sequence);
  }
  s->hinted = FALSE;
  return (gint8) (low - (guint8) s->sequence);
}

/* A datagram that would make the queue too long is as good as lost: the head sends it again. */
static gboolean
too_much (const RdReceiver * receiver, const RdPeerSession * s,
    const RdFrame * frame)
{
  return s->peer.family != 0 && s->queue.length > 0
      && s->queue_cost + MAX (frame->payload_size,
      RD_RECEIVER_DATAGRAM_COST) > receiver->config.hold_bytes;
}

void
rd_chain_feed (RdReceiver * receiver, RdPeerSession * s,
    const RdFrame * frame, gint64 now)
{
  gint32 d = distance (s, frame);

  if (d < 0) {
    receiver->stats.duplicates++;
    rd_session_want_ack (s, now);
  } else if (d >= (gint32) RD_RECEIVER_SLOTS || too_much (receiver, s, frame)) {
    receiver->stats.dropped++;
  } else if (d > 0) {
    hold (receiver, s, s->sequence + (guint32) d, frame, now);
  } else if (take (receiver, s, rd_stored_new (frame))) {
    take_held (receiver, s);
    after_progress (s, now);
  }
  if (s->violations > MAX_VIOLATIONS)
    rd_session_fail (receiver, s, g_strdup_printf ("The frames that arrive do "
            "not continue position %u of epoch %u, or hold token ids beyond "
            "the vocabulary of %u", s->position, s->epoch,
            s->header.vocab_size), now);
}

void
rd_chain_cancel (RdPeerSession * s, guint32 epoch, guint32 position)
{
  GList *l = s->queue.head;

  s->cancelled = TRUE;
  s->cancel_epoch = epoch;
  s->cancel_position = position;
  while (l) {
    GList *next = l->next;
    RdStored *stored = l->data;

    if (is_void (s, &stored->frame)) {
      s->queue_cost -= stored->cost;
      g_queue_delete_link (&s->queue, l);
      rd_stored_free (stored);
    } else {
      stop_sampling (s, &stored->frame);
    }
    l = next;
  }
  g_queue_clear_full (&s->tokens, (GDestroyNotify) rd_token_entry_free);
}

/* The head has a token when it has run it, or says so. A finish that stands alone is known when something follows it. */
void
rd_chain_prune_tokens (RdPeerSession * s, guint64 have)
{
  RdTokenEntry *e;

  while ((e = g_queue_peek_head (&s->tokens))) {
    guint64 end = (guint64) e->position + e->n_ids;

    if (e->epoch == s->epoch && (end > have || (end == have
                && e->finish != RD_FINISH_NONE)))
      return;
    rd_token_entry_free (g_queue_pop_head (&s->tokens));
  }
}
