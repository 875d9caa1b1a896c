/* What the head sends, and when. */
#include <string.h>
#include "codec/session/sender-private.h"

#define FIRST_TIMEOUT (100 * G_TIME_SPAN_MILLISECOND)
#define PREFILL_TIMEOUT (200 * G_TIME_SPAN_MILLISECOND)
#define MAX_TIMEOUT G_TIME_SPAN_SECOND  /* whatever the estimates say, as long as the round trip is below half of it */
#define MIN_TIMEOUT (25 * G_TIME_SPAN_MILLISECOND)
#define ACK_SLACK (20 * G_TIME_SPAN_MILLISECOND)        /* the tail may delay an acknowledgement */
/* a tail that lives and has everything is asked less and less often, one that is silent up to so many times before it is given up */
#define ANSWERED_MAX G_TIME_SPAN_SECOND
#define PROBES_PER_TIMEOUT 64
#define ENDS_PER_LINGER 64
#define MAX_BACKOFF 10

/* Time after which something measured by @e is late. */
static gint64
estimate_limit (const RdEstimate * e, gint64 unknown)
{
  if (!e->mean)
    return unknown;
  return MIN (e->mean + 4 * e->deviation + ACK_SLACK, MAX (MAX_TIMEOUT,
          2 * e->mean));
}

gint64
rd_sender_round_trip_limit (const RdSender * s)
{
  return estimate_limit (&s->round_trip, FIRST_TIMEOUT);
}

/* How long what is awaited may take before it is worth a question. */
static gint64
awaited_timeout (const RdSender * s)
{
  const RdAwaited *first;
  gint64 t = rd_sender_round_trip_limit (s);

  if (s->sent == s->acked && s->awaited->len) {
    first = &g_array_index (s->awaited, RdAwaited, 0);
    t = MAX (t, first->step ? estimate_limit (&s->step_time, PREFILL_TIMEOUT)
        : PREFILL_TIMEOUT);
  }
  return MAX (t, MIN_TIMEOUT);
}

gint64
rd_sender_probe_interval (const RdSender * s)
{
  gint64 t = awaited_timeout (s);
  gint64 max = s->answered || !s->config.peer_timeout ? ANSWERED_MAX
      : s->config.peer_timeout / PROBES_PER_TIMEOUT;

  return MIN (t << MIN (s->backoff, MAX_BACKOFF), MAX (t, max));
}

static gint64
end_interval (const RdSender * s)
{
  gint64 t = awaited_timeout (s);
  guint backoff = s->ends_sent ? s->ends_sent - 1 : 0;

  if (!s->feedback_open)
    return RD_SENDER_REPEAT_INTERVAL;
  return MIN (t << MIN (backoff, MAX_BACKOFF), MAX (t,
          s->config.linger / ENDS_PER_LINGER));
}

void
rd_sender_touch (RdSender * s, gboolean progress, gint64 now)
{
  gboolean awaiting = s->feedback_open && !s->over && (s->sent > s->acked
      || s->awaited->len > 0 || s->held > 0);

  if (awaiting && (progress || !s->awaiting)) {
    if (!s->awaiting)
      s->awaiting_since = now;
    s->backoff = 0;
    s->answered = FALSE;
    s->probe_at = now + awaited_timeout (s);
  }
  s->awaiting = awaiting;
  if (progress && s->ending && s->feedback_open) {
    s->ends_sent = 0;
    s->end_at = MIN (s->end_at, now + awaited_timeout (s));
  }
}

void
rd_sender_fail (RdSender * s, gchar * message)
{
  if (s->failure) {
    g_free (message);
    return;
  }
  s->failure = message;
  s->over = TRUE;
}

static gchar *
timeout_message (const RdSender * s)
{
  gdouble seconds = (gdouble) s->config.peer_timeout / G_USEC_PER_SEC;
  const gchar *never = s->instance ? "" :
      "; nothing has ever come from it: does it run, is its address right, is "
      "the way back linked?";

  if (s->sent > s->acked)
    return g_strdup_printf ("Nothing was heard from the tail for %.1f s while "
        "%u frames from position %u on are unacknowledged%s", seconds,
        s->sent - s->acked, rd_sender_record (s, s->acked)->position, never);
  if (s->awaited->len)
    return g_strdup_printf ("Nothing was heard from the tail for %.1f s while "
        "the token at position %u is awaited%s", seconds,
        g_array_index (s->awaited, RdAwaited, 0).position, never);
  return g_strdup_printf ("Nothing was heard from the tail for %.1f s while "
      "it holds %" G_GSIZE_FORMAT " bytes of the window%s", seconds, s->held,
      never);
}

/* When a silent tail is given up. */
static gint64
patience_ends_at (const RdSender * s)
{
  return s->awaiting && s->config.peer_timeout ?
      MAX (s->heard, s->awaiting_since) + s->config.peer_timeout : G_MAXINT64;
}

/* Ends what has waited too long. */
static void
check_time (RdSender * s, gint64 now)
{
  if (now >= patience_ends_at (s))
    rd_sender_fail (s, timeout_message (s));
  if (s->linger_until && now >= s->linger_until && !s->over) {
    s->ended = s->over = TRUE;
    s->clean = FALSE;
  }
}

static GBytes *
emit (RdSender * s, GByteArray * out, gint64 now)
{
  s->stats.bytes += out->len;
  s->last_out = now;
  return g_byte_array_free_to_bytes (out);
}

/* Header and control frames are made of checked values only. */
static void
write_or_abort (const RdFrame * frame, const RdHeader * header,
    const gint32 * ids, GByteArray * out)
{
  gboolean written = rd_frame_write (frame, header, ids, out, NULL);

  g_assert (written);
}

static void
append_header (RdSender * s, guint32 sequence, GByteArray * out)
{
  RdFrame f = {.type = RD_FRAME_HEADER,.alias = s->alias,.sequence = sequence };
  guint before = out->len;

  s->header.next_sequence = sequence;
  write_or_abort (&f, &s->header, NULL, out);
  s->stats.header_bytes += out->len - before;
  s->stats.keys++;
}

static void
append_control (RdSender * s, RdControl control, guint64 value,
    GByteArray * out)
{
  RdFrame f = {.type = RD_FRAME_CONTROL,.alias = s->alias,
    .sequence = s->next_sequence,.check = s->check,.instance = s->instance,
    .control = control,.value = value,.epoch = s->epoch,
    .position = s->next_position
  };

  if (s->sent < s->chain->len) {
    f.epoch = rd_sender_record (s, s->sent)->epoch;
    f.position = rd_sender_record (s, s->sent)->position;
  }
  f.aux = s->awaited->len ? g_array_index (s->awaited, RdAwaited, 0).position
      : MAX (s->tokens_next, (guint64) s->next_position + 1);
  if (control == RD_CONTROL_CANCEL)
    f.epoch = s->cancel_epoch;
  if (control == RD_CONTROL_ERROR) {
    f.payload = (const guint8 *) s->error_text;
    f.payload_size = strlen (s->error_text);
  }
  write_or_abort (&f, NULL, NULL, out);
}

static GBytes *
pull_control (RdSender * s, RdControl control, guint64 value, gint64 now,
    gboolean * key)
{
  GByteArray *out = g_byte_array_new ();

  /* a tail that does not know us yet gets what it needs to answer */
  if (s->config.has_feedback && !s->confirmed) {
    append_header (s, s->next_sequence, out);
    *key = TRUE;
  }
  append_control (s, control, value, out);
  return emit (s, out, now);
}

static gboolean
may_send_next (const RdSender * s)
{
  gsize used;

  if (s->sent == s->chain->len)
    return FALSE;
  if (!s->feedback_open)
    return TRUE;
  if (s->sent - s->acked >= RD_MAX_IN_FLIGHT)
    return FALSE;
  used = rd_sender_cost (s, s->acked, s->sent) + s->held;
  return used == 0 || used + rd_sender_record (s, s->sent)->cost
      <= s->config.window_bytes;
}

/* Index of the record that goes next: first what the tail misses. */
static gboolean
next_record (const RdSender * s, guint * index)
{
  for (*index = s->acked; *index < s->sent; (*index)++)
    if (rd_sender_record (s, *index)->missing)
      return TRUE;
  return may_send_next (s);
}

/* Until the tail has answered, HEADER goes with the 1st, 2nd, 4th, 8th ...
 * frame and with whatever is sent again: a prompt of many small frames does
 * not pay for it in each, and a tail that missed them all asks for a key. */
gboolean
rd_sender_needs_header (const RdSender * s, gboolean truncate, guint index)
{
  guint nth = index + 1;

  if (s->force_key || truncate)
    return TRUE;
  if (s->config.key_int_max && s->tokens_since_key >= s->config.key_int_max)
    return TRUE;
  if (!s->config.has_feedback)
    return s->stats.frames == 0 && index == s->sent;
  return !s->confirmed && (index < s->sent || (nth & (nth - 1)) == 0);
}

static void
append_states (RdSender * s, const RdRecord * r, GByteArray * out)
{
  RdFrame f = {.type = RD_FRAME_STATES,.alias = s->alias,
    .sequence = r->sequence,.epoch = r->epoch,.has_epoch = r->truncate,
    .truncate = r->truncate,.position = r->position,.count = r->count,
    .step = r->step,.sample = r->sample,.given = r->given,.packed = r->packed,
    .fragment_offset = r->fragment_offset,.fragment_total = r->fragment_total,
    .payload = r->payload,.payload_size = r->size
  };
  g_autofree gint32 *ids = NULL;

  f.n_ids = (r->ids ? r->count : 0) + (r->given ? 1 : 0);
  if (f.n_ids) {
    ids = g_new (gint32, f.n_ids);
    if (r->ids)
      memcpy (ids, r->ids, sizeof (gint32) * r->count);
    if (r->given)
      ids[f.n_ids - 1] = r->given_id;
  }
  write_or_abort (&f, NULL, ids, out);
}

static void
disturb_awaited (RdSender * s)
{
  guint i;

  for (i = 0; i < s->awaited->len; i++)
    g_array_index (s->awaited, RdAwaited, i).undisturbed = FALSE;
}

static void
note_first_sending (RdSender * s, RdRecord * r, gint64 now)
{
  gboolean last = r->fragment_offset + r->size >= r->fragment_total;
  RdAwaited a = { r->position + r->count, r->step, TRUE, now };

  s->sent_epoch = r->epoch;
  s->sent_position = r->position + r->count;
  s->stats.payload_bytes += r->size;
  if (r->ids)
    s->stats.id_bytes += rd_frame_ids_size (r->ids, r->count);
  if (r->fragment_offset == 0)
    s->stats.tokens += r->count;
  if (!r->sample || r->given || !last || r->epoch != s->epoch || s->ending
      || s->cancelled || !s->feedback_open)
    return;
  /* the turn may have ended while this row waited for the window */
  if (a.position >= s->finish_next && a.position >= s->tokens_next)
    g_array_append_val (s->awaited, a);
}

static void
note_sent (RdSender * s, guint index, RdRecord * r, gsize bytes, gint64 now)
{
  s->stats.frames++;
  if (r->n_sent++ == 0) {
    note_first_sending (s, r, now);
  } else {
    disturb_awaited (s);
    s->stats.retransmitted_frames++;
    s->stats.retransmitted_bytes += bytes;
  }
  r->missing = FALSE;
  r->last_sent = now;
  r->last_order = ++s->order;
  if (index < s->sent)
    return;
  s->next_sequence++;
  /* without a way back nothing is ever asked for again */
  if (s->config.has_feedback)
    s->sent++;
  else
    g_ptr_array_remove_index (s->chain, 0);
}

static GBytes *
pull_states (RdSender * s, gint64 now, gboolean * key)
{
  g_autoptr (GByteArray) states = NULL;
  GByteArray *out;
  RdRecord *r;
  guint index;

  if (!next_record (s, &index))
    return NULL;
  r = rd_sender_record (s, index);
  if (index == s->sent)
    r->sequence = s->next_sequence;
  states = g_byte_array_new ();
  append_states (s, r, states);

  out = g_byte_array_new ();
  if (!s->header_out && rd_sender_needs_header (s, r->truncate, index)) {
    append_header (s, r->sequence, out);
    *key = TRUE;
    s->force_key = FALSE;
    s->tokens_since_key = 0;
    if (s->config.max_payload_size
        && out->len + states->len > s->config.max_payload_size) {
      s->header_out = TRUE;
      return emit (s, out, now);
    }
  }
  s->header_out = FALSE;
  g_byte_array_append (out, states->data, states->len);
  s->tokens_since_key += r->fragment_offset ? 0 : r->count;
  note_sent (s, index, r, states->len, now);
  rd_sender_touch (s, FALSE, now);
  return emit (s, out, now);
}

/* How often END goes out when nobody can acknowledge it. */
static guint
unanswered_ends (const RdSender * s)
{
  return s->config.has_feedback || s->config.max_payload_size ?
      RD_SENDER_REPEATS : 1;
}

static guint64
next_probe_number (RdSender * s, gint64 now)
{
  guint64 number = ++s->probe_number;

  s->probe_times[number % RD_SENDER_PROBE_TIMES] = now;
  s->probe_orders[number % RD_SENDER_PROBE_TIMES] = s->order;
  s->probe_acks[number % RD_SENDER_PROBE_TIMES] = s->ack_sequence;
  s->last_probe = now;
  s->key_asked = FALSE;
  disturb_awaited (s);
  return number;
}

static GBytes *
pull_end (RdSender * s, gint64 now, gboolean * key)
{
  s->ends_sent++;
  s->end_at = now + end_interval (s);
  if (!s->feedback_open) {
    if (s->ends_sent >= unanswered_ends (s)) {
      s->ended = s->over = TRUE;
      s->clean = !s->config.has_feedback;
    }
  } else if (s->acked == s->chain->len && !s->linger_until) {
    s->linger_until = now + s->config.linger;
  }
  return pull_control (s, RD_CONTROL_END, next_probe_number (s, now), now, key);
}

static GBytes *
pull_probe (RdSender * s, gint64 now, gboolean * key)
{
  guint64 number = next_probe_number (s, now);

  s->probe_at = now + rd_sender_probe_interval (s);
  s->backoff++;
  s->answered = FALSE;
  s->stats.probes++;
  return pull_control (s, RD_CONTROL_PROBE, number, now, key);
}

static gint64
keepalive_at (const RdSender * s)
{
  return s->config.keepalive && s->feedback_open && s->started && !s->awaiting
      && !s->ending ? s->last_out + s->config.keepalive : G_MAXINT64;
}

static gint64
end_due_at (const RdSender * s)
{
  return s->ending && s->sent == s->chain->len ? s->end_at : G_MAXINT64;
}

static gint64
probe_due_at (const RdSender * s)
{
  /* END asks the same question */
  return (s->awaiting || s->key_asked) && end_due_at (s) == G_MAXINT64 ?
      s->probe_at : G_MAXINT64;
}

static GBytes *
pull_last_words (RdSender * s, gint64 now, gboolean * key)
{
  s->over = TRUE;
  if (s->error_text)
    return pull_control (s, RD_CONTROL_ERROR, 0, now, key);
  s->ended = TRUE;
  return pull_control (s, RD_CONTROL_END, 0, now, key);
}

GBytes *
rd_sender_pull (RdSender * s, gint64 now, gboolean * key)
{
  gboolean unused;
  GBytes *states;

  if (!key)
    key = &unused;
  *key = FALSE;
  if (s->over)
    return NULL;
  if (s->error_text || s->bye)
    return pull_last_words (s, now, key);
  check_time (s, now);
  if (s->over)
    return NULL;
  if (s->cancel_left && now >= s->cancel_at) {
    s->cancel_left--;
    s->cancel_at = now + RD_SENDER_REPEAT_INTERVAL;
    return pull_control (s, RD_CONTROL_CANCEL, s->cancel_position, now, key);
  }
  states = pull_states (s, now, key);
  if (states)
    return states;
  if (now >= end_due_at (s))
    return pull_end (s, now, key);
  if (now >= probe_due_at (s))
    return pull_probe (s, now, key);
  if (now >= keepalive_at (s))
    return pull_control (s, RD_CONTROL_KEEPALIVE, 0, now, key);
  return NULL;
}

gint64
rd_sender_deadline (const RdSender * s)
{
  gint64 at = G_MAXINT64;
  guint index;

  if (s->over)
    return G_MAXINT64;
  if (s->error_text || s->bye || next_record (s, &index))
    return 0;
  if (s->cancel_left)
    at = s->cancel_at;
  at = MIN (at, patience_ends_at (s));
  if (s->linger_until)
    at = MIN (at, s->linger_until);
  at = MIN (at, end_due_at (s));
  at = MIN (at, probe_due_at (s));
  return MIN (at, keepalive_at (s));
}
