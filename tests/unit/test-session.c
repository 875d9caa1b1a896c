/* Both ends of a session over a virtual network. SESSION_RUNS runs of each kind (default 200); SESSION_SEED runs one seed alone. */
#include <stdlib.h>
#include "tests/unit/session-sim.h"

static guint
env_number (const gchar * name, guint fallback)
{
  const gchar *value = g_getenv (name);

  return value ? (guint) strtoul (value, NULL, 10) : fallback;
}

/* Window bytes that a tail may store: the window, or one frame that is larger. Each datagram counts as 1 KiB at least. */
static gsize
storage_limit (const SimConfig * c)
{
  gsize frame = (gsize) c->chunk * c->row_bytes;
  /* after a restart, what was stored of another numbering, or of a dead head whose late frames brought it back, may still be there */
  gsize times = 1 + 2 * (c->head_restarts + c->tail_restarts);
  gsize part = c->max_payload_size ? c->max_payload_size / 2 : frame;

  return times * (c->window_bytes + (frame / part + 1) * MAX (part, 1024));
}

typedef struct
{
  guint runs;
  guint64 frames, again, probes, keys, sent, received, payload;
  gint64 time;
} Sum;

static void
add_up (Sum * sum, const SimResult * r)
{
  sum->runs++;
  sum->frames += r->sender.frames;
  sum->again += r->sender.retransmitted_frames;
  sum->probes += r->sender.probes;
  sum->keys += r->sender.keys;
  sum->sent += r->sender.bytes;
  sum->received += r->sender.bytes_received;
  sum->payload += r->sender.payload_bytes;
  sum->time += r->duration;
}

static void
report (const Sum * sum)
{
  gdouble n = MAX (sum->runs, 1);

  g_test_message ("%u runs; mean of a run: %.0f frames, %.1f of them again, "
      "%.1f probes, %.1f HEADERs; %.0f bytes there (payload %.0f), %.0f "
      "back; %.2f s", sum->runs, (gdouble) sum->frames / n,
      (gdouble) sum->again / n, (gdouble) sum->probes / n,
      (gdouble) sum->keys / n, (gdouble) sum->sent / n,
      (gdouble) sum->payload / n, (gdouble) sum->received / n,
      (gdouble) sum->time / n / G_USEC_PER_SEC);
}

static void
run_one (const SimConfig * base, guint32 seed, Sum * sum)
{
  SimConfig c = *base;
  SimResult r;

  sim_randomise (&c, seed);
  sim_run (&c, &r);
  add_up (sum, &r);
  if (r.failed || !r.clean || r.wrong || r.tail_ends != 1
      || r.max_queued > storage_limit (&c)) {
    g_test_message ("seed %u: failed %d clean %d wrong %" G_GUINT64_FORMAT
        " ends %u stored %" G_GSIZE_FORMAT " after %.1f s: %s", seed, r.failed,
        r.clean, r.wrong, r.tail_ends, r.max_queued,
        (gdouble) r.duration / G_USEC_PER_SEC, r.failure ? r.failure : "-");
    g_test_fail ();
  }
  sim_result_clear (&r);
}

static void
test_runs (gconstpointer data)
{
  const SimConfig *base = data;
  guint n = env_number ("SESSION_RUNS", 200), i;
  guint only = env_number ("SESSION_SEED", 0);
  Sum sum = { 0, };

  for (i = 0; i < n; i++)
    if (!only || only == base->seed + i)
      run_one (base, base->seed + i, &sum);
  report (&sum);
}

int
main (int argc, char **argv)
{
  static const SimConfig clean = {.seed = 1 };
  static const SimConfig stream = {.seed = 10000,.stream = TRUE };
  static const SimConfig loss20 = {.seed = 20000,.loss = 0.2,.duplicate = 0.05,
    .damage = 0.02
  };
  static const SimConfig loss50 = {.seed = 30000,.loss = 0.5,.duplicate = 0.05,
    .linger = 6 * G_TIME_SPAN_SECOND
  };
  static const SimConfig slow = {.seed = 70000,.loss = 0.1,.slow = 30 };
  static const SimConfig tail_restart = {.seed = 40000,.loss = 0.1,
    .tail_restarts = 2,.linger = 6 * G_TIME_SPAN_SECOND
  };
  static const SimConfig head_restart = {.seed = 50000,.loss = 0.1,
    .head_restarts = 1
  };
  static const SimConfig score = {.seed = 60000,.loss = 0.1,.windows = 5 };

  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/session/clean", &clean, test_runs);
  g_test_add_data_func ("/session/stream", &stream, test_runs);
  g_test_add_data_func ("/session/loss-20", &loss20, test_runs);
  g_test_add_data_func ("/session/loss-50", &loss50, test_runs);
  g_test_add_data_func ("/session/slow-tail", &slow, test_runs);
  g_test_add_data_func ("/session/tail-restart", &tail_restart, test_runs);
  g_test_add_data_func ("/session/head-restart", &head_restart, test_runs);
  g_test_add_data_func ("/session/score", &score, test_runs);
  return g_test_run ();
}
