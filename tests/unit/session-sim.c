#include "tests/unit/session-sim-private.h"

#include <string.h>

#define MAX_EVENTS 3000000
#define MAX_TIME (4000 * G_TIME_SPAN_SECOND)

typedef struct
{
  gint64 at;
  guint64 number;
  gboolean to_tail;
  GBytes *bytes;
} Packet;

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

/* ---- the world ---- */

static void
restart_tail (Sim * sim)
{
  if (sim->busy) {
    rd_receiver_taken (sim->receiver, &sim->delivery, sim->now);
    sim->busy = FALSE;
  }
  sim_tail_new (sim);
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
    sim_head_new (sim);
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
      sim_head_receive (sim, exact, size);
    else if (sim->now >= sim->tail_up)
      sim_tail_receive (sim, exact, size);
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
  while (sim_head_queue (sim))
    moved = TRUE;
  while ((bytes = rd_sender_pull (sim->sender, sim->now, &key))) {
    transmit (sim, TRUE, bytes);
    moved = TRUE;
  }
  if (sim->now < sim->tail_up)
    return moved;
  while (sim_tail_work (sim))
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
      gint32 id =
          i < c->prompt_rows ? sim_prompt_id (sim, 0, p) : sim_token_of (h);

      g_array_append_val (sim->wanted, id);
      h = sim_mix (h, (guint64) id);
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
  sim_head_new (&sim);
  sim_tail_new (&sim);
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
