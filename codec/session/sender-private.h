/* State of RdSender, shared by its files: sender.c (life, queue), sender-chain.c (records), sender-size.c (what they cost), sender-pull.c
 * (what goes out and when) and sender-feed.c (what comes back). */
#pragma once
#include "codec/session/sender.h"

G_BEGIN_DECLS

#define RD_SENDER_DATAGRAM_COST 1024u   /* what the kernel's receive buffer charges at least */
#define RD_SENDER_DEAD_INSTANCES 8
#define RD_SENDER_PROBE_TIMES 16
#define RD_SENDER_REPEATS 3     /* of what is not acknowledged: CANCEL, END without a way back */
#define RD_SENDER_REPEAT_INTERVAL (20 * G_TIME_SPAN_MILLISECOND)

/** RdRecord: one STATES frame in memory. Its payload, position, count and regime never change; the envelope is written anew each time. */
typedef struct
{
  guint32 epoch, position, count, sequence;
  guint32 fragment_offset, fragment_total;
  gboolean step, sample, packed;
  gboolean truncate;            /* begins its epoch */
  gboolean given;               /* the token after the last row is known */
  gboolean missing;             /* the tail asked for it again */
  gint32 given_id;
  gint32 *ids;                  /* count ids of the rows, or NULL */
  guint8 *payload;
  gsize size, cost;
  guint n_sent;
  gint64 last_sent;
  guint64 last_order;           /* RdSender.order when it was sent last */
} RdRecord;

/** RdAwaited: a sent SAMPLE frame whose token has not come. */
typedef struct
{
  guint32 position;             /* of the token */
  gboolean step;                /* its row is of the step regime */
  gboolean undisturbed;         /* no probe, no second sending: its round trip says what a step costs */
  gint64 sent;
} RdAwaited;

/** RdEstimate: smoothed mean and deviation of a duration, as RFC 6298 has it; mean 0 = not measured. */
typedef struct
{
  gint64 mean, deviation;
} RdEstimate;

struct _RdSender
{
  RdSenderConfig config;
  RdHeader header;
  guint8 alias;
  guint16 check;

  /* records: [0, acked) are stored by the tail, [acked, sent) are in flight, [sent, len) wait */
  GPtrArray *chain;
  guint acked, sent;
  guint32 ack_sequence;         /* of record `acked` */
  guint32 next_sequence;        /* of record `sent` */
  gsize held;                   /* window credit that the tail still holds */
  gsize history_bytes;          /* payload of [0, acked) */

  gboolean started;
  guint32 epoch, next_position; /* of what may be queued next */
  guint32 sent_epoch, sent_position;    /* the same behind what has been sent */

  gboolean confirmed;           /* the tail has HEADER and is sure of our address */
  gboolean force_key;
  gboolean header_out;          /* HEADER went alone because both did not fit; its STATES is next */
  guint tokens_since_key;

  guint16 instance, dead[RD_SENDER_DEAD_INSTANCES];
  guint n_dead;
  guint64 met_at_probe;         /* probe_number when the present instance was met */

  /* tokens of the present epoch */
  GArray *awaited;              /* RdAwaited, ascending */
  guint32 tokens_next;          /* every token below it has been handed out */
  guint64 finish_next;          /* a finish that ends below it is a duplicate */
  gboolean cancelled;           /* nothing is wanted until something is queued */
  gint32 *input_ids;

  /* timers */
  RdEstimate round_trip, step_time;
  gint64 least_round_trip;      /* 0 = not measured */
  guint reorder;                /* so many frames sent later may arrive before one is taken for lost */
  guint64 probe_number;
  gint64 probe_times[RD_SENDER_PROBE_TIMES];
  guint64 probe_orders[RD_SENDER_PROBE_TIMES];  /* RdSender.order when that probe was sent */
  guint32 probe_acks[RD_SENDER_PROBE_TIMES];    /* ack_sequence when that probe was sent */
  guint64 order;                /* STATES frames sent, counting every copy */
  guint backoff;
  gboolean answered;            /* the last probe: the tail lives and has everything */
  gboolean awaiting;
  gboolean key_asked;           /* a probe is due even if nothing is awaited */
  gint64 awaiting_since, heard, probe_at, last_probe, last_out;

  guint cancel_left;
  guint32 cancel_epoch, cancel_position;
  gint64 cancel_at;

  gboolean feedback_open;
  gboolean ending, bye, ended, clean;
  guint ends_sent;
  gint64 end_at, linger_until;  /* linger_until 0 = not yet */
  gchar *error_text;            /* to be sent */
  gchar *failure;
  gboolean over;                /* nothing more goes out */

  RdSenderStats stats;
};

/* sender-chain.c */
void rd_record_free (RdRecord * record);
/** The record that begins at @offset of the payload. */
RdRecord *rd_record_new (const RdSender * sender, const RdStates * states, const guint8 * payload, gsize size, gsize offset, gsize total);
RdRecord *rd_sender_record (const RdSender * sender, guint i);
/** Window bytes of records [from, to). */
gsize rd_sender_cost (const RdSender * sender, guint from, guint to);
/** Takes an acknowledgement up to the STATES sequence whose low 8 bits are @sequence. FALSE if it is stale or makes no sense. */
gboolean rd_sender_acknowledge (RdSender * sender, guint8 sequence, guint32 epoch, guint32 position, gint64 now);
/** The next frame begins a numbering: what was said about earlier numbers does not count any more. */
void rd_sender_number_anew (RdSender * sender);
/** Everything from the beginning on has to be sent again, under new numbers. FALSE if the beginning is no longer there. */
gboolean rd_sender_restart (RdSender * sender);
/** A token at @position has become known: a replay will give it. */
void rd_sender_note_token (RdSender * sender, guint32 position, gint32 id);

/* sender-pull.c */
/** Brings the timers up to date after something has changed. @progress: what was awaited has come nearer. */
/** Time after which something sent is taken for lost if nothing has come of it. */
gint64 rd_sender_round_trip_limit (const RdSender * sender);
/** From a probe to the next. */
gint64 rd_sender_probe_interval (const RdSender * sender);
void rd_sender_touch (RdSender * sender, gboolean progress, gint64 now);
/** Whether record @index, which may be the next one to be queued, goes with HEADER. @truncate: it begins an epoch. */
gboolean rd_sender_needs_header (const RdSender * sender, gboolean truncate, guint index);
void rd_sender_fail (RdSender * sender, gchar * message);

/* sender-feed.c */
void rd_sender_measure (RdSender * sender, gint64 round_trip);
void rd_estimate_add (RdEstimate * estimate, gint64 sample);

G_END_DECLS
