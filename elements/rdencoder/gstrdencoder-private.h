/* What the files of rdencoder share. */
#pragma once
#include "codec/codec.h"
#include "codec/rate/rate.h"
#include "codec/session/sender.h"
#include "elements/rdencoder/gstrdencoder.h"
#include "elements/common/gstrdinput.h"
#include "elements/common/gstrdpredictor.h"

G_BEGIN_DECLS

typedef enum
{
  GST_RD_RATE_CONSTANT_QUALITY,
  GST_RD_RATE_CONSTANT_BITRATE,
  GST_RD_RATE_LOSSLESS,
} GstRdRateControl;

/** GstRdEncoderRate: the properties that say how many bits a token gets. */
typedef struct
{
  GstRdRateControl control;
  gdouble quality, bits_per_token;
  guint bitrate;                /* bits/s */
  guint vbv;                    /* ms */
  guint complexity, stats_interval;     /* ms */
} GstRdEncoderRate;

/** GstRdEncoderMark: what had been sent at a time. */
typedef struct
{
  gint64 at;                    /* monotonic time, 0 = never */
  guint64 tokens, bytes, payload_bytes;
} GstRdEncoderMark;

/** GstRdEncoderSession: one local session and its wire session. */
typedef struct
{
  guint32 number;               /* process-local, as in metas and events */
  guint8 alias;
  gboolean failed;              /* over by an error; buffers that still come are dropped */
  RdWishes wishes;
  guint8 tokenizer_id[RD_MODEL_ID_BYTES];
  RdHeader header;
  RdSender *sender;             /* NULL until the first buffer */
  guint32 epoch;                /* of the last rows */
  guint32 next_position;        /* of buffers without a meta */
  GstRdPast told;               /* ids that the tail has: it sampled them, or they were sent */
  RdRateSession rate;
} GstRdEncoderSession;

/** GstRdEncoderPast: tokens of one local session, for the predictor. */
typedef struct
{
  GstRdPast past;
  GstRdPrediction prediction;
} GstRdEncoderPast;

/** GstRdSidePlan: what becomes of the ids of one buffer's rows. */
typedef struct
{
  gboolean send_ids;            /* in band */
  const gfloat *features;       /* of all rows, valid until the next plan; NULL: none are used */
} GstRdSidePlan;

struct _GstRdEncoder
{
  GstElement parent;
  GstPad *sinkpad, *srcpad, *feedback;  /* feedback: object lock */

  /* properties; object lock */
  gchar *codec_name, *model;
  GstRdTokenSideInfo token_side_info;
  gboolean pack;
  guint max_payload_size, frame_tokens, key_int_max, window_bytes, reply_port;
  guint64 replay_bytes;
  guint peer_timeout, linger, session_timeout;  /* ms */
  GstRdEncoderRate rate_settings;

  /* streaming thread of the sink pad */
  GstRdInput input;
  gboolean have_segment;
  gboolean use_pack;            /* as the properties were when this buffer came */
  guint use_frame_tokens;
  guint use_mtu;
  GstRdEncoderRate use_rate;
  guint rate_warnings;          /* said already; bits */
  gint64 stats_posted;          /* monotonic time */
  RdCodec *codec;               /* NULL until the first buffer */
  GByteArray *payload;
  gint told_level;              /* upstream knows it; -1 = nothing was told */
  GstRdTokenSideInfo use_side_info;     /* NONE if the codec has no use for it */
  GstRdPredictor *predictor;    /* NULL: none is used */
  GHashTable *pasts;            /* session number -> GstRdEncoderPast */

  /* source task */
  GBytes *unsent;               /* or NULL */
  gboolean unsent_key;

  /* `lock` guards what follows; `cond` is signalled when any of it changes */
  GMutex lock;
  GCond cond;
  GPtrArray *sessions;          /* GstRdEncoderSession */
  guint next_session;           /* round robin of the task */
  guint next_alias;
  guint32 ending_number;        /* of sessions without a meta that end while the next one runs */
  GQueue events;                /* serialised events that wait for the task */
  GQueue held;                  /* ... that wait for the segment */
  gboolean flushing, eos, feedback_closed;
  gint64 feedback_closed_at;    /* monotonic time */
  GstFlowReturn result;         /* of the last push */
  guint telling;                /* last words to tails that have not left */
  RdSenderStats past;           /* sums over sessions that are over */
  guint64 encode_ns, clipped;
  RdRate *rate;                 /* comes and goes with the codec */
  gdouble last_quality;
  guint64 trial_encodes;        /* that were thrown away */
  GstRdEncoderMark marks[2];    /* at least a second apart */
  guint raw_bits;               /* of one token at 16 bits a value */

  gint cancel;                  /* atomic: the predictor stops */
};

/* gstrdencoder-session.c; the caller holds `lock` unless it says otherwise */
GPtrArray *gst_rd_encoder_sessions_new (void);
GstRdEncoderSession *gst_rd_encoder_find (GstRdEncoder * self, guint32 number);
GstRdEncoderSession *gst_rd_encoder_find_alias (GstRdEncoder * self, guint8 alias);
GstRdEncoderSession *gst_rd_encoder_find_id (GstRdEncoder * self, const guint8 id[RD_SESSION_ID_BYTES]);
/** A session for wishes that were announced or a first buffer; NULL if all 256 aliases are taken. */
GstRdEncoderSession *gst_rd_encoder_add (GstRdEncoder * self, guint32 number);
/** Makes the wire session. */
void gst_rd_encoder_open (GstRdEncoder * self, GstRdEncoderSession * session);
void gst_rd_encoder_remove (GstRdEncoder * self, GstRdEncoderSession * session);
void gst_rd_encoder_force_key (GstRdEncoder * self);
void gst_rd_encoder_clear (GstRdEncoder * self);
gboolean gst_rd_encoder_has_feedback (GstRdEncoder * self);
/** The session is over: tells whoever is upstream, or, if nobody there takes it, the application. Takes the lock itself. */
void gst_rd_encoder_fail (GstRdEncoder * self, guint32 number, const gchar * message);
/** For the property: sums over all sessions. Takes the lock itself. */
GstStructure *gst_rd_encoder_stats (GstRdEncoder * self);
/** For the message at a session's end. */
GstStructure *gst_rd_encoder_session_stats (GstRdEncoder * self, GstRdEncoderSession * session);

/** What HEADER says of the stream, not of one session. Takes the object lock. */
void gst_rd_encoder_fill_header (GstRdEncoder * self, RdHeader * header);

/** Sums over all sessions, those that are over included. */
void gst_rd_encoder_sum (GstRdEncoder * self, RdSenderStats * sum);

/* gstrdencoder-properties.c: the properties of GstRdEncoderRate and of token side information, ids from GST_RD_ENCODER_CODING_FIRST on.
 * Take the object lock around setting and getting, which are FALSE if @id is none of these. */
#define GST_RD_ENCODER_CODING_FIRST 100
GType gst_rd_rate_control_get_type (void);
void gst_rd_encoder_coding_init (GstRdEncoder * self);
void gst_rd_encoder_coding_install (GObjectClass * klass);
gboolean gst_rd_encoder_coding_set (GstRdEncoder * self, guint id, const GValue * value);
gboolean gst_rd_encoder_coding_get (const GstRdEncoder * self, guint id, GValue * value);

/* gstrdencoder-rate.c; on the sink pad's streaming thread */
/** The codec to use for the property's @name: lossless takes one that can be. */
const gchar *gst_rd_encoder_rate_codec (const GstRdEncoder * self, const gchar * name);
/** use_rate counts from now on; warns where it cannot be had. */
void gst_rd_encoder_rate_follow (GstRdEncoder * self);
/** Encodes rows from @from on into `payload`, as many as one frame takes: *n. */
gboolean gst_rd_encoder_encode_frame (GstRdEncoder * self, const GstRdRows * rows, const GstRdSidePlan * plan, gsize from, gsize * n,
    gboolean * packed, GError ** error);
/** Tells upstream the level to be coded with, if it is another than before. Pushes an event: call it without the lock. */
void gst_rd_encoder_rate_tell (GstRdEncoder * self, gint level);
/** The level that the properties ask for; -1 if the codec is not a file. */
gint gst_rd_encoder_rate_level (GstRdEncoder * self);
/** Messages that are due. */
void gst_rd_encoder_rate_report (GstRdEncoder * self, guint32 session);
/** Adds to the statistics, which are those of @sum. The caller holds `lock`. */
void gst_rd_encoder_rate_stats (GstRdEncoder * self, const RdSenderStats * sum, GstStructure * stats);

/* gstrdencoder-input.c */
/** Encodes @n rows from @from on into `payload`; any number of times. */
gboolean gst_rd_encoder_encode (GstRdEncoder * self, const GstRdRows * rows, const GstRdSidePlan * plan, gsize from, gsize n,
    gboolean * packed, GError ** error);
GstFlowReturn gst_rd_encoder_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer);
gboolean gst_rd_encoder_sink_event (GstPad * pad, GstObject * parent, GstEvent * event);
gboolean gst_rd_encoder_sink_query (GstPad * pad, GstObject * parent, GstQuery * query);

/* gstrdencoder-side.c: token side information; streaming thread of the sink pad */
/** Checks that the codec fits the stream, and opens the predictor that it needs. */
gboolean gst_rd_encoder_side_open (GstRdEncoder * self, GError ** error);
/** What to do with the ids of @rows, and the features that are made of them. Takes the lock. */
gboolean gst_rd_encoder_side_plan (GstRdEncoder * self, const GstRdRows * rows, GstRdSidePlan * plan, GError ** error);
/** Session @number is over. */
void gst_rd_encoder_side_end (GstRdEncoder * self, guint32 number);
void gst_rd_encoder_side_close (GstRdEncoder * self);
GHashTable *gst_rd_encoder_pasts_new (void);

/* gstrdencoder-task.c */
/** TRUE wakes whoever waits and makes the task pause. Takes the lock itself. */
void gst_rd_encoder_set_flushing (GstRdEncoder * self, gboolean flushing);
void gst_rd_encoder_loop (gpointer pad);

/* gstrdencoder-feedback.c */
GstPad *gst_rd_encoder_feedback_new (GstPadTemplate * templ, const gchar * name);

G_END_DECLS
