/* What the head learns from the tail's frames. */
#include <string.h>
#include "codec/session/sender-private.h"

#define KEY_WAIT (20 * G_TIME_SPAN_MILLISECOND)

void
rd_estimate_add (RdEstimate * e, gint64 sample)
{
  gint64 error = sample - e->mean;

  /* zero means "not measured" */
  sample = MAX (sample, 1);
  if (!e->mean) {
    e->mean = sample;
    e->deviation = sample / 2;
    return;
  }
  e->deviation += (ABS (error) - e->deviation) / 4;
  e->mean = MAX (e->mean + error / 8, 1);
}

void
rd_sender_measure (RdSender * s, gint64 round_trip)
{
  round_trip = MAX (round_trip, 1);
  rd_estimate_add (&s->round_trip, round_trip);
  if (!s->least_round_trip || round_trip < s->least_round_trip)
    s->least_round_trip = round_trip;
}

static gboolean
from_tail (const RdFrame * frame)
{
  switch (frame->control) {
    case RD_CONTROL_ACK:
    case RD_CONTROL_REPLAY:
    case RD_CONTROL_KEY:
    case RD_CONTROL_WORKING:
    case RD_CONTROL_END_ACK:
    case RD_CONTROL_ERROR:
      return TRUE;
    default:
      return FALSE;
  }
}

/* Is this frame for this session, from a tail that may say it? */
static gboolean
is_ours (const RdSender * s, const RdFrame * frame)
{
  if (frame->alias != s->alias)
    return FALSE;
  if (frame->type == RD_FRAME_TOKENS)
    return frame->check == s->check;
  if (frame->type != RD_FRAME_CONTROL || !from_tail (frame))
    return FALSE;
  return frame->check == s->check
      || (frame->control == RD_CONTROL_KEY && frame->check == 0);
}

/* Place of @instance among the lives that are over, -1 = not there. */
static gint
find_dead (const RdSender * s, guint16 instance)
{
  gint i;

  for (i = 0; i < RD_SENDER_DEAD_INSTANCES; i++)
    if (s->dead[i] == instance)
      return i;
  return -1;
}

/* Who answers a probe that was sent since the present life was met is alive, whatever late frames made us believe. */
static gboolean
is_fresh_answer (const RdSender * s, const RdFrame * frame)
{
  return frame->type == RD_FRAME_CONTROL
      && (frame->control == RD_CONTROL_ACK
      || frame->control == RD_CONTROL_REPLAY
      || frame->control == RD_CONTROL_END_ACK)
      && frame->aux > s->met_at_probe && frame->aux <= s->probe_number;
}

static void
restart (RdSender * s)
{
  if (!rd_sender_restart (s))
    rd_sender_fail (s, g_strdup ("The tail has lost its state and the head no "
            "longer holds the beginning of the session: raise replay-bytes"));
}

/* A tail that was started anew has another number. FALSE: a late frame of an earlier life. */
static gboolean
meet_instance (RdSender * s, const RdFrame * frame)
{
  gint dead = find_dead (s, frame->instance);

  if (frame->instance == 0)
    return FALSE;
  if (frame->instance == s->instance)
    return TRUE;
  if (dead >= 0 && !is_fresh_answer (s, frame))
    return FALSE;
  if (s->instance) {
    if (dead < 0)
      dead = (gint) (s->n_dead++ % RD_SENDER_DEAD_INSTANCES);
    s->dead[dead] = s->instance;
    restart (s);
  }
  s->instance = frame->instance;
  s->met_at_probe = s->probe_number;
  return TRUE;
}

static void
take_cookie (RdSender * s, const RdFrame * frame)
{
  if (!frame->has_cookie) {
    s->confirmed = TRUE;
    return;
  }
  /* the tail believes us once a HEADER brings it back */
  if (memcmp (s->header.cookie, frame->cookie, RD_COOKIE_BYTES) != 0)
    s->force_key = TRUE;
  memcpy (s->header.cookie, frame->cookie, RD_COOKIE_BYTES);
}

/* The acknowledgement that every frame of the tail is. TRUE if something moved. */
static gboolean
take_ack (RdSender * s, const RdFrame * frame, guint32 position, gint64 now,
    RdSenderInput * input)
{
  guint32 ack_sequence = s->ack_sequence;
  gsize held = (gsize) MIN (frame->value, G_MAXUINT32);

  if (!rd_sender_acknowledge (s, (guint8) frame->sequence, frame->epoch,
          position, now))
    return FALSE;
  if (held != s->held || s->ack_sequence != ack_sequence)
    input->window_changed = TRUE;
  s->held = held;
  return s->ack_sequence != ack_sequence;
}

/* Was @number asked lately? *slot: where its time is kept. */
static gboolean
find_probe (const RdSender * s, guint64 number, guint * slot)
{
  *slot = number % RD_SENDER_PROBE_TIMES;
  return number && number <= s->probe_number
      && s->probe_number - number < RD_SENDER_PROBE_TIMES;
}

static gboolean
replay_holds (const RdFrame * frame, guint i)
{
  return i / 8 < MIN (frame->payload_size, RD_MAX_REPLAY_BYTES)
      && (frame->payload[i / 8] >> (i % 8) & 1);
}

/* Marks what is lost: sent before the probe that is answered here, clearly before a frame that has arrived, or so long ago that it
 * cannot be on its way while a later one has arrived. TRUE if there is any. */
static gboolean
take_replay (RdSender * s, const RdFrame * frame, gint64 now)
{
  gboolean found = FALSE;
  guint64 lost_before = 0;
  guint n = s->sent - s->acked, holes = 0, slot, i;

  /* a late one speaks of holes that are filled */
  if ((guint8) frame->sequence != (guint8) s->ack_sequence)
    return FALSE;
  for (i = 0; i < n; i++) {
    guint64 order = rd_sender_record (s, s->acked + i)->last_order;

    if (!replay_holds (frame, i))
      continue;
    holes = i;
    if (order > s->reorder)
      lost_before = MAX (lost_before, order - s->reorder);
  }
  if (find_probe (s, frame->aux, &slot))
    lost_before = MAX (lost_before, s->probe_orders[slot]);
  for (i = 0; i < n; i++) {
    RdRecord *r = rd_sender_record (s, s->acked + i);

    if (!replay_holds (frame, i) && (r->last_order <= lost_before
            || (i < holes
                && now - r->last_sent >= rd_sender_round_trip_limit (s))))
      found = r->missing = TRUE;
  }
  return found;
}

/* The tail does not know us: it gets HEADER with a probe. What it has lost shows in the answer, which only the tail of this session can
 * give, so a forged or late KEY costs a few bytes and no replay. */
static void
take_key (RdSender * s, gint64 now)
{
  s->confirmed = FALSE;
  s->key_asked = TRUE;
  s->probe_at = s->end_at = MAX (now, s->last_probe + KEY_WAIT);
}

/* The answer to a probe that was sent after the last progress, and which has less than was acknowledged: by chance the new life of a tail
 * has the number of the old one. */
static gboolean
is_relapse (const RdSender * s, const RdFrame * frame)
{
  guint slot;
  guint8 ahead = (guint8) (frame->sequence - s->ack_sequence);

  return find_probe (s, frame->aux, &slot)
      && s->probe_acks[slot] == s->ack_sequence && ahead > s->sent - s->acked;
}

static void
take_probe_answer (RdSender * s, const RdFrame * frame, gint64 now)
{
  guint slot;

  if (!find_probe (s, frame->aux, &slot))
    return;
  s->answered = frame->control == RD_CONTROL_ACK;
  if (s->answered)
    s->probe_at = MAX (s->probe_at, s->probe_times[slot] +
        rd_sender_probe_interval (s));
  rd_sender_measure (s, now - s->probe_times[slot]);
}

static void
pop_awaited (RdSender * s, guint64 below, gint64 now)
{
  guint n = 0;

  while (n < s->awaited->len
      && g_array_index (s->awaited, RdAwaited, n).position < below)
    n++;
  if (n == 1) {
    const RdAwaited *a = &g_array_index (s->awaited, RdAwaited, 0);

    if (a->step && a->undisturbed)
      rd_estimate_add (&s->step_time, now - a->sent);
  }
  if (n)
    g_array_remove_range (s->awaited, 0, n);
}

/* New tokens, each position once and in order; what comes too early is asked for again later. TRUE if there are any. */
static gboolean
take_tokens (RdSender * s, const RdFrame * frame, gint64 now,
    RdSenderInput * input)
{
  guint64 end = (guint64) frame->position + frame->n_ids;
  guint32 from = MAX (frame->position, s->tokens_next), i;
  gboolean finish;

  if (frame->epoch != s->epoch || s->cancelled || s->ending
      || end > (guint64) s->next_position + 1)
    return FALSE;
  if (s->awaited->len
      && frame->position > g_array_index (s->awaited, RdAwaited, 0).position)
    return FALSE;
  if (s->awaited->len == 0 && frame->n_ids)
    return FALSE;
  finish = frame->finish != RD_FINISH_NONE && end >= s->finish_next
      && end >= s->tokens_next;
  if (end <= from && !finish)
    return FALSE;

  input->tokens = TRUE;
  input->epoch = frame->epoch;
  input->position = from;
  input->n_ids = end > from ? (guint32) (end - from) : 0;
  input->finish = finish ? frame->finish : RD_FINISH_NONE;
  s->input_ids = g_renew (gint32, s->input_ids, frame->n_ids + 1);
  rd_frame_ids (frame, s->input_ids);
  input->ids = s->input_ids + (frame->n_ids - input->n_ids);
  for (i = 0; i < input->n_ids; i++)
    rd_sender_note_token (s, from + i, input->ids[i]);
  s->tokens_next = MAX (s->tokens_next, (guint32) end);
  if (finish)
    s->finish_next = end + 1;
  pop_awaited (s, finish ? end + 1 : end, now);
  return TRUE;
}

static void
take_error (RdSender * s, const RdFrame * frame, RdSenderInput * input)
{
  input->error = g_utf8_make_valid ((const gchar *) frame->payload,
      (gssize) frame->payload_size);
  g_strdelimit (input->error, "\r\n\t\v\f\b\033", ' ');
  s->over = TRUE;
}

static gboolean
take_control (RdSender * s, const RdFrame * frame, gint64 now,
    RdSenderInput * input)
{
  gboolean progress;

  if (is_relapse (s, frame)) {
    restart (s);
    return TRUE;
  }
  take_cookie (s, frame);
  progress = take_ack (s, frame, frame->position, now, input);
  if (frame->control != RD_CONTROL_WORKING)
    take_probe_answer (s, frame, now);
  if (frame->control == RD_CONTROL_REPLAY)
    progress |= take_replay (s, frame, now);
  /* after END_ACK one last END tells the tail that it need not wait for ours any more */
  if (frame->control == RD_CONTROL_END_ACK && s->ending && !s->ended
      && s->acked == s->chain->len)
    s->bye = TRUE;
  return progress;
}

void
rd_sender_feed (RdSender * s, const RdFrame * frame, gint64 now,
    RdSenderInput * input)
{
  gboolean progress;

  memset (input, 0, sizeof *input);
  s->stats.bytes_received += frame->size;
  if (!is_ours (s, frame) || s->over || !s->feedback_open)
    return;
  if (frame->type == RD_FRAME_CONTROL && frame->control == RD_CONTROL_ERROR) {
    take_error (s, frame, input);
    return;
  }
  if (frame->type == RD_FRAME_CONTROL && frame->control == RD_CONTROL_KEY) {
    take_key (s, now);
    return;
  }
  if (!meet_instance (s, frame) || s->over)
    return;
  s->heard = now;
  if (frame->type == RD_FRAME_TOKENS) {
    take_cookie (s, frame);
    progress = take_ack (s, frame, frame->ack_position, now, input);
    progress |= take_tokens (s, frame, now, input);
  } else {
    progress = take_control (s, frame, now, input);
  }
  rd_sender_touch (s, progress, now);
}
