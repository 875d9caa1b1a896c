/* What the tail sends back, and when. */
#include <string.h>
#include "codec/session/receiver-private.h"

#define WORKING_INTERVAL G_TIME_SPAN_SECOND
#define KEY_INTERVAL (50 * G_TIME_SPAN_MILLISECOND)
#define REPLAY_INTERVAL (50 * G_TIME_SPAN_MILLISECOND)
#define MAX_REPLAY_INTERVAL (250 * G_TIME_SPAN_MILLISECOND)
#define PENDING_LIFE (5 * G_TIME_SPAN_SECOND)
/* how long a hole may stay open: with a way back, without one, and under the policy `reset` */
#define HOLE_LIFE (10 * G_TIME_SPAN_SECOND)
#define HOLE_LIFE_ONE_WAY G_TIME_SPAN_SECOND
#define HOLE_LIFE_RESET (100 * G_TIME_SPAN_MILLISECOND)

void
rd_session_want_ack (RdPeerSession * s, gint64 at)
{
  s->ack_at = MIN (s->ack_at, at);
}

void
rd_session_want_replay (RdPeerSession * s, gint64 at)
{
  s->replay_at = MIN (s->replay_at, at);
}

static gboolean
answers (const RdReceiver * receiver, const RdPeerSession * s)
{
  return receiver->config.has_feedback && (s->state == RD_STATE_PENDING
      || s->header.has_feedback);
}

static gint64
hole_life (const RdReceiver * receiver, const RdPeerSession * s)
{
  if (receiver->config.loss_policy == RD_LOSS_RESET)
    return HOLE_LIFE_RESET;
  return answers (receiver, s) ? HOLE_LIFE : HOLE_LIFE_ONE_WAY;
}

/* When the session ends by itself if nothing happens. */
static gint64
end_of_patience (const RdReceiver * receiver, const RdPeerSession * s)
{
  gint64 at = G_MAXINT64;

  if (s->state == RD_STATE_PENDING)
    return s->heard + PENDING_LIFE;
  if (s->state == RD_STATE_OVER)
    return s->linger_until;
  if (s->hole_since)
    at = s->hole_since + hole_life (receiver, s);
  if (receiver->config.session_timeout && s->working_at == G_MAXINT64)
    at = MIN (at, MAX (s->heard, s->idle_since)
        + receiver->config.session_timeout);
  return at;
}

static void
end_by_time (RdReceiver * receiver, RdPeerSession * s, gint64 now)
{
  if (s->hole_since && now >= s->hole_since + hole_life (receiver, s)) {
    rd_session_fail (receiver, s, g_strdup_printf ("The rows from position %u "
            "of epoch %u on were lost%s", s->position, s->epoch,
            answers (receiver, s) ? " and did not come when asked for" :
            ", and there is no way back to ask for them"), now);
    return;
  }
  rd_session_finish (s, g_strdup_printf ("Nothing was heard from the head for "
          "%.1f s", (gdouble) receiver->config.session_timeout /
          G_USEC_PER_SEC), 0, now);
}

void
rd_receiver_tick (RdReceiver * receiver, gint64 now)
{
  guint i;

  for (i = receiver->sessions->len; i-- > 0;) {
    RdPeerSession *s = g_ptr_array_index (receiver->sessions, i);

    if (now < end_of_patience (receiver, s))
      continue;
    if (s->state == RD_STATE_ALIVE)
      end_by_time (receiver, s, now);
    else if (s != receiver->current && (s->state == RD_STATE_PENDING
            || s->ended)) {
      /* a late copy of its HEADER must not begin it again */
      if (s->ended && !s->reason)
        rd_receiver_retire_id (receiver, s);
      rd_receiver_remove (receiver, s);
    }
  }
}

static void
fill (const RdPeerSession * s, RdFrame * f)
{
  f->alias = s->alias;
  if (f->type != RD_FRAME_CONTROL || f->control != RD_CONTROL_KEY)
    f->check = s->check;
  f->instance = s->instance;
  f->sequence = s->sequence;
  f->epoch = s->epoch;
  f->value = s->queue_cost;
  if (!s->proved && s->state != RD_STATE_PENDING && s->peer.family != 0
      && !(f->type == RD_FRAME_CONTROL && f->control == RD_CONTROL_ERROR)) {
    f->has_cookie = TRUE;
    memcpy (f->cookie, s->cookie, sizeof f->cookie);
  }
}

/* The bytes of @f, or NULL where they would be more than an unproved address has sent. */
static GBytes *
emit (RdReceiver * receiver, RdPeerSession * s, const RdFrame * f,
    const gint32 * ids)
{
  g_autoptr (GByteArray) out = g_byte_array_new ();
  gboolean written = rd_frame_write (f, NULL, ids, out, NULL);

  g_assert (written);
  if (!s->proved && s->peer.family != 0 && s->bytes_out + out->len >
      s->bytes_in)
    return NULL;
  s->bytes_out += out->len;
  receiver->stats.bytes_sent += out->len;
  return g_byte_array_free_to_bytes (g_steal_pointer (&out));
}

static GBytes *
emit_control (RdReceiver * receiver, RdPeerSession * s, RdControl control,
    guint64 aux, const void *payload, gsize size)
{
  RdFrame f = {.type = RD_FRAME_CONTROL,.control = control,
    .position = s->position,.aux = aux,.payload = payload,.payload_size = size
  };

  fill (s, &f);
  return emit (receiver, s, &f, NULL);
}

static void
acknowledged (RdPeerSession * s)
{
  s->ack_at = G_MAXINT64;
  s->acknowledged = TRUE;
  s->unacked_frames = 0;
  s->unacked_cost = s->freed_cost = 0;
}

static GBytes *
pull_replay (RdReceiver * receiver, RdPeerSession * s, gint64 now)
{
  guint8 held[RD_MAX_REPLAY_BYTES] = { 0, };
  gsize size = 0;
  guint64 answer = s->answer;
  guint i;

  for (i = 1; i < RD_RECEIVER_SLOTS; i++) {
    if (s->slots[(s->sequence + i) % RD_RECEIVER_SLOTS]) {
      held[i / 8] |= (guint8) (1 << (i % 8));
      size = i / 8 + 1;
    }
  }
  acknowledged (s);
  s->answer = 0;
  s->answer_replay = FALSE;
  s->held_since_replay = 0;
  s->replay_at = s->n_held || s->replay_wanted ?
      now + MIN (REPLAY_INTERVAL << MIN (s->replays_sent, 8),
      MAX_REPLAY_INTERVAL) : G_MAXINT64;
  s->replays_sent++;
  receiver->stats.replays_requested++;
  return emit_control (receiver, s, RD_CONTROL_REPLAY, answer, held, size);
}

static GBytes *
pull_ack (RdReceiver * receiver, RdPeerSession * s, gint64 now)
{
  guint64 answer = s->answer;

  if (s->answer_replay || (s->n_held && s->answer) || now >= s->replay_at)
    return pull_replay (receiver, s, now);
  acknowledged (s);
  s->answer = 0;
  return emit_control (receiver, s, RD_CONTROL_ACK, answer, NULL, 0);
}

static GBytes *
pull_tokens (RdReceiver * receiver, RdPeerSession * s)
{
  GList *l;

  for (l = s->tokens.head; l; l = l->next) {
    RdTokenEntry *e = l->data;
    RdFrame f = {.type = RD_FRAME_TOKENS,.position = e->position,
      .ack_position = s->position,.n_ids = e->n_ids,.finish = e->finish
    };

    if (!e->due)
      continue;
    e->due = FALSE;
    fill (s, &f);
    /* a question that was asked and a hole need an answer of their own */
    if (!s->answer && !s->n_held)
      acknowledged (s);
    return emit (receiver, s, &f, e->ids);
  }
  return NULL;
}

static gboolean
tokens_due (const RdPeerSession * s)
{
  const GList *l;

  for (l = s->tokens.head; l; l = l->next)
    if (((const RdTokenEntry *) l->data)->due)
      return TRUE;
  return FALSE;
}

static gint64
key_at (const RdPeerSession * s)
{
  return s->key_due ? s->key_sent ? s->key_sent + KEY_INTERVAL : 0 : G_MAXINT64;
}

static GBytes *
pull_key (RdReceiver * receiver, RdPeerSession * s, gint64 now)
{
  s->key_due = FALSE;
  s->key_sent = now;
  receiver->stats.key_requests++;
  return emit_control (receiver, s, RD_CONTROL_KEY,
      s->state == RD_STATE_PENDING, NULL, 0);
}

static GBytes *
pull_over (RdReceiver * receiver, RdPeerSession * s)
{
  if (s->error_due) {
    s->error_due = FALSE;
    return emit_control (receiver, s, RD_CONTROL_ERROR, 0, s->error_text,
        strlen (s->error_text));
  }
  if (s->end_ack_due) {
    guint64 answer = s->answer;

    s->end_ack_due = FALSE;
    s->answer = 0;
    return emit_control (receiver, s, RD_CONTROL_END_ACK, answer, NULL, 0);
  }
  return NULL;
}

/* Time at which @s has something to say. */
static gint64
due_at (const RdReceiver * receiver, const RdPeerSession * s)
{
  if (!answers (receiver, s))
    return G_MAXINT64;
  switch (s->state) {
    case RD_STATE_PENDING:
      return key_at (s);
    case RD_STATE_OVER:
      return s->error_due || s->end_ack_due ? 0 : G_MAXINT64;
    case RD_STATE_ALIVE:
    default:
      if (tokens_due (s))
        return 0;
      return MIN (MIN (key_at (s), s->ack_at), MIN (s->replay_at,
              s->working_at));
  }
}

/* Something that is due now, or NULL where it must not go out; either way it is not due any more. */
static GBytes *
pull_session (RdReceiver * receiver, RdPeerSession * s, gint64 now)
{
  if (s->state == RD_STATE_OVER)
    return pull_over (receiver, s);
  if (now >= key_at (s))
    return pull_key (receiver, s, now);
  if (tokens_due (s))
    return pull_tokens (receiver, s);
  if (now >= s->replay_at)
    return pull_replay (receiver, s, now);
  if (now >= s->ack_at)
    return pull_ack (receiver, s, now);
  s->working_at = now + WORKING_INTERVAL;
  acknowledged (s);
  return emit_control (receiver, s, RD_CONTROL_WORKING, 0, NULL, 0);
}

static GBytes *
pull_refusal (RdReceiver * receiver, RdPeer * to)
{
  RdRefusal *refusal = g_queue_pop_head (&receiver->refusals);
  GBytes *bytes;

  if (!refusal)
    return NULL;
  *to = refusal->to;
  bytes = refusal->bytes;
  receiver->stats.bytes_sent += g_bytes_get_size (bytes);
  g_free (refusal);
  return bytes;
}

GBytes *
rd_receiver_pull (RdReceiver * receiver, gint64 now, RdPeer * to)
{
  GBytes *bytes;
  guint i;

  rd_receiver_tick (receiver, now);
  bytes = pull_refusal (receiver, to);
  for (i = 0; !bytes && i < receiver->sessions->len; i++) {
    RdPeerSession *s = g_ptr_array_index (receiver->sessions, i);

    while (!bytes && due_at (receiver, s) <= now)
      bytes = pull_session (receiver, s, now);
    *to = s->peer;
    if (s->header.reply_port)
      to->port = s->header.reply_port;
  }
  return bytes;
}

gint64
rd_receiver_deadline (const RdReceiver * receiver)
{
  gint64 at = G_MAXINT64;
  guint i;

  if (receiver->refusals.length > 0)
    return 0;
  for (i = 0; i < receiver->sessions->len; i++) {
    const RdPeerSession *s = g_ptr_array_index (receiver->sessions, i);

    at = MIN (at, due_at (receiver, s));
    /* what is over waits for its last delivery, not for the clock */
    if (s->state != RD_STATE_OVER || s->ended)
      at = MIN (at, end_of_patience (receiver, s));
  }
  return at;
}

gboolean
rd_receiver_quiet (const RdReceiver * receiver, gint64 now)
{
  guint i;

  for (i = 0; i < receiver->sessions->len; i++) {
    const RdPeerSession *s = g_ptr_array_index (receiver->sessions, i);

    if (s->state == RD_STATE_OVER && answers (receiver, s)
        && (now < s->linger_until || due_at (receiver, s) <= now))
      return FALSE;
  }
  return receiver->refusals.length == 0;
}
