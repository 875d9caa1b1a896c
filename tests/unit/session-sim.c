#include "tests/unit/session-sim.h"

#include <string.h>

#define VOCAB 49152
#define MAX_EVENTS 3000000
#define MAX_TIME (4000 * G_TIME_SPAN_SECOND)

typedef struct
{
  gint64 at;
  guint64 number;
  gboolean to_tail;
  GBytes *bytes;
} Packet;

typedef struct
{
  const SimConfig *config;
  SimResult *result;
  GRand *rand;
  gint64 now;
  GSequence *wire;
  guint64 n_packets;
  gint64 stream_free[2];        /* when the last byte of a stream is through */

  /* head */
  RdSender *sender;
  guint8 session_id[RD_SESSION_ID_BYTES];
  guint lives;                  /* of the head */
  GArray *ids;                  /* of every position, prompt and sampled */
  GArray *wanted;               /* what an undisturbed run gives */
  guint turn, prompt_left, window;
  guint32 epoch, next;          /* position of the next row to run */
  gint64 head_ready;            /* computing until then */
  gboolean awaiting, ending, ended;

  /* tail */
  RdReceiver *receiver;
  guint tail_lives;
  gint64 tail_up;               /* it is down until then */
  GArray *history;              /* guint64, history[p] = hash of rows below p */
  guint32 tail_session;
  RdDelivery delivery;
  gboolean busy;
  gint64 tail_ready;
  guint turn_count, windows_seen;
  gboolean turn_over;
  GArray *restart_at;           /* numbers of packets at which the tail is killed */
} Sim;

static guint64
mix (guint64 a, guint64 b)
{
  a = (a ^ b) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
  a ^= a >> 29;
  a *= G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  return a ^ a >> 32;
}

static gint32
prompt_id (const Sim * sim, guint32 epoch, guint32 position)
{
  return (gint32) (mix (sim->config->seed, mix (epoch, position)) % VOCAB);
}

static gint32
token_of (guint64 hash)
{
  return (gint32) (mix (hash, 77) % VOCAB);
}

/* A row begins with its id; the rest follows from id and position. */
static void
append_row (const Sim * sim, GByteArray * out, guint32 position, gint32 id)
{
  guint64 r = mix (position, (guint64) id);
  guint32 le = GUINT32_TO_LE ((guint32) id);
  guint i;

  g_byte_array_append (out, (const guint8 *) &le, 4);
  for (i = 4; i < sim->config->row_bytes; i++) {
    guint8 byte = (guint8) (r >> (i % 8 * 8)) ^ (guint8) i;

    g_byte_array_append (out, &byte, 1);
  }
}

/* ---- network ---- */

static gint
packet_compare (gconstpointer a, gconstpointer b, gpointer user_data)
{
  const Packet *x = a, *y = b;

  (void) user_data;
  if (x->at != y->at)
    return x->at < y->at ? -1 : 1;
  return x->number < y->number ? -1 : x->number > y->number;
}

static void
packet_free (Packet * packet)
{
  g_bytes_unref (packet->bytes);
  g_free (packet);
}

static void
put (Sim * sim, gboolean to_tail, GBytes * bytes)
{
  const SimConfig *c = sim->config;
  Packet *p = g_new0 (Packet, 1);

  p->at = sim->now + (c->delay_max > c->delay_min ?
      g_rand_int_range (sim->rand, (gint32) c->delay_min,
          (gint32) c->delay_max) : c->delay_min);
  if (c->stream) {
    p->at = MAX (p->at, sim->stream_free[to_tail]);
    sim->stream_free[to_tail] = p->at;
  }
  p->number = sim->n_packets++;
  p->to_tail = to_tail;
  p->bytes = g_bytes_ref (bytes);
  g_sequence_insert_sorted (sim->wire, p, packet_compare, NULL);
}

static GBytes *
damaged (Sim * sim, GBytes * bytes)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  guint8 *copy = g_memdup2 (data, size);

  if (g_rand_boolean (sim->rand))
    size = (gsize) g_rand_int_range (sim->rand, 0, (gint32) size);
  else
    copy[g_rand_int_range (sim->rand, 0, (gint32) size)] ^=
        (guint8) (1u << g_rand_int_range (sim->rand, 0, 8));
  return g_bytes_new_take (copy, size);
}

/* SIM_TRACE=1 prints every frame that is sent, before the network has its way with it. */
static void
trace (const Sim * sim, gboolean to_tail, GBytes * bytes)
{
  static const gchar *types[] = { "HEADER", "STATES", "TOKENS", "" };
  static const gchar *controls[] = { "ACK", "REPLAY", "KEY", "PROBE",
    "WORKING", "END", "END_ACK", "CANCEL", "ERROR", "KEEPALIVE"
  };
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  RdFrame f;

  while (size && rd_frame_parse (data, size, 1 << 24, &f, NULL)) {
    g_print ("%.4f %s %s%s seq %u epoch %u position %u count %u value %"
        G_GUINT64_FORMAT " aux %" G_GUINT64_FORMAT " check %04x instance %04x "
        "%" G_GSIZE_FORMAT " bytes%s%s\n", (gdouble) sim->now / G_USEC_PER_SEC,
        to_tail ? "->" : "    <-", types[f.type],
        f.type == RD_FRAME_CONTROL ? controls[f.control] : "", f.sequence,
        f.epoch, f.position, f.count, f.value, f.aux, f.check, f.instance,
        f.size, f.given ? " given" : "", f.has_cookie ? " cookie" : "");
    data += f.size;
    size -= f.size;
  }
}

static void
transmit (Sim * sim, gboolean to_tail, GBytes * bytes)
{
  const SimConfig *c = sim->config;

  if (g_getenv ("SIM_TRACE"))
    trace (sim, to_tail, bytes);
  if (c->stream) {
    put (sim, to_tail, bytes);
  } else if (g_rand_double (sim->rand) >= c->loss) {
    if (g_rand_double (sim->rand) < c->duplicate)
      put (sim, to_tail, bytes);
    if (g_rand_double (sim->rand) < c->damage) {
      g_autoptr (GBytes) bad = damaged (sim, bytes);

      put (sim, to_tail, bad);
    } else {
      put (sim, to_tail, bytes);
    }
  }
  g_bytes_unref (bytes);
}

/* ---- head ---- */

static void
head_new (Sim * sim)
{
  const SimConfig *c = sim->config;
  RdSenderConfig config = RD_SENDER_CONFIG_DEFAULT;
  RdHeader header = {.codec = "f16",.model_name = "sim",.split_layer = 10,
    .hidden_size = 576,.vocab_size = VOCAB
  };
  guint i;

  for (i = 0; i < RD_SESSION_ID_BYTES; i++)
    sim->session_id[i] = (guint8) g_rand_int (sim->rand);
  memcpy (header.session_id, sim->session_id, sizeof header.session_id);
  config.window_bytes = c->window_bytes;
  config.max_payload_size = c->max_payload_size;
  config.key_int_max = c->key_int_max;
  config.peer_timeout = c->peer_timeout;
  config.linger = c->linger;
  g_clear_pointer (&sim->sender, rd_sender_free);
  /* the same alias on purpose: late frames of the life before meet it */
  sim->sender = rd_sender_new (&config, &header, 5);
  g_array_set_size (sim->ids, 0);
  sim->turn = 0;
  sim->window = 0;
  sim->prompt_left = c->prompt_rows;
  sim->epoch = 0;
  sim->next = 0;
  sim->awaiting = sim->ending = FALSE;
  sim->head_ready = sim->now;
  sim->lives++;
}

/* Runs the next rows, if there are any and the window lets them through. */
static gboolean
head_queue (Sim * sim)
{
  const SimConfig *c = sim->config;
  g_autoptr (GByteArray) payload = NULL;
  g_autofree gint32 *ids = NULL;
  g_autoptr (GError) error = NULL;
  RdStates states = {.epoch = sim->epoch,.position = sim->next };
  guint i;

  if (sim->ending || sim->now < sim->head_ready)
    return FALSE;
  if (sim->next < sim->ids->len) {
    /* a sampled token; it is sampled from again unless its turn is over */
    states.count = 1;
    states.step = TRUE;
    states.sample = !sim->prompt_left;
  } else if (sim->prompt_left) {
    states.count = MIN (sim->prompt_left, c->chunk);
    states.sample = states.count == sim->prompt_left && !c->windows;
  } else {
    return FALSE;
  }
  if (!rd_sender_can_queue (sim->sender, states.count * c->row_bytes))
    return FALSE;

  payload = g_byte_array_new ();
  ids = g_new (gint32, states.count);
  for (i = 0; i < states.count; i++) {
    guint32 p = sim->next + i;

    if (p >= sim->ids->len) {
      gint32 id = prompt_id (sim, sim->epoch, p);

      g_array_append_val (sim->ids, id);
      sim->prompt_left--;
    }
    ids[i] = g_array_index (sim->ids, gint32, p);
    append_row (sim, payload, p, ids[i]);
  }
  if (c->windows)
    states.ids = ids;
  g_assert_true (rd_sender_queue (sim->sender, &states, payload->data,
          payload->len, sim->now, &error));
  sim->next += states.count;
  sim->awaiting = states.sample;
  sim->head_ready = sim->now + c->head_step;
  if (c->windows && !sim->prompt_left) {
    if (++sim->window < c->windows) {
      sim->epoch++;
      sim->next = 0;
      sim->prompt_left = c->prompt_rows;
      g_array_set_size (sim->ids, 0);
    } else {
      sim->ending = TRUE;
      rd_sender_end (sim->sender, sim->now);
    }
  }
  return TRUE;
}

static void
head_tokens (Sim * sim, const RdSenderInput * input)
{
  guint i;

  if (input->position != sim->ids->len)
    sim->result->wrong++;
  for (i = 0; i < input->n_ids; i++) {
    guint32 p = sim->ids->len;

    if (p >= sim->wanted->len
        || g_array_index (sim->wanted, gint32, p) != input->ids[i])
      sim->result->wrong++;
    g_array_append_val (sim->ids, input->ids[i]);
  }
  sim->awaiting = FALSE;
  sim->head_ready = sim->now + sim->config->head_step;
  if (input->finish == RD_FINISH_NONE)
    return;
  if (++sim->turn < sim->config->turns) {
    sim->prompt_left = sim->config->prompt_rows;
  } else {
    sim->ending = TRUE;
    rd_sender_end (sim->sender, sim->now);
  }
}

static void
head_receive (Sim * sim, const guint8 * data, gsize size)
{
  RdFrame frame;

  while (size && rd_frame_parse (data, size, 1 << 20, &frame, NULL)) {
    RdSenderInput input;

    rd_sender_feed (sim->sender, &frame, sim->now, &input);
    if (input.error) {
      sim->result->failed = TRUE;
      sim->result->failure = input.error;
      return;
    }
    if (input.tokens)
      head_tokens (sim, &input);
    data += frame.size;
    size -= frame.size;
  }
}

/* ---- tail ---- */

static void
tail_new (Sim * sim)
{
  RdReceiverConfig config = RD_RECEIVER_CONFIG_DEFAULT;

  config.linger = sim->config->linger;
  config.seed = sim->config->seed * 8 + ++sim->tail_lives;
  g_clear_pointer (&sim->receiver, rd_receiver_free);
  sim->receiver = rd_receiver_new (&config);
  sim->tail_session = 0;
  sim->busy = FALSE;
}

static void
tail_emit (Sim * sim, guint32 position, const gint32 * id, RdFinish finish)
{
  rd_receiver_tokens (sim->receiver, sim->tail_session, sim->delivery.epoch,
      position, id, id ? 1 : 0, finish, sim->now);
}

/* The token after the last row: given, or sampled; the turn's count goes on either way. */
static void
tail_sample (Sim * sim, const RdFrame * frame)
{
  guint32 position = sim->history->len - 1;
  gint32 id = token_of (g_array_index (sim->history, guint64, position));
  gboolean last;

  if (!frame->step) {
    sim->turn_count = 0;
    sim->turn_over = FALSE;
  }
  if (sim->turn_over) {
    tail_emit (sim, position, NULL, RD_FINISH_LENGTH);
    return;
  }
  last = ++sim->turn_count == sim->config->turn_tokens;
  sim->turn_over = last;
  if (frame->given && rd_frame_given_id (frame) != id)
    sim->result->wrong++;
  if (!frame->given)
    tail_emit (sim, position, &id, last && !sim->config->finish_alone ?
        RD_FINISH_LENGTH : RD_FINISH_NONE);
  if (last && (frame->given || sim->config->finish_alone))
    tail_emit (sim, position + 1, NULL, RD_FINISH_LENGTH);
}

static void
tail_rows (Sim * sim, const RdFrame * frame)
{
  const guint row = sim->config->row_bytes;
  guint i;

  if (frame->position + 1 > sim->history->len
      || frame->payload_size != (gsize) row * frame->count) {
    sim->result->wrong++;
    return;
  }
  g_array_set_size (sim->history, frame->position + 1);
  for (i = 0; i < frame->count; i++) {
    g_autoptr (GByteArray) expected = g_byte_array_new ();
    guint64 h = g_array_index (sim->history, guint64, frame->position + i);
    guint32 le;
    gint32 id;

    memcpy (&le, frame->payload + (gsize) i * row, 4);
    id = (gint32) GUINT32_FROM_LE (le);
    append_row (sim, expected, frame->position + i, id);
    if (memcmp (expected->data, frame->payload + (gsize) i * row, row) != 0)
      sim->result->wrong++;
    if (rd_frame_n_row_ids (frame) && rd_frame_id (frame, i) != id)
      sim->result->wrong++;
    if (sim->config->windows && id != prompt_id (sim, sim->delivery.epoch,
            frame->position + i))
      sim->result->wrong++;
    h = mix (h, (guint64) id);
    g_array_append_val (sim->history, h);
  }
  if (sim->config->windows
      && frame->position + frame->count == sim->config->prompt_rows)
    sim->windows_seen++;
  if (frame->sample)
    tail_sample (sim, frame);
}

static void
tail_begin (Sim * sim)
{
  guint64 empty = sim->config->seed;

  /* sessions of an earlier head may begin late; only the last one of the present head counts */
  if (memcmp (sim->delivery.header->session_id, sim->session_id,
          RD_SESSION_ID_BYTES) != 0
      || sim->delivery.session < sim->tail_session)
    return;
  sim->tail_session = sim->delivery.session;
  g_array_set_size (sim->history, 0);
  g_array_append_val (sim->history, empty);
  sim->turn_count = 0;
  sim->turn_over = FALSE;
  sim->windows_seen = 0;
}

/* TRUE if something was done. */
static gboolean
tail_work (Sim * sim)
{
  if (sim->busy) {
    if (sim->now < sim->tail_ready)
      return FALSE;
    sim->busy = FALSE;
    if (sim->delivery.session == sim->tail_session)
      tail_rows (sim, &sim->delivery.frame);
    rd_receiver_busy (sim->receiver, sim->delivery.session, FALSE, sim->now);
    rd_receiver_taken (sim->receiver, &sim->delivery, sim->now);
    return TRUE;
  }
  if (!rd_receiver_next (sim->receiver, sim->now, &sim->delivery))
    return FALSE;
  switch (sim->delivery.type) {
    case RD_DELIVERY_STATES:
      sim->busy = TRUE;
      sim->tail_ready = sim->now + sim->delivery.frame.count *
          sim->config->tail_row;
      rd_receiver_busy (sim->receiver, sim->delivery.session, TRUE, sim->now);
      return TRUE;
    case RD_DELIVERY_BEGIN:
      tail_begin (sim);
      break;
    case RD_DELIVERY_END:
      if (!sim->delivery.reason)
        sim->result->tail_ends++;
      break;
    default:
      break;
  }
  rd_receiver_taken (sim->receiver, &sim->delivery, sim->now);
  return TRUE;
}

static void
tail_receive (Sim * sim, const guint8 * data, gsize size)
{
  RdPeer peer = { {10, 0, 0, 1}, 40000, 4, 0 };
  RdFrame frame;

  if (sim->config->stream)
    memset (&peer, 0, sizeof peer);
  while (size && rd_frame_parse (data, size, 1 << 24, &frame, NULL)) {
    rd_receiver_feed (sim->receiver, &peer, &frame, sim->now);
    data += frame.size;
    size -= frame.size;
  }
}

/* ---- the world ---- */

static void
restart_tail (Sim * sim)
{
  if (sim->busy) {
    rd_receiver_taken (sim->receiver, &sim->delivery, sim->now);
    sim->busy = FALSE;
  }
  tail_new (sim);
  sim->tail_up = sim->now + g_rand_int_range (sim->rand, 0,
      2 * G_TIME_SPAN_SECOND);
}

/* Kills what the plan says after so many packets. */
static void
disturb (Sim * sim)
{
  guint i = sim->tail_lives + sim->lives - 2;

  if (i >= sim->restart_at->len || sim->ending
      || sim->n_packets < g_array_index (sim->restart_at, guint64, i))
    return;
  if (sim->lives <= sim->config->head_restarts)
    head_new (sim);
  else
    restart_tail (sim);
}

static void
deliver (Sim * sim)
{
  while (!g_sequence_is_empty (sim->wire)) {
    GSequenceIter *it = g_sequence_get_begin_iter (sim->wire);
    Packet *p = g_sequence_get (it);
    gsize size;
    guint8 *exact;

    if (p->at > sim->now)
      return;
    /* a heap block of exact size, so that a sanitizer sees a read beyond */
    size = g_bytes_get_size (p->bytes);
    exact = g_memdup2 (g_bytes_get_data (p->bytes, NULL), size);
    if (!p->to_tail)
      head_receive (sim, exact, size);
    else if (sim->now >= sim->tail_up)
      tail_receive (sim, exact, size);
    g_free (exact);
    g_sequence_remove (it);
  }
}

static gboolean
step (Sim * sim)
{
  gboolean moved = FALSE, key;
  GBytes *bytes;
  RdPeer to;

  disturb (sim);
  deliver (sim);
  while (head_queue (sim))
    moved = TRUE;
  while ((bytes = rd_sender_pull (sim->sender, sim->now, &key))) {
    transmit (sim, TRUE, bytes);
    moved = TRUE;
  }
  if (sim->now < sim->tail_up)
    return moved;
  while (tail_work (sim))
    moved = TRUE;
  while ((bytes = rd_receiver_pull (sim->receiver, sim->now, &to))) {
    transmit (sim, FALSE, bytes);
    moved = TRUE;
  }
  sim->result->max_queued = MAX (sim->result->max_queued,
      rd_receiver_queued_bytes (sim->receiver));
  return moved;
}

static gint64
next_event (Sim * sim)
{
  gint64 at = rd_sender_deadline (sim->sender);
  gboolean rows = !sim->ending && !sim->awaiting
      && (sim->next < sim->ids->len || sim->prompt_left);

  if (!g_sequence_is_empty (sim->wire))
    at = MIN (at, ((Packet *)
            g_sequence_get (g_sequence_get_begin_iter (sim->wire)))->at);
  if (rows && sim->head_ready > sim->now)
    at = MIN (at, sim->head_ready);
  if (sim->now < sim->tail_up)
    return MIN (at, sim->tail_up);
  at = MIN (at, rd_receiver_deadline (sim->receiver));
  if (sim->busy)
    at = MIN (at, sim->tail_ready);
  return at;
}

/* What the ids are without any network. */
static void
compute_wanted (Sim * sim)
{
  const SimConfig *c = sim->config;
  guint64 h = c->seed;
  guint turn, i;

  for (turn = 0; turn < c->turns; turn++) {
    for (i = 0; i < c->prompt_rows + c->turn_tokens; i++) {
      guint32 p = sim->wanted->len;
      gint32 id = i < c->prompt_rows ? prompt_id (sim, 0, p) : token_of (h);

      g_array_append_val (sim->wanted, id);
      h = mix (h, (guint64) id);
    }
  }
}

static void
plan_restarts (Sim * sim)
{
  guint n = sim->config->tail_restarts + sim->config->head_restarts, i;
  guint64 at = 0;

  for (i = 0; i < n; i++) {
    at += (guint64) g_rand_int_range (sim->rand, 3, 150);
    g_array_append_val (sim->restart_at, at);
  }
}

static gboolean
head_is_done (Sim * sim)
{
  SimResult *r = sim->result;

  if (!r->failed && rd_sender_failed (sim->sender, NULL)) {
    r->failed = TRUE;
    rd_sender_failed (sim->sender, &r->failure);
  }
  if (!sim->ended && (r->failed || rd_sender_ended (sim->sender, &r->clean))) {
    sim->ended = TRUE;
    r->duration = sim->now;
  }
  return sim->ended;
}

static void
run (Sim * sim)
{
  SimResult *r = sim->result;

  for (; r->events < MAX_EVENTS && sim->now < MAX_TIME; r->events++) {
    gint64 at;

    while (step (sim))
      g_assert_cmpuint (r->events++, <, MAX_EVENTS);
    if (head_is_done (sim) && (r->failed || (r->tail_ends
                && rd_receiver_quiet (sim->receiver, sim->now)
                && rd_receiver_n_sessions (sim->receiver) == 0)))
      return;
    at = next_event (sim);
    if (at == G_MAXINT64)
      return;
    sim->now = MAX (at, sim->now);
  }
  g_test_message ("seed %u: no end in sight", sim->config->seed);
  r->failed = TRUE;
}

void
sim_run (const SimConfig * config, SimResult * result)
{
  Sim sim = {.config = config,.result = result };

  memset (result, 0, sizeof *result);
  sim.rand = g_rand_new_with_seed (config->seed);
  sim.wire = g_sequence_new ((GDestroyNotify) packet_free);
  sim.ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  sim.wanted = g_array_new (FALSE, FALSE, sizeof (gint32));
  sim.history = g_array_new (FALSE, FALSE, sizeof (guint64));
  sim.restart_at = g_array_new (FALSE, FALSE, sizeof (guint64));
  sim.now = G_TIME_SPAN_SECOND;
  plan_restarts (&sim);
  compute_wanted (&sim);
  head_new (&sim);
  tail_new (&sim);
  run (&sim);
  if (config->windows ? sim.windows_seen != config->windows && result->tail_ends
      : sim.ids->len != sim.wanted->len)
    result->wrong++;
  rd_sender_stats (sim.sender, &result->sender);
  rd_receiver_stats (sim.receiver, &result->receiver);
  g_sequence_free (sim.wire);
  rd_sender_free (sim.sender);
  rd_receiver_free (sim.receiver);
  g_array_unref (sim.ids);
  g_array_unref (sim.wanted);
  g_array_unref (sim.history);
  g_array_unref (sim.restart_at);
  g_rand_free (sim.rand);
}

void
sim_result_clear (SimResult * result)
{
  g_clear_pointer (&result->failure, g_free);
}

void
sim_randomise (SimConfig * c, guint32 seed)
{
  static const gsize payloads[] = { 0, 300, 1400 };
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed ^ 0x5eed);

  c->seed = seed;
  c->delay_min = g_rand_int_range (rand, 30, 20000);
  c->delay_max = c->delay_min + (g_rand_boolean (rand) ?
      g_rand_int_range (rand, 0, 20000) : 0);
  c->max_payload_size = payloads[g_rand_int_range (rand, 0, 3)];
  c->window_bytes = (gsize) g_rand_int_range (rand, 4096, 65536);
  c->key_int_max = (guint) g_rand_int_range (rand, 1, 300);
  c->turns = (guint) g_rand_int_range (rand, 1, 4);
  c->prompt_rows = (guint) g_rand_int_range (rand, 1, 120);
  c->chunk = (guint) g_rand_int_range (rand, 1, 40);
  c->turn_tokens = (guint) g_rand_int_range (rand, 1, 25);
  c->row_bytes = (guint) g_rand_int_range (rand, 5, 1200);
  c->head_step = g_rand_int_range (rand, 0, 30000);
  c->tail_row = g_rand_int_range (rand, 0, 40000);
  if (c->slow)
    c->tail_row *= c->slow;
  c->finish_alone = g_rand_boolean (rand);
  if (!c->peer_timeout)
    c->peer_timeout = 10 * G_TIME_SPAN_SECOND;
  if (!c->linger)
    c->linger = 2 * G_TIME_SPAN_SECOND;
}
