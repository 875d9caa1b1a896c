/* The tail's end of every session that reaches one rddecoder, without I/O, clocks or threads (see sender.h). The caller locks. */
#pragma once
#include "codec/wire/frame.h"

G_BEGIN_DECLS

/** RdPeer: where a datagram came from; all zero on byte streams. Compared with memcmp: zero the padding. */
typedef struct
{
  guint8 address[16];           /* IPv4 in the first 4 */
  guint16 port;
  guint8 family;                /* 0 none, 4, 6 */
  guint8 zero;
} RdPeer;

typedef enum
{
  RD_LOSS_STALL,                /* ask for a replay, bounded, then a session error */
  RD_LOSS_RESET,                /* end the session at a hole */
} RdLossPolicy;

typedef struct
{
  gboolean has_feedback;
  guint max_peers;              /* 16 */
  gint64 session_timeout;       /* us of silence while the task is not busy with the session; 0 = never */
  gint64 linger;                /* us, 2 s: END is re-acknowledged that long */
  RdLossPolicy loss_policy;
  gsize hold_bytes;             /* frames held for a missing HEADER or hole, 1 MiB a session */
  gsize max_frame_bytes;
  guint32 seed;                 /* of cookies and instance numbers; 0 = from the system's random source, else for tests only */
} RdReceiverConfig;
#define RD_RECEIVER_CONFIG_DEFAULT { TRUE, 16, 0, 2 * G_USEC_PER_SEC, RD_LOSS_STALL, 1 << 20, RD_WIRE_DEFAULT_MAX_FRAME, 0 }

typedef struct _RdReceiver RdReceiver;
RdReceiver *rd_receiver_new (const RdReceiverConfig * config);
void rd_receiver_free (RdReceiver * receiver);

/** rd_receiver_feed: any frame that arrived. The bytes are copied. Damaged meaning is counted, never fatal. */
void rd_receiver_feed (RdReceiver * receiver, const RdPeer * peer, const RdFrame * frame, gint64 now);

typedef enum
{
  RD_DELIVERY_NONE,
  RD_DELIVERY_BEGIN,            /* a new session: header is set */
  RD_DELIVERY_STATES,           /* contiguous rows: frame is set, payload whole (fragments rebuilt). A frame whose position is below the
                                 * rows delivered so far truncates to it. frame.given: rd_frame_given_id() is the token after the
                                 * last row (a head replays its history to a restarted tail): take it, do not sample */
  RD_DELIVERY_CANCEL,           /* stop sampling, truncate to position */
  RD_DELIVERY_END,              /* the session is over (END, timeout, error): reason NULL = clean */
} RdDeliveryType;

typedef struct
{
  RdDeliveryType type;
  guint32 session;              /* local number, never used twice */
  const RdHeader *header;       /* valid until rd_receiver_taken() */
  RdFrame frame;                /* epoch always valid; ids via rd_frame_ids(), rd_frame_n_row_ids(), rd_frame_given_id() */
  guint32 epoch, position;      /* STATES: of the frame; CANCEL: what to truncate to */
  const gchar *reason;
} RdDelivery;

/** rd_receiver_next: what the decoding task has to do next, in order per session. The delivery stays valid until rd_receiver_taken(), which
 * has to come before the next rd_receiver_next(). */
gboolean rd_receiver_next (RdReceiver * receiver, gint64 now, RdDelivery * delivery);
/** rd_receiver_more: rows that go on where @last ended (a STATES delivery that was taken) and are here already, so that the caller can hand
 * many prefill rows downstream at once: same session and epoch, both prefill, both with ids or both without, and @last wanted neither a
 * sample nor had a given token. Only its type, session, epoch, position and frame fields without pointers are looked at. */
gboolean rd_receiver_more (RdReceiver * receiver, const RdDelivery * last, gint64 now, RdDelivery * delivery);
/** rd_receiver_taken: the delivery was handed downstream and may be freed. (Its window credit came back with rd_receiver_next().) */
void rd_receiver_taken (RdReceiver * receiver, const RdDelivery * delivery, gint64 now);

/** rd_receiver_busy: the decoding task is inside a push of @session (TRUE) or back (FALSE): "working" goes out every second meanwhile. */
void rd_receiver_busy (RdReceiver * receiver, guint32 session, gboolean busy, gint64 now);

/** rd_receiver_tokens: tokens sampled by the tail, @position is where ids[0] stands. Kept until acknowledged by states beyond them. */
void rd_receiver_tokens (RdReceiver * receiver, guint32 session, guint32 epoch, guint32 position, const gint32 * ids, guint n_ids,
    RdFinish finish, gint64 now);
/** rd_receiver_error: tells the head why, and ends the session. The text must not hold prompt or generated text. */
void rd_receiver_error (RdReceiver * receiver, guint32 session, const gchar * message, gint64 now);

/** rd_receiver_pull: next buffer for the way back and who gets it (@to: address and reply port), or NULL. */
GBytes *rd_receiver_pull (RdReceiver * receiver, gint64 now, RdPeer * to);
gint64 rd_receiver_deadline (const RdReceiver * receiver);

/** Bytes stored and not yet taken; the caller may stop reading a byte stream above a limit. */
gsize rd_receiver_queued_bytes (const RdReceiver * receiver);
/** Sessions that are alive, and sessions that have ended since the beginning. */
guint rd_receiver_n_sessions (const RdReceiver * receiver);
guint rd_receiver_n_ended (const RdReceiver * receiver);
/** TRUE when every ended session's last words (END_ACK repeats during linger) are out: the way back may close. */
gboolean rd_receiver_quiet (const RdReceiver * receiver, gint64 now);

typedef struct
{
  guint64 frames, tokens, bytes, duplicates, dropped, holes, replays_requested, key_requests, foreign, bytes_sent;
} RdReceiverStats;
void rd_receiver_stats (const RdReceiver * receiver, RdReceiverStats * stats);

G_END_DECLS
