/* State of RdReceiver, shared by its files: receiver.c (life, table, deliveries), receiver-feed.c (what arrives), receiver-chain.c (order
 * of STATES) and receiver-pull.c (what goes back, and when). */
#pragma once
#include "codec/session/receiver.h"

G_BEGIN_DECLS

#define RD_RECEIVER_SLOTS 128u  /* STATES frames that may be stored beyond a hole */
#define RD_RECEIVER_DATAGRAM_COST 1024u /* as the head counts its window */
#define RD_RECEIVER_MAX_PENDING_FRAMES 64u
#define RD_RECEIVER_MAX_TOKEN_ENTRIES 4096u
#define RD_RECEIVER_MAX_REFUSALS 16u
#define RD_RECEIVER_OLD_IDS 16u
#define RD_RECEIVER_SECRET_BYTES 32
#define RD_RECEIVER_ACK_DELAY (10 * G_TIME_SPAN_MILLISECOND)
#define RD_RECEIVER_ACK_COST (16 * 1024)

/** RdStored: a STATES frame with its own copy of the bytes that its pointers lead into. */
typedef struct
{
  RdFrame frame;
  guint8 *bytes;                /* ids, then payload */
  gsize ids_size;
  gsize cost;                   /* of the window, all datagrams of it */
} RdStored;

/** RdTokenEntry: tokens that the head may not have yet. */
typedef struct
{
  guint32 epoch, position, n_ids;
  gint32 *ids;
  RdFinish finish;
  gboolean due;                 /* to be sent now */
} RdTokenEntry;

typedef enum
{
  RD_STATE_PENDING,             /* no HEADER yet */
  RD_STATE_ALIVE,
  RD_STATE_OVER,                /* END, error or time-out: what is queued is still delivered, then END */
} RdState;

typedef struct
{
  RdState state;
  RdPeer peer;
  guint8 alias;
  guint16 check, instance;
  guint8 cookie[RD_COOKIE_BYTES];
  gboolean proved;              /* the address is real: replies may be larger than what came */
  guint64 bytes_in, bytes_out;
  gint64 heard;
  gint64 idle_since;            /* the task came back from a push then: its silence is not the head's */

  RdHeader header;
  guint32 number;               /* local session number */
  gboolean begun, ended;        /* BEGIN, END delivered */
  gboolean detached;            /* another session has its address and alias */
  gchar *reason;                /* of the end, NULL = clean */

  /* the chain: every STATES frame below `sequence` is taken */
  guint32 sequence;
  gboolean started;             /* a frame has been taken since the numbering began */
  guint32 epoch, position;      /* highest contiguous position (exclusive) */
  gboolean hinted;              /* HEADER told the number of the next frame */
  guint32 hint;
  RdStored *slots[RD_RECEIVER_SLOTS];   /* by sequence modulo their number */
  guint n_held;
  gsize held_bytes;
  GQueue early;                 /* RdStored before HEADER */
  RdStored *partial;            /* first fragment of a payload that is not whole, and its ids and bytes so far */
  GByteArray *assembly;
  guint violations;

  GQueue queue;                 /* RdStored in order, not yet taken by the task */
  gsize queue_cost;

  gboolean cancel_due, cancelled;       /* to be delivered; rows from cancel_position on of cancel_epoch are void */
  guint32 cancel_epoch, cancel_position;

  GQueue tokens;                /* RdTokenEntry */

  /* what goes back */
  gint64 ack_at, replay_at, working_at; /* G_MAXINT64 = not due */
  gboolean key_due, error_due, end_ack_due, answer_replay;
  guint64 answer;               /* number of the probe to be answered */
  gboolean acknowledged;        /* once at least */
  guint unacked_frames;
  gsize unacked_cost, freed_cost;       /* since the last acknowledgement: arrived; taken by the task */
  gint64 key_sent, hole_since;
  guint replays_sent, held_since_replay;
  gboolean replay_wanted;       /* the head has sent more than is here */
  gchar *error_text;
  gint64 linger_until;
} RdPeerSession;

/** RdRefusal: an ERROR for a session that was never admitted. */
typedef struct
{
  RdPeer to;
  GBytes *bytes;
} RdRefusal;

struct _RdReceiver
{
  RdReceiverConfig config;
  guint8 secret[RD_RECEIVER_SECRET_BYTES];
  guint64 n_instances;
  GPtrArray *sessions;          /* RdPeerSession, in all states */
  GQueue refusals;
  guint8 old_ids[RD_RECEIVER_OLD_IDS][RD_SESSION_ID_BYTES];     /* sessions that their head has left */
  guint next_old_id;
  guint32 last_number;
  guint turn;                   /* session whose delivery comes next */
  RdPeerSession *current;       /* session of the delivery that is out */
  RdStored *current_stored;
  guint n_ended;
  RdReceiverStats stats;
};

/* receiver.c */
RdPeerSession *rd_receiver_find (const RdReceiver * receiver, const RdPeer * peer, guint8 alias);
RdPeerSession *rd_receiver_by_number (const RdReceiver * receiver, guint32 number);
/** A new entry in state PENDING; the caller has made room. */
RdPeerSession *rd_receiver_add (RdReceiver * receiver, const RdPeer * peer, guint8 alias, gint64 now);
void rd_receiver_remove (RdReceiver * receiver, RdPeerSession * session);
/** The session is over; @reason NULL = clean, else it is taken over. @linger: how long its peer is still answered. */
void rd_session_finish (RdPeerSession * session, gchar * reason, gint64 linger, gint64 now);
/** As above, and the head is told. */
void rd_session_fail (const RdReceiver * receiver, RdPeerSession * session, gchar * reason, gint64 now);
/** Its head will not come back to it: late HEADERs of it are ignored. */
void rd_receiver_retire_id (RdReceiver * receiver, const RdPeerSession * session);
void rd_receiver_make_cookie (const RdReceiver * receiver, RdPeerSession * session);

/* receiver-chain.c */
void rd_stored_free (RdStored * stored);
RdStored *rd_stored_new (const RdFrame * frame);
void rd_token_entry_free (RdTokenEntry * entry);
/** A STATES frame of a session whose HEADER is known. */
void rd_chain_feed (RdReceiver * receiver, RdPeerSession * session, const RdFrame * frame, gint64 now);
/** Begins at @first_sequence and position 0, with nothing stored. */
void rd_chain_reset (RdPeerSession * session, guint32 first_sequence);
void rd_chain_cancel (RdPeerSession * session, guint32 epoch, guint32 position);
/** Frees everything that is stored. */
void rd_chain_clear (RdPeerSession * session);
/** Drops the tokens that the head has, having every token below @have. */
void rd_chain_prune_tokens (RdPeerSession * session, guint64 have);

/* receiver-pull.c */
/** An acknowledgement is due at @at at the latest. */
void rd_session_want_ack (RdPeerSession * session, gint64 at);
/** A hole was seen or is still there. */
void rd_session_want_replay (RdPeerSession * session, gint64 at);
/** Ends what has waited too long; frees what is over. */
void rd_receiver_tick (RdReceiver * receiver, gint64 now);

G_END_DECLS
