/* Shared by the files of the simulation: the world (session-sim.c), its head and its tail (session-sim-ends.c). */
#pragma once
#include "tests/unit/session-sim.h"

G_BEGIN_DECLS

#define SIM_VOCAB 49152

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

/* session-sim-ends.c */
guint64 sim_mix (guint64 a, guint64 b);
/** Ids that the head makes up, and the token that follows rows of this hash. */
gint32 sim_prompt_id (const Sim * sim, guint32 epoch, guint32 position);
gint32 sim_token_of (guint64 hash);
/** A new head with a new session id. */
void sim_head_new (Sim * sim);
/** Runs the next rows, if there are any and the window lets them through. */
gboolean sim_head_queue (Sim * sim);
void sim_head_receive (Sim * sim, const guint8 * data, gsize size);
/** A tail that knows nothing. */
void sim_tail_new (Sim * sim);
/** TRUE if something was done. */
gboolean sim_tail_work (Sim * sim);
void sim_tail_receive (Sim * sim, const guint8 * data, gsize size);

G_END_DECLS
