#include "tests/unit/session-sim-private.h"

#include <string.h>

guint64
sim_mix (guint64 a, guint64 b)
{
  a = (a ^ b) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
  a ^= a >> 29;
  a *= G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  return a ^ a >> 32;
}

gint32
sim_prompt_id (const Sim * sim, guint32 epoch, guint32 position)
{
  return (gint32) (sim_mix (sim->config->seed, sim_mix (epoch,
              position)) % SIM_VOCAB);
}

gint32
sim_token_of (guint64 hash)
{
  return (gint32) (sim_mix (hash, 77) % SIM_VOCAB);
}

/* A row begins with its id; the rest follows from id and position. */
void
sim_append_row (const Sim * sim, GByteArray * out, guint32 position, gint32 id)
{
  guint64 r = sim_mix (position, (guint64) id);
  guint32 le = GUINT32_TO_LE ((guint32) id);
  guint i;

  g_byte_array_append (out, (const guint8 *) &le, 4);
  for (i = 4; i < sim->config->row_bytes; i++) {
    guint8 byte = (guint8) (r >> (i % 8 * 8)) ^ (guint8) i;

    g_byte_array_append (out, &byte, 1);
  }
}

/* ---- head ---- */

void
sim_head_new (Sim * sim)
{
  const SimConfig *c = sim->config;
  RdSenderConfig config = RD_SENDER_CONFIG_DEFAULT;
  RdHeader header = {.codec = "f16",.model_name = "sim",.split_layer = 10,
    .hidden_size = 576,.vocab_size = SIM_VOCAB
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
gboolean
sim_head_queue (Sim * sim)
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
      gint32 id = sim_prompt_id (sim, sim->epoch, p);

      g_array_append_val (sim->ids, id);
      sim->prompt_left--;
    }
    ids[i] = g_array_index (sim->ids, gint32, p);
    sim_append_row (sim, payload, p, ids[i]);
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

void
sim_head_receive (Sim * sim, const guint8 * data, gsize size)
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

void
sim_tail_new (Sim * sim)
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
  gint32 id = sim_token_of (g_array_index (sim->history, guint64, position));
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
  g_autofree gint32 *ids = NULL;
  guint i;

  if (frame->position + 1 > sim->history->len
      || frame->payload_size != (gsize) row * frame->count) {
    sim->result->wrong++;
    return;
  }
  g_array_set_size (sim->history, frame->position + 1);
  ids = g_new0 (gint32, frame->n_ids + 1);
  rd_frame_ids (frame, ids);
  for (i = 0; i < frame->count; i++) {
    g_autoptr (GByteArray) expected = g_byte_array_new ();
    guint64 h = g_array_index (sim->history, guint64, frame->position + i);
    guint32 le;
    gint32 id;

    memcpy (&le, frame->payload + (gsize) i * row, 4);
    id = (gint32) GUINT32_FROM_LE (le);
    sim_append_row (sim, expected, frame->position + i, id);
    if (memcmp (expected->data, frame->payload + (gsize) i * row, row) != 0)
      sim->result->wrong++;
    if (rd_frame_n_row_ids (frame) && ids[i] != id)
      sim->result->wrong++;
    if (sim->config->windows && id != sim_prompt_id (sim, sim->delivery.epoch,
            frame->position + i))
      sim->result->wrong++;
    h = sim_mix (h, (guint64) id);
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
gboolean
sim_tail_work (Sim * sim)
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

void
sim_tail_receive (Sim * sim, const guint8 * data, gsize size)
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
