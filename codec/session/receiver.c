/* The tail's end of all sessions: their life, the table, and what the decoding task takes. */
#include <string.h>
#include <sys/random.h>
#include "codec/session/receiver-private.h"

static void
fill_secret (RdReceiver * receiver)
{
  gsize i;

  if (!receiver->config.seed && getrandom (receiver->secret,
          RD_RECEIVER_SECRET_BYTES, 0) == RD_RECEIVER_SECRET_BYTES)
    return;
  {
    g_autoptr (GRand) rand = receiver->config.seed ?
        g_rand_new_with_seed (receiver->config.seed) : g_rand_new ();

    for (i = 0; i < RD_RECEIVER_SECRET_BYTES; i++)
      receiver->secret[i] = (guint8) g_rand_int (rand);
  }
}

RdReceiver *
rd_receiver_new (const RdReceiverConfig * config)
{
  RdReceiver *receiver = g_new0 (RdReceiver, 1);

  receiver->config = *config;
  receiver->sessions = g_ptr_array_new ();
  fill_secret (receiver);
  return receiver;
}

static void
session_free (RdPeerSession * s)
{
  rd_chain_clear (s);
  rd_header_clear (&s->header);
  g_free (s->reason);
  g_free (s->error_text);
  g_free (s);
}

static void
refusal_free (RdRefusal * refusal)
{
  g_bytes_unref (refusal->bytes);
  g_free (refusal);
}

void
rd_receiver_free (RdReceiver * receiver)
{
  guint i;

  if (!receiver)
    return;
  for (i = 0; i < receiver->sessions->len; i++)
    session_free (g_ptr_array_index (receiver->sessions, i));
  g_ptr_array_unref (receiver->sessions);
  g_clear_pointer (&receiver->current_stored, rd_stored_free);
  g_queue_clear_full (&receiver->refusals, (GDestroyNotify) refusal_free);
  g_free (receiver);
}

/* SHA-256 of the secret, a label and @data: nobody outside can guess it. */
static void
keyed_hash (const RdReceiver * receiver, const gchar * label,
    const void *data, gsize size, guint8 digest[32])
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  gsize length = 32;

  g_checksum_update (sum, receiver->secret, RD_RECEIVER_SECRET_BYTES);
  g_checksum_update (sum, (const guchar *) label, -1);
  g_checksum_update (sum, data, (gssize) size);
  g_checksum_get_digest (sum, digest, &length);
}

void
rd_receiver_make_cookie (const RdReceiver * receiver, RdPeerSession * s)
{
  guint8 input[sizeof s->peer + RD_SESSION_ID_BYTES], digest[32];

  memcpy (input, &s->peer, sizeof s->peer);
  memcpy (input + sizeof s->peer, s->header.session_id, RD_SESSION_ID_BYTES);
  keyed_hash (receiver, "cookie", input, sizeof input, digest);
  memcpy (s->cookie, digest, sizeof s->cookie);
  /* all zero means "none" in HEADER */
  s->cookie[0] |= 1;
}

static guint16
make_instance (RdReceiver * receiver)
{
  guint8 digest[32];
  guint16 instance;

  do {
    receiver->n_instances++;
    keyed_hash (receiver, "instance", &receiver->n_instances,
        sizeof receiver->n_instances, digest);
    instance = (guint16) (digest[0] | digest[1] << 8);
  } while (instance == 0);
  return instance;
}

RdPeerSession *
rd_receiver_find (const RdReceiver * receiver, const RdPeer * peer,
    guint8 alias)
{
  guint i;

  for (i = 0; i < receiver->sessions->len; i++) {
    RdPeerSession *s = g_ptr_array_index (receiver->sessions, i);

    if (!s->detached && s->alias == alias
        && memcmp (&s->peer, peer, sizeof *peer) == 0)
      return s;
  }
  return NULL;
}

RdPeerSession *
rd_receiver_by_number (const RdReceiver * receiver, guint32 number)
{
  guint i;

  for (i = 0; number && i < receiver->sessions->len; i++) {
    RdPeerSession *s = g_ptr_array_index (receiver->sessions, i);

    if (s->number == number)
      return s;
  }
  return NULL;
}

RdPeerSession *
rd_receiver_add (RdReceiver * receiver, const RdPeer * peer, guint8 alias,
    gint64 now)
{
  RdPeerSession *s = g_new0 (RdPeerSession, 1);

  s->peer = *peer;
  s->alias = alias;
  s->instance = make_instance (receiver);
  s->heard = now;
  s->ack_at = s->replay_at = s->working_at = G_MAXINT64;
  g_ptr_array_add (receiver->sessions, s);
  return s;
}

void
rd_receiver_remove (RdReceiver * receiver, RdPeerSession * s)
{
  g_ptr_array_remove (receiver->sessions, s);
  session_free (s);
}

void
rd_receiver_retire_id (RdReceiver * receiver, const RdPeerSession * s)
{
  memcpy (receiver->old_ids[receiver->next_old_id++ % RD_RECEIVER_OLD_IDS],
      s->header.session_id, RD_SESSION_ID_BYTES);
}

void
rd_session_finish (RdPeerSession * s, gchar * reason, gint64 linger, gint64 now)
{
  if (s->state == RD_STATE_OVER) {
    g_free (reason);
    return;
  }
  s->state = RD_STATE_OVER;
  s->reason = reason;
  s->linger_until = now + linger;
  s->working_at = G_MAXINT64;
  s->hole_since = 0;
}

void
rd_session_fail (const RdReceiver * receiver, RdPeerSession * s,
    gchar * reason, gint64 now)
{
  if (s->state == RD_STATE_OVER) {
    g_free (reason);
    return;
  }
  s->error_text = g_utf8_make_valid (reason, -1);
  if (strlen (s->error_text) > RD_MAX_CONTROL_TEXT)
    *g_utf8_find_prev_char (s->error_text,
        s->error_text + RD_MAX_CONTROL_TEXT + 1) = 0;
  s->error_due = TRUE;
  rd_session_finish (s, reason, receiver->config.linger, now);
}

static void
hand_over_rows (RdReceiver * receiver, RdPeerSession * s, gint64 now,
    RdDelivery * d)
{
  RdStored *stored = g_queue_pop_head (&s->queue);

  receiver->current_stored = stored;
  s->queue_cost -= stored->cost;
  s->freed_cost += stored->cost;
  d->type = RD_DELIVERY_STATES;
  d->frame = stored->frame;
  d->epoch = stored->frame.epoch;
  d->position = stored->frame.position;
  /* the head may be waiting for this credit */
  rd_session_want_ack (s, s->freed_cost >= RD_RECEIVER_ACK_COST ? now :
      now + RD_RECEIVER_ACK_DELAY);
}

/* What @s has to hand over, TRUE if there is something. */
static gboolean
session_next (RdReceiver * receiver, RdPeerSession * s, gint64 now,
    RdDelivery * d)
{
  memset (d, 0, sizeof *d);
  d->session = s->number;
  d->header = &s->header;
  if (s->state == RD_STATE_PENDING || s->ended)
    return FALSE;
  if (!s->begun) {
    s->begun = TRUE;
    d->type = RD_DELIVERY_BEGIN;
  } else if (s->cancel_due) {
    s->cancel_due = FALSE;
    d->type = RD_DELIVERY_CANCEL;
    d->epoch = s->cancel_epoch;
    d->position = s->cancel_position;
  } else if (!g_queue_is_empty (&s->queue)) {
    hand_over_rows (receiver, s, now, d);
  } else if (s->state == RD_STATE_OVER) {
    s->ended = TRUE;
    receiver->n_ended++;
    d->type = RD_DELIVERY_END;
    d->reason = s->reason;
  }
  return d->type != RD_DELIVERY_NONE;
}

gboolean
rd_receiver_next (RdReceiver * receiver, gint64 now, RdDelivery * delivery)
{
  guint n, i;

  g_return_val_if_fail (receiver->current == NULL, FALSE);
  rd_receiver_tick (receiver, now);
  n = receiver->sessions->len;
  for (i = 0; i < n; i++) {
    RdPeerSession *s = g_ptr_array_index (receiver->sessions,
        (receiver->turn + i) % n);

    if (!session_next (receiver, s, now, delivery))
      continue;
    receiver->turn = (receiver->turn + i + 1) % n;
    receiver->current = s;
    return TRUE;
  }
  memset (delivery, 0, sizeof *delivery);
  return FALSE;
}

gboolean
rd_receiver_more (RdReceiver * receiver, const RdDelivery * last, gint64 now,
    RdDelivery * delivery)
{
  RdPeerSession *s = rd_receiver_by_number (receiver, last->session);
  const RdStored *stored = s ? g_queue_peek_head (&s->queue) : NULL;
  const RdFrame *f = &last->frame;

  g_return_val_if_fail (receiver->current == NULL, FALSE);
  if (!stored || s->cancel_due || last->type != RD_DELIVERY_STATES || f->step
      || f->sample || f->given || stored->frame.step || stored->frame.truncate
      || stored->frame.epoch != last->epoch
      || stored->frame.position != last->position + f->count
      || (rd_frame_n_row_ids (&stored->frame) > 0) !=
      (rd_frame_n_row_ids (f) > 0))
    return FALSE;
  memset (delivery, 0, sizeof *delivery);
  delivery->session = s->number;
  delivery->header = &s->header;
  hand_over_rows (receiver, s, now, delivery);
  receiver->current = s;
  return TRUE;
}

void
rd_receiver_taken (RdReceiver * receiver, const RdDelivery * delivery,
    gint64 now)
{
  (void) delivery;
  (void) now;
  g_clear_pointer (&receiver->current_stored, rd_stored_free);
  receiver->current = NULL;
}

void
rd_receiver_busy (RdReceiver * receiver, guint32 session, gboolean busy,
    gint64 now)
{
  RdPeerSession *s = rd_receiver_by_number (receiver, session);

  if (!s || s->state != RD_STATE_ALIVE)
    return;
  s->working_at = busy ? now + G_TIME_SPAN_SECOND : G_MAXINT64;
  if (!busy)
    s->idle_since = now;
}

void
rd_receiver_tokens (RdReceiver * receiver, guint32 session, guint32 epoch,
    guint32 position, const gint32 * ids, guint n_ids, RdFinish finish,
    gint64 now)
{
  RdPeerSession *s = rd_receiver_by_number (receiver, session);
  RdTokenEntry *e;

  (void) now;
  /* of an epoch that is over, or void: the head has no use for it */
  if (!s || s->state != RD_STATE_ALIVE || epoch != s->epoch
      || !receiver->config.has_feedback || !s->header.has_feedback
      || n_ids > RD_MAX_FRAME_TOKENS || position > G_MAXUINT32 - n_ids
      || (s->cancelled && position >= s->cancel_position))
    return;
  e = g_new0 (RdTokenEntry, 1);
  e->epoch = epoch;
  e->position = position;
  e->n_ids = n_ids;
  e->ids = g_memdup2 (ids, sizeof (gint32) * n_ids);
  e->finish = finish;
  e->due = TRUE;
  g_queue_push_tail (&s->tokens, e);
  if (g_queue_get_length (&s->tokens) > RD_RECEIVER_MAX_TOKEN_ENTRIES)
    rd_token_entry_free (g_queue_pop_head (&s->tokens));
}

void
rd_receiver_error (RdReceiver * receiver, guint32 session,
    const gchar * message, gint64 now)
{
  RdPeerSession *s = rd_receiver_by_number (receiver, session);

  if (s)
    rd_session_fail (receiver, s, g_strdup (message), now);
}

gsize
rd_receiver_queued_bytes (const RdReceiver * receiver)
{
  gsize bytes = 0;
  guint i;

  for (i = 0; i < receiver->sessions->len; i++) {
    const RdPeerSession *s = g_ptr_array_index (receiver->sessions, i);

    bytes += s->queue_cost + s->held_bytes;
    bytes += s->assembly ? s->assembly->len : 0;
  }
  return bytes;
}

guint
rd_receiver_n_sessions (const RdReceiver * receiver)
{
  guint n = 0, i;

  for (i = 0; i < receiver->sessions->len; i++) {
    const RdPeerSession *s = g_ptr_array_index (receiver->sessions, i);

    n += s->state != RD_STATE_PENDING && !s->ended;
  }
  return n;
}

guint
rd_receiver_n_ended (const RdReceiver * receiver)
{
  return receiver->n_ended;
}

void
rd_receiver_stats (const RdReceiver * receiver, RdReceiverStats * stats)
{
  *stats = receiver->stats;
}
