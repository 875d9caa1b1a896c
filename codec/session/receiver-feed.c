/* What arrives at the tail: HEADER opens a session, CONTROL asks, STATES go to the chain. */
#include <string.h>
#include "codec/session/receiver-private.h"

/* An idle entry that has never proved its address makes room for a new session. */
#define UNPROVED_IDLE (2 * G_TIME_SPAN_SECOND)

/* A session whose head has just spoken does not give way to another one of the same address and alias. */
#define SUCCESSION_WAIT G_TIME_SPAN_SECOND

static gboolean
same_geometry (const RdHeader * a, const RdHeader * b)
{
  return memcmp (a->model_id, b->model_id, sizeof a->model_id) == 0
      && a->split_layer == b->split_layer && a->hidden_size == b->hidden_size;
}

/* Tells the head of a session that was not admitted, in no more bytes than it spent. */
static void
refuse (RdReceiver * receiver, const RdPeer * peer, const RdFrame * frame,
    const RdHeader * header, const gchar * why)
{
  RdFrame f = {.type = RD_FRAME_CONTROL,.alias = frame->alias,
    .control = RD_CONTROL_ERROR,.check = rd_session_check (header->session_id,
        header->first_sequence),
    .payload = (const guint8 *) why,.payload_size = strlen (why)
  };
  GByteArray *out;
  RdRefusal *refusal;

  receiver->stats.dropped++;
  if (!receiver->config.has_feedback || !header->has_feedback
      || g_queue_get_length (&receiver->refusals) >= RD_RECEIVER_MAX_REFUSALS)
    return;
  out = g_byte_array_new ();
  if (!rd_frame_write (&f, NULL, NULL, out, NULL) || out->len > frame->size) {
    g_byte_array_unref (out);
    return;
  }
  refusal = g_new0 (RdRefusal, 1);
  refusal->to = *peer;
  if (header->reply_port)
    refusal->to.port = header->reply_port;
  refusal->bytes = g_byte_array_free_to_bytes (out);
  g_queue_push_tail (&receiver->refusals, refusal);
}

static gboolean
is_old_id (const RdReceiver * receiver, const guint8 * session_id)
{
  guint i;

  for (i = 0; i < RD_RECEIVER_OLD_IDS; i++)
    if (memcmp (receiver->old_ids[i], session_id, RD_SESSION_ID_BYTES) == 0)
      return TRUE;
  return FALSE;
}

/* Room in the table: an active session is never given up for a new one. */
static gboolean
make_room (RdReceiver * receiver, gint64 now)
{
  guint alive = 0, i;

  for (i = 0; i < receiver->sessions->len; i++) {
    RdPeerSession *s = g_ptr_array_index (receiver->sessions, i);

    alive += s->state == RD_STATE_ALIVE;
  }
  if (alive < receiver->config.max_peers)
    return TRUE;
  for (i = 0; i < receiver->sessions->len; i++) {
    RdPeerSession *s = g_ptr_array_index (receiver->sessions, i);

    if (s->state == RD_STATE_ALIVE && !s->proved && s->peer.family != 0
        && s->header.has_feedback && receiver->config.has_feedback
        && now - s->heard >= UNPROVED_IDLE) {
      rd_session_finish (s, g_strdup ("The head has never answered, and "
              "another one asks for its place"), 0, now);
      return TRUE;
    }
  }
  return FALSE;
}

/* Both sides of a mismatch; short, as it goes out in no more bytes than HEADER has. */
static gchar *
describe_mismatch (const RdHeader * ours, const RdHeader * theirs)
{
  return g_strdup_printf ("the tail serves %.24s split %u (%u values) now, "
      "not %.24s split %u (%u values)", ours->model_name, ours->split_layer,
      ours->hidden_size, theirs->model_name, theirs->split_layer,
      theirs->hidden_size);
}

/* Why a new session cannot be admitted, NULL if it can. */
static gchar *
admission (RdReceiver * receiver, const RdHeader * header, gint64 now)
{
  guint i;

  for (i = 0; i < receiver->sessions->len; i++) {
    const RdPeerSession *s = g_ptr_array_index (receiver->sessions, i);

    if (s->state == RD_STATE_ALIVE && !same_geometry (&s->header, header))
      return describe_mismatch (&s->header, header);
  }
  /* sessions that are over stay until the task has seen their end */
  if (receiver->sessions->len >= 4 * (receiver->config.max_peers + 1)
      || !make_room (receiver, now))
    return g_strdup ("the tail is full, try again later");
  return NULL;
}

/* A session that goes on, or has ended well, belongs to another peer. */
static gboolean
known_elsewhere (const RdReceiver * receiver, const RdPeerSession * except,
    const guint8 * session_id)
{
  guint i;

  for (i = 0; i < receiver->sessions->len; i++) {
    const RdPeerSession *s = g_ptr_array_index (receiver->sessions, i);

    if (s != except && (s->state == RD_STATE_ALIVE
            || (s->state == RD_STATE_OVER && !s->reason))
        && memcmp (s->header.session_id, session_id, RD_SESSION_ID_BYTES) == 0)
      return TRUE;
  }
  return FALSE;
}

/* PENDING -> ALIVE; takes the contents of @header. What came before it is looked at now. */
static void
open_session (RdReceiver * receiver, RdPeerSession * s, RdHeader * header,
    gint64 now)
{
  RdStored *stored;

  s->state = RD_STATE_ALIVE;
  s->header = *header;
  memset (header, 0, sizeof *header);
  s->check = rd_session_check (s->header.session_id, s->header.first_sequence);
  s->number = ++receiver->last_number;
  s->key_due = FALSE;
  rd_receiver_make_cookie (receiver, s);
  rd_chain_reset (s, s->header.first_sequence);
  while ((stored = g_queue_pop_head (&s->early))) {
    if (s->state == RD_STATE_ALIVE)
      rd_chain_feed (receiver, s, &stored->frame, now);
    rd_stored_free (stored);
  }
  s->hinted = TRUE;
  s->hint = s->header.next_sequence;
}

static void
again_header (RdReceiver * receiver, RdPeerSession * s,
    const RdHeader * header, gint64 now)
{
  gint32 ahead = (gint32) (header->first_sequence - s->header.first_sequence);

  if (s->state == RD_STATE_OVER) {
    s->error_due = s->error_text != NULL;
    return;
  }
  /* the head sends HEADER until it hears that it has proved itself */
  if (!s->proved && memcmp (header->cookie, s->cookie, sizeof s->cookie) == 0) {
    s->proved = TRUE;
    rd_session_want_ack (s, now);
  }
  if (ahead < 0) {
    receiver->stats.dropped++;
    return;
  }
  /* the head thinks that we have lost everything and has numbered anew */
  if (ahead > 0) {
    s->header.first_sequence = header->first_sequence;
    s->check = rd_session_check (header->session_id, header->first_sequence);
    rd_chain_reset (s, header->first_sequence);
  }
  s->hinted = TRUE;
  s->hint = header->next_sequence;
  rd_session_want_ack (s, now + RD_RECEIVER_ACK_DELAY);
}

static void
new_header (RdReceiver * receiver, const RdPeer * peer, RdPeerSession * s,
    const RdFrame * frame, RdHeader * header, gint64 now)
{
  g_autofree gchar *why = NULL;

  if (is_old_id (receiver, header->session_id)) {
    receiver->stats.dropped++;
    return;
  }
  if (known_elsewhere (receiver, s, header->session_id)) {
    receiver->stats.foreign++;
    return;
  }
  /* a head that was started anew under the same address and alias, or a late HEADER of one that was before */
  if (s && s->state != RD_STATE_PENDING) {
    if (s->peer.family != 0 && s->state == RD_STATE_ALIVE && s->proved
        && now - s->heard < SUCCESSION_WAIT) {
      receiver->stats.dropped++;
      return;
    }
    if (s->proved || s->peer.family == 0)
      rd_receiver_retire_id (receiver, s);
    if (s->state == RD_STATE_ALIVE)
      rd_session_finish (s, g_strdup ("The head has begun another session"), 0,
          now);
    /* out of the way of the look-up; what it still has to deliver stays */
    s->detached = TRUE;
    s->linger_until = 0;
    s = NULL;
  }
  why = admission (receiver, header, now);
  if (why) {
    refuse (receiver, peer, frame, header, why);
    return;
  }
  if (!s)
    s = rd_receiver_add (receiver, peer, frame->alias, now);
  s->heard = now;
  s->bytes_in += frame->size;
  open_session (receiver, s, header, now);
}

static void
feed_header (RdReceiver * receiver, const RdPeer * peer, RdPeerSession * s,
    const RdFrame * frame, gint64 now)
{
  RdHeader header;

  if (!rd_frame_parse_header (frame, &header, NULL)) {
    receiver->stats.dropped++;
    return;
  }
  if (s && s->state != RD_STATE_PENDING && memcmp (s->header.session_id,
          header.session_id, sizeof header.session_id) == 0) {
    s->heard = now;
    s->bytes_in += frame->size;
    again_header (receiver, s, &header, now);
  } else {
    new_header (receiver, peer, s, frame, &header, now);
  }
  rd_header_clear (&header);
}

static gboolean
alias_elsewhere (const RdReceiver * receiver, guint8 alias)
{
  guint i;

  for (i = 0; i < receiver->sessions->len; i++) {
    const RdPeerSession *s = g_ptr_array_index (receiver->sessions, i);

    if (s->state == RD_STATE_ALIVE && s->alias == alias)
      return TRUE;
  }
  return FALSE;
}

/* The oldest entry without HEADER goes when there are too many of them. */
static void
limit_pending (RdReceiver * receiver)
{
  RdPeerSession *oldest = NULL;
  guint n = 0, i;

  for (i = 0; i < receiver->sessions->len; i++) {
    RdPeerSession *s = g_ptr_array_index (receiver->sessions, i);

    if (s->state != RD_STATE_PENDING)
      continue;
    n++;
    if (!oldest || s->heard < oldest->heard)
      oldest = s;
  }
  if (oldest && n >= receiver->config.max_peers)
    rd_receiver_remove (receiver, oldest);
}

/* A frame of a session that is not known: it is kept for a while, and HEADER is asked for. */
static void
feed_unknown (RdReceiver * receiver, const RdPeer * peer, RdPeerSession * s,
    const RdFrame * frame, gint64 now)
{
  if (frame->type == RD_FRAME_CONTROL && (frame->control == RD_CONTROL_ERROR
          || frame->control == RD_CONTROL_CANCEL
          || (frame->control == RD_CONTROL_END && frame->value == 0)))
    return;
  if (!s) {
    if (alias_elsewhere (receiver, frame->alias))
      receiver->stats.foreign++;
    limit_pending (receiver);
    s = rd_receiver_add (receiver, peer, frame->alias, now);
  }
  s->heard = now;
  s->bytes_in += frame->size;
  s->key_due = TRUE;
  if (frame->type != RD_FRAME_STATES)
    return;
  if (g_queue_get_length (&s->early) >= RD_RECEIVER_MAX_PENDING_FRAMES
      || s->held_bytes + frame->payload_size > receiver->config.hold_bytes) {
    receiver->stats.dropped++;
    return;
  }
  s->held_bytes += frame->payload_size;
  g_queue_push_tail (&s->early, rd_stored_new (frame));
}

static void
feed_probe (RdPeerSession * s, const RdFrame * frame, gint64 now)
{
  guint8 ahead = (guint8) (frame->sequence - (guint8) s->sequence);
  GList *l;

  s->answer = frame->value;
  s->answer_replay = ahead != 0 && ahead <= RD_RECEIVER_SLOTS;
  rd_session_want_ack (s, now);
  if (frame->epoch != s->epoch)
    return;
  rd_chain_prune_tokens (s, frame->aux);
  for (l = s->tokens.head; l; l = l->next)
    ((RdTokenEntry *) l->data)->due = TRUE;
}

static void
feed_end (const RdReceiver * receiver, RdPeerSession * s,
    const RdFrame * frame, gint64 now)
{
  guint8 ahead = (guint8) (frame->sequence - (guint8) s->sequence);

  if (frame->value == 0) {
    if (s->state == RD_STATE_OVER)
      s->linger_until = now;
    return;
  }
  s->answer = frame->value;
  if (s->state == RD_STATE_OVER) {
    s->end_ack_due = s->reason == NULL;
    s->error_due = s->error_text != NULL;
    s->linger_until = now + receiver->config.linger;
  } else if (ahead == 0 && !s->partial) {
    s->end_ack_due = TRUE;
    rd_session_finish (s, NULL, receiver->config.linger, now);
  } else {
    s->answer_replay = TRUE;
    s->replay_wanted = TRUE;
    if (!s->hole_since)
      s->hole_since = now;
    rd_session_want_replay (s, now);
  }
}

static void
feed_cancel (RdPeerSession * s, const RdFrame * frame)
{
  guint32 position = (guint32) frame->value;

  if (frame->value > G_MAXUINT32 || frame->epoch < s->epoch
      || (s->cancelled && s->cancel_epoch == frame->epoch
          && s->cancel_position == position))
    return;
  rd_chain_cancel (s, frame->epoch, position);
  s->cancel_due = frame->epoch == s->epoch;
}

static void
feed_error (RdPeerSession * s, const RdFrame * frame, gint64 now)
{
  g_autofree gchar *text = g_utf8_make_valid ((const gchar *) frame->payload,
      (gssize) frame->payload_size);

  g_strdelimit (text, "\r\n\t\v\f\b\033", ' ');
  rd_session_finish (s, g_strdup_printf ("The head says: %s", text), 0, now);
}

static void
feed_control (RdReceiver * receiver, RdPeerSession * s, const RdFrame * frame,
    gint64 now)
{
  /* a late frame, or a numbering of which we missed the HEADER */
  if (frame->check != s->check) {
    receiver->stats.dropped++;
    s->key_due = s->state == RD_STATE_ALIVE;
    return;
  }
  s->heard = now;
  s->bytes_in += frame->size;
  if (frame->control == RD_CONTROL_END) {
    feed_end (receiver, s, frame, now);
    return;
  }
  if (s->state == RD_STATE_OVER) {
    s->error_due = s->error_text != NULL;
    return;
  }
  switch (frame->control) {
    case RD_CONTROL_PROBE:
      feed_probe (s, frame, now);
      break;
    case RD_CONTROL_CANCEL:
      feed_cancel (s, frame);
      break;
    case RD_CONTROL_ERROR:
      feed_error (s, frame, now);
      break;
    case RD_CONTROL_KEEPALIVE:
      break;
    default:
      receiver->stats.dropped++;
      break;
  }
}

static void
feed_states (RdReceiver * receiver, RdPeerSession * s, const RdFrame * frame,
    gint64 now)
{
  s->bytes_in += frame->size;
  s->heard = now;
  if (s->state == RD_STATE_OVER) {
    receiver->stats.duplicates++;
    s->error_due = s->error_text != NULL;
    return;
  }
  rd_chain_feed (receiver, s, frame, now);
}

void
rd_receiver_feed (RdReceiver * receiver, const RdPeer * peer,
    const RdFrame * frame, gint64 now)
{
  RdPeerSession *s;

  rd_receiver_tick (receiver, now);
  s = rd_receiver_find (receiver, peer, frame->alias);
  receiver->stats.frames++;
  receiver->stats.bytes += frame->size;
  switch (frame->type) {
    case RD_FRAME_HEADER:
      feed_header (receiver, peer, s, frame, now);
      break;
    case RD_FRAME_STATES:
    case RD_FRAME_CONTROL:
      if (!s || s->state == RD_STATE_PENDING)
        feed_unknown (receiver, peer, s, frame, now);
      else if (frame->type == RD_FRAME_STATES)
        feed_states (receiver, s, frame, now);
      else
        feed_control (receiver, s, frame, now);
      break;
    case RD_FRAME_TOKENS:
    default:
      receiver->stats.dropped++;
      break;
  }
}
