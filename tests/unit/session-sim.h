/* A virtual network between RdSender and RdReceiver with a virtual clock, a head that feeds rows and waits for tokens, and a tail that
 * computes. Everything follows from the seed. A tail's token is a function of every row before it, so a lost, doubled or exchanged row
 * changes all later ids. */
#pragma once
#include "codec/session/receiver.h"
#include "codec/session/sender.h"

G_BEGIN_DECLS

typedef struct
{
  guint32 seed;
  gdouble loss, duplicate, damage;      /* probabilities of each datagram, both ways */
  gint64 delay_min, delay_max;  /* us one way; a spread reorders */
  gboolean stream;              /* a byte stream: nothing is lost or reordered */
  gsize max_payload_size, window_bytes;
  guint key_int_max;
  guint turns, prompt_rows, chunk, turn_tokens, row_bytes;
  gint64 head_step, tail_row;   /* us of computing a row */
  guint slow;                   /* > 0: the tail needs so many times longer */
  gboolean finish_alone;        /* the finish comes in a TOKENS of its own */
  guint windows;                /* > 0: score so many windows of prompt_rows rows, each a new epoch, no sampling */
  guint tail_restarts, head_restarts;
  gint64 peer_timeout, linger;  /* 0 = 10 s, 2 s */
} SimConfig;

typedef struct
{
  gboolean clean;               /* END was acknowledged */
  gboolean failed;
  gchar *failure;
  gint64 duration;              /* virtual us until the head had ended */
  guint64 wrong;                /* rows or ids that differ from what an undisturbed run gives */
  guint tail_ends;              /* sessions that the tail saw end without an error */
  gsize max_queued;             /* bytes stored by the tail at any time */
  guint64 events;
  RdSenderStats sender;
  RdReceiverStats receiver;
} SimResult;

void sim_run (const SimConfig * config, SimResult * result);
void sim_result_clear (SimResult * result);
/** A random configuration of the kind @config already has set (loss and restarts are kept). */
void sim_randomise (SimConfig * config, guint32 seed);

G_END_DECLS
