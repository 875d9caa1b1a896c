/* The head's end of a session, without I/O, clocks or threads: the caller hands in time (microseconds, monotonic) and received frames
 * and takes out bytes. Design section 4: window, acknowledgement, probes, replay, epochs, key frames, end. One object per wire session;
 * the caller locks. */
#pragma once
#include "codec/wire/frame.h"

G_BEGIN_DECLS

typedef struct
{
  gboolean has_feedback;        /* FALSE: no window, no retry, no acknowledgement */
  gsize window_bytes;           /* 65536 */
  gint64 peer_timeout;          /* us, 10 s; 0 = wait for ever */
  gint64 linger;                /* us, 2 s */
  gint64 keepalive;             /* us, session-timeout / 4; 0 = none */
  guint key_int_max;            /* tokens, 256 */
  gsize replay_bytes;           /* 0 = whatever the whole context needs */
  gsize max_payload_size;       /* datagram bytes; a larger frame is cut (tokens, then fragments); 0 = no limit (byte streams) */
} RdSenderConfig;
#define RD_SENDER_KEY_INT_MAX 256
#define RD_SENDER_CONFIG_DEFAULT { TRUE, 65536, 10 * G_USEC_PER_SEC, 2 * G_USEC_PER_SEC, 0, RD_SENDER_KEY_INT_MAX, 0, 0 }

/** RdStates: one encoded group of rows to send. */
typedef struct
{
  guint32 epoch, position, count;
  gboolean step, sample, given, packed;
  const gint32 *ids;            /* count ids to send in band, or NULL */
  gint32 given_id;              /* with given: id of the token after the last row */
} RdStates;

typedef struct _RdSender RdSender;

/** @header is copied; its session id, wishes ... are what HEADER frames carry (sequences and cookie are the sender's own). @alias: one
 * byte, unique per peer; begin with a random one, so that late frames of an earlier process rarely meet it. */
RdSender *rd_sender_new (const RdSenderConfig * config, const RdHeader * header, guint8 alias);
void rd_sender_free (RdSender * sender);

/** TRUE if a frame of @bytes may be queued now (window open, or nothing outstanding). */
gboolean rd_sender_can_queue (const RdSender * sender, gsize bytes);
/** rd_sender_queue: takes one encoded group. A new epoch (or position going back) starts with TRUNCATE. The encoder never calls twice
 * for an (epoch, position); error if it does or if positions have a gap. The first group stands at position 0. A payload that does not
 * fit max_payload_size is cut into fragments. */
gboolean rd_sender_queue (RdSender * sender, const RdStates * states, const guint8 * payload, gsize size, gint64 now, GError ** error);
/** rd_sender_set_max_payload_size: as in RdSenderConfig, for what is queued from now on. Frames that were cut before keep their size. */
void rd_sender_set_max_payload_size (RdSender * sender, gsize size);
/** The next STATES frame goes with HEADER. */
void rd_sender_force_key (RdSender * sender);
/** New positions from @position on are void: CANCEL is sent, unsent frames at or above it are dropped (FLUSH). */
void rd_sender_cancel (RdSender * sender, guint32 epoch, guint32 position, gint64 now);
/** rd_sender_error: tells the tail why and ends the session: the next pull gives CONTROL ERROR, after it nothing. No prompt or text in it. */
void rd_sender_error (RdSender * sender, const gchar * message, gint64 now);
/** No more states: END goes out after what is queued and is repeated until acknowledged or linger is over. */
void rd_sender_end (RdSender * sender, gint64 now);
/** The way back is gone (EOS on feedback): nothing is awaited any more. */
void rd_sender_feedback_closed (RdSender * sender, gint64 now);

/** rd_sender_pull: next buffer to send (whole frames; HEADER+STATES in one), or NULL. *key: it holds a HEADER. Owned by the caller. */
GBytes *rd_sender_pull (RdSender * sender, gint64 now, gboolean * key);
/** Earliest time rd_sender_pull() has to be called again without anything else happening; G_MAXINT64 = none. */
gint64 rd_sender_deadline (const RdSender * sender);

/** RdSenderInput: what a received frame means for the caller. */
typedef struct
{
  gboolean tokens;              /* new tokens: epoch, position (of ids[0]), ids (valid until the next call), finish */
  guint32 epoch, position, n_ids;
  const gint32 *ids;
  RdFinish finish;
  gchar *error;                 /* CONTROL error from the tail (owned by the caller), the session is over */
  gboolean window_changed;      /* wake whoever waits */
} RdSenderInput;
/** rd_sender_feed: a TOKENS or CONTROL frame that arrived on the way back. Duplicates and old epochs give an empty input. TOKENS are
 * handed out in order, each position once. */
void rd_sender_feed (RdSender * sender, const RdFrame * frame, gint64 now, RdSenderInput * input);

/** Everything is sent, and acknowledged where there is a way back. */
gboolean rd_sender_drained (const RdSender * sender);
/** END is acknowledged (and the tail told so) or given up; *clean FALSE when it was given up (linger over): a warning, not an error. */
gboolean rd_sender_ended (const RdSender * sender, gboolean * clean);
/** TRUE once the session cannot go on: peer-timeout has passed with something awaited, or a restarted tail needs rows that replay-bytes
 * no longer holds. @message (owned by the caller, may be NULL) says what. Ask after every feed and pull. */
gboolean rd_sender_failed (const RdSender * sender, gchar ** message);

/** rd_sender_payload_room: bytes of payload of @count tokens, with or without their @ids, that one buffer of @max_payload_size bytes has
 * room for; more is cut into fragments. G_MAXSIZE if there is no limit. */
gsize rd_sender_payload_room (gsize max_payload_size, guint count, gboolean ids);
/** rd_sender_overhead: bytes that a frame of @count tokens, queued now, needs beside its payload. @ids: @count ids that go with them, or
 * NULL. @once: bytes of the HEADER that will probably go with it. */
gsize rd_sender_overhead (const RdSender * sender, guint count, const gint32 * ids, gsize * once);
/** rd_sender_committed: bytes that went out (control and copies included) and that what waits will need, and their tokens. */
void rd_sender_committed (const RdSender * sender, guint64 * bytes, guint64 * tokens);

typedef struct
{
  guint64 frames, tokens, bytes, payload_bytes, header_bytes, id_bytes;
  guint64 retransmitted_frames, retransmitted_bytes, probes, keys;
  guint64 bytes_received;
  gint64 srtt;                  /* us, 0 = not measured */
  gsize outstanding;            /* window bytes in use */
} RdSenderStats;
void rd_sender_stats (const RdSender * sender, RdSenderStats * stats);

G_END_DECLS
