/* One frame on the wire, version 1. The bytes are specified in codec/wire/FORMAT.md; this is the same in memory. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#define RD_WIRE_ERROR (rd_wire_error_quark ())
GQuark rd_wire_error_quark (void);
typedef enum
{
  RD_WIRE_ERROR_TRUNCATED,      /* more bytes are needed */
  RD_WIRE_ERROR_SYNC,           /* no sync word here */
  RD_WIRE_ERROR_CRC,
  RD_WIRE_ERROR_VERSION,        /* a version this library does not know (message names both) */
  RD_WIRE_ERROR_INVALID,        /* a field out of range, a length above the limit */
} RdWireError;

#define RD_WIRE_VERSION 1
#define RD_WIRE_MIN_FRAME 11           /* bytes of the smallest frame */
#define RD_WIRE_MAX_PREFIX 15          /* bytes after which a frame's length is known at the latest */
#define RD_WIRE_SYNC_0 0xfd            /* no row of finite F16 values holds these two bytes side by side */
#define RD_WIRE_SYNC_1 0x7e
#define RD_WIRE_DEFAULT_MAX_FRAME (16u << 20)
#define RD_SESSION_ID_BYTES 16
#define RD_MODEL_ID_BYTES 32
#define RD_COOKIE_BYTES 8
#define RD_MAX_FRAME_TOKENS 65536u
#define RD_MAX_CONTROL_TEXT 512
#define RD_MAX_REPLAY_BYTES 16         /* of the bitmap in REPLAY: 128 frames */
#define RD_MAX_IN_FLIGHT 100           /* STATES frames beyond the first unacknowledged one; keeps the 8-bit sequence unambiguous */

typedef enum
{
  RD_FRAME_HEADER,
  RD_FRAME_STATES,
  RD_FRAME_TOKENS,
  RD_FRAME_CONTROL,
} RdFrameType;

/** RdControl: subtype of a CONTROL frame. Every frame of the tail (TOKENS too) is an acknowledgement: `sequence` = next STATES sequence
 * it waits for, (`epoch`, `position`) = highest contiguous position (exclusive), `value` = window credit still held (bytes). Every
 * CONTROL of the head says what it has sent: `sequence` = next new sequence, (`epoch`, `position`) = where that frame will stand, and
 * `aux` = the position below which it has every token. Receivers ignore subtypes they do not know. */
typedef enum
{
  RD_CONTROL_ACK,               /* tail: `aux` = number of the probe answered, 0 = none */
  RD_CONTROL_REPLAY,            /* tail: ACK with a hole: send what is missing. The payload is a bitmap of what is stored already beyond
                                 * the hole, lowest bit first: bit i = frame `sequence` + i; bit 0 is never set. `aux` as in ACK */
  RD_CONTROL_KEY,               /* tail: send HEADER; `aux` 1 = the session is not known, 0 = its numbering is not */
  RD_CONTROL_PROBE,             /* head: what have you got? `value` = probe number (> 0), echoed in `aux` of ACK or REPLAY */
  RD_CONTROL_WORKING,           /* tail: still computing */
  RD_CONTROL_END,               /* head: no more states. `value` > 0: a probe number, answer END_ACK or REPLAY; 0: END_ACK is here, forget me */
  RD_CONTROL_END_ACK,           /* tail: every frame before END is stored; `aux` as in ACK */
  RD_CONTROL_CANCEL,            /* head: stop sampling, truncate `epoch` to `value` */
  RD_CONTROL_ERROR,             /* either: text in the payload (UTF-8, <= 512 bytes), the session is over */
  RD_CONTROL_KEEPALIVE,         /* head: nothing to say, still here */
} RdControl;

/** RdFinish: why a turn ended, in TOKENS. */
typedef enum
{
  RD_FINISH_NONE,
  RD_FINISH_EOS,
  RD_FINISH_STOP,               /* stop string */
  RD_FINISH_LENGTH,             /* max-tokens */
  RD_FINISH_CONTEXT,            /* KV cache full */
} RdFinish;

/** RdWishes: what the client asks of the sampler; only fields whose bit is set in `mask` count. */
typedef enum
{
  RD_WISH_TEMPERATURE = 1 << 0,
  RD_WISH_TOP_K = 1 << 1,
  RD_WISH_TOP_P = 1 << 2,
  RD_WISH_MIN_P = 1 << 3,
  RD_WISH_REPEAT_PENALTY = 1 << 4,
  RD_WISH_REPEAT_LAST_N = 1 << 5,
  RD_WISH_PRESENCE_PENALTY = 1 << 6,
  RD_WISH_FREQUENCY_PENALTY = 1 << 7,
  RD_WISH_SEED = 1 << 8,
  RD_WISH_MAX_TOKENS = 1 << 9,
  RD_WISH_STOP = 1 << 10,
  RD_WISH_IGNORE_EOS = 1 << 11,
} RdWishMask;

#define RD_MAX_STOPS 16
#define RD_MAX_STOP_BYTES 256

typedef struct
{
  guint32 mask;
  gfloat temperature, top_p, min_p, repeat_penalty, presence_penalty, frequency_penalty;
  gint32 top_k, repeat_last_n;
  guint64 seed;
  guint32 max_tokens;
  gboolean ignore_eos;
  gchar **stop;                 /* NULL-terminated, owned; NULL = none */
} RdWishes;

void rd_wishes_clear (RdWishes * wishes);
void rd_wishes_copy (RdWishes * dst, const RdWishes * src);

/** RdHeader: contents of a HEADER frame. */
typedef struct
{
  guint8 session_id[RD_SESSION_ID_BYTES];
  guint8 model_id[RD_MODEL_ID_BYTES];
  guint8 tokenizer_id[RD_MODEL_ID_BYTES];
  gchar codec[64];              /* "f16", or the id of a codec file */
  gchar model_name[64];         /* for readable errors */
  guint32 split_layer, hidden_size;
  guint32 vocab_size;           /* of the ids in STATES and TOKENS */
  guint16 reply_port;           /* 0 = the port the datagram came from, or the connection's other direction */
  guint32 next_sequence;        /* full sequence number of the frame that follows (RdSender fills it in) */
  guint32 first_sequence;       /* ... of the frame at position 0 that began the present numbering (RdSender fills it in) */
  guint8 cookie[RD_COOKIE_BYTES];       /* echo of the tail's cookie, which proves the address; all zero = none (RdSender fills it in) */
  gboolean has_feedback;        /* the head listens for acknowledgements */
  RdWishes wishes;
} RdHeader;
void rd_header_clear (RdHeader * header);
void rd_header_copy (RdHeader * dst, const RdHeader * src);

/** RdFrame: one parsed frame, or one to be written. Pointers of a parsed frame point into the parsed bytes. */
typedef struct
{
  RdFrameType type;
  guint8 alias;                 /* session alias, unique per peer */
  guint32 sequence;             /* low 8 bits travel */

  /* STATES, TOKENS, CONTROL */
  guint32 epoch;                /* STATES: valid if has_epoch; the compact form leaves it out */
  gboolean has_epoch;
  guint32 position;             /* STATES: first row; TOKENS: position of ids[0]; CONTROL: see RdControl */

  /* STATES */
  guint32 count;                /* rows */
  gboolean step;                /* regime of the rows (a frame never mixes them) */
  gboolean sample;              /* logits are wanted after the last row */
  gboolean truncate;            /* first frame of an epoch: truncate to `position` */
  gboolean given;               /* the token after the last row is known: take it, do not sample */
  gboolean packed;              /* payload went through zstd */
  guint32 fragment_offset;      /* bytes; a payload cut into fragments: offset and total payload size */
  guint32 fragment_total;       /* 0 = whole */

  /* STATES (optional) and TOKENS. In STATES the ids of the rows (all or none of them), then, if `given`, one more: the id of the token
   * at position + count. So n_ids is 0 or count without `given`, 1 or count + 1 with it. Use the functions below to read them. */
  const guint8 *ids;            /* as they travel; this and the next three are set by the parser, a writer needs n_ids only */
  guint32 ids_size;             /* bytes */
  guint8 id_bits;               /* of a packed id, or 32: they are entropy-coded */
  guint32 n_ids;

  /* TOKENS and CONTROL */
  guint16 check;                /* rd_session_check(), 0 if the tail does not know the session */
  guint16 instance;             /* tail: its life's number, differs after a restart; head: the last one heard, 0 = none */
  gboolean has_cookie;          /* tail: the head has not proved its address yet */
  guint8 cookie[RD_COOKIE_BYTES];
  guint64 value;                /* TOKENS: window credit still held; CONTROL: see RdControl */

  /* TOKENS */
  RdFinish finish;
  guint32 ack_position;         /* highest contiguous position (exclusive) of `epoch`: TOKENS acknowledges */

  /* CONTROL */
  RdControl control;
  guint64 aux;                  /* see RdControl */

  const guint8 *payload;
  gsize payload_size;

  gsize size;                   /* bytes of the whole frame (set by the parser) */
} RdFrame;

/** rd_frame_ids: the n_ids ids of a parsed frame. */
void rd_frame_ids (const RdFrame * frame, gint32 * ids);
/** rd_frame_n_row_ids: how many of the ids belong to the rows of a STATES frame: 0 or count. */
guint32 rd_frame_n_row_ids (const RdFrame * frame);
/** rd_frame_given_id: id of the token after the last row of a STATES frame with `given`, else -1. */
gint32 rd_frame_given_id (const RdFrame * frame);
/** rd_session_check: by this number TOKENS and CONTROL tell that they mean this session and this numbering; never 0. */
guint16 rd_session_check (const guint8 session_id[RD_SESSION_ID_BYTES], guint32 first_sequence);

/** rd_frame_write: appends the frame's bytes to @out. For STATES and TOKENS @ids are given as gint32 (frame->n_ids of
 * them). A HEADER's payload comes from @header (else NULL); payload_size is ignored where the type defines the payload (HEADER, TOKENS).
 * Fields out of range are INVALID and leave @out as it was. */
gboolean rd_frame_write (const RdFrame * frame, const RdHeader * header, const gint32 * ids, GByteArray * out, GError ** error);
/** rd_frame_ids_size: bytes that @n ids, none negative, take in a frame; 0 if @n is 0. */
gsize rd_frame_ids_size (const gint32 * ids, guint32 n);

/** rd_frame_parse: parses the frame that starts at @data. TRUNCATED tells that more bytes are needed (frame->size then holds the
 * total if it is known already, else 0). @max_frame: a longer declared length is INVALID. Never reads beyond @size. A frame of a type
 * above RD_FRAME_CONTROL is well-formed but unknown: ignore it. */
gboolean rd_frame_parse (const guint8 * data, gsize size, gsize max_frame, RdFrame * frame, GError ** error);

/** rd_frame_parse_header: decodes the payload of a HEADER frame; free @header's fields with rd_header_clear(). */
gboolean rd_frame_parse_header (const RdFrame * frame, RdHeader * header, GError ** error);

/** rd_frame_scan: offset of the first possible sync word in @data, @size if none (a last byte that may begin one is not skipped). */
gsize rd_frame_scan (const guint8 * data, gsize size);

/** rd_crc32c: CRC-32C (Castagnoli, RFC 3720) of @data continued from @crc (0 at first). */
guint32 rd_crc32c (guint32 crc, const void *data, gsize size);

G_END_DECLS
