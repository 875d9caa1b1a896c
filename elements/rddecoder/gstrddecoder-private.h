/* What the files of rddecoder share. */
#pragma once
#include "codec/codec.h"
#include "codec/session/receiver.h"
#include "elements/common/gstrdcaps.h"
#include "elements/common/gstrdpredictor.h"
#include "elements/rddecoder/gstrddecoder.h"

G_BEGIN_DECLS

/** GstRdDecoderSession: one session that has begun and not ended. */
typedef struct
{
  guint32 number;               /* process-local, as in metas and events */
  guint8 id[RD_SESSION_ID_BYTES];
  gboolean has_feedback;        /* the head listens */
  gboolean announced;           /* downstream knows of it */
  gboolean refused;             /* what still comes is dropped */
  guint hidden_size;
  RdCodec *codec;               /* NULL if refused; source task */
  guint64 frames, tokens, payload_bytes;
  GstRdPast past;               /* tokens that are known */
  GstRdPrediction prediction;   /* source task */
} GstRdDecoderSession;

struct _GstRdDecoder
{
  GstElement parent;
  GstPad *sinkpad, *srcpad, *feedback;  /* feedback: object lock */

  /* properties; object lock */
  gchar *codec_name, *model;
  gint num_sessions, max_errors;
  guint max_peers, max_frame_bytes, session_timeout, linger;    /* ms */
  GstRdLossPolicy loss_policy;

  /* source task */
  gboolean stream_started, have_caps;
  GstRdStateInfo info;          /* of the caps */
  GstRdPredictor *predictor;    /* NULL until a codec asks for it */
  GstBuffer *pending;           /* rows that are being pushed, or that a flush sent back */

  /* `lock` guards what follows; `cond` is signalled when any of it changes */
  GMutex lock;
  GCond cond;
  RdReceiver *receiver;         /* NULL until the first frame */
  RdDelivery delivery;          /* being handed over: type NONE = none */
  GPtrArray *sessions;          /* GstRdDecoderSession */
  gboolean flushing, eos;       /* eos: the sink pad had it */
  gboolean source_done;         /* EOS has left on the source pad */
  gboolean feedback_idle;       /* nothing waits to go back */
  gboolean way_back_told;
  GstFlowReturn result;         /* of the last push on the source pad */
  gboolean shutdown;            /* the feedback pad is not active */
  guint use_max_frame;          /* as the property was at the start */
  guint ended, errors;
  guint64 bytes, lost_bytes, tokens, payload_bytes, decode_ns;
  guint raw_bits;               /* of one token at 16 bits a value */

  gint cancel;                  /* atomic: the predictor stops */
};

/* gstrddecoder-session.c; the caller holds `lock` */
GPtrArray *gst_rd_decoder_sessions_new (void);
GstRdDecoderSession *gst_rd_decoder_find (GstRdDecoder * self, guint32 number);
GstRdDecoderSession *gst_rd_decoder_add (GstRdDecoder * self, guint32 number, const RdHeader * header);
/** Makes the receiver if there is none yet. */
void gst_rd_decoder_open (GstRdDecoder * self);
void gst_rd_decoder_clear (GstRdDecoder * self);
gboolean gst_rd_decoder_has_feedback (GstRdDecoder * self);
/** Statistics over all, and of @session if it is not NULL. */
GstStructure *gst_rd_decoder_stats (GstRdDecoder * self, const GstRdDecoderSession * session);
/** Tells the heads of @number (or GST_RD_ALL_SESSIONS) why their session is over. */
void gst_rd_decoder_tell_error (GstRdDecoder * self, guint32 number, const gchar * message);
/** Waits, not long, until what goes back has left: the pipeline may be torn down after that. */
void gst_rd_decoder_wait_told (GstRdDecoder * self);

/* gstrddecoder-input.c */
GstFlowReturn gst_rd_decoder_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer);
gboolean gst_rd_decoder_sink_event (GstPad * pad, GstObject * parent, GstEvent * event);
gboolean gst_rd_decoder_sink_query (GstPad * pad, GstObject * parent, GstQuery * query);

/* gstrddecoder-task.c */
void gst_rd_decoder_loop (gpointer pad);
/** TRUE wakes whoever waits and makes the task pause. Takes the lock itself. */
void gst_rd_decoder_set_flushing (GstRdDecoder * self, gboolean flushing);

/* gstrddecoder-rows.c */
/** The delivery that is out, STATES: decodes it and what goes on behind it, gives it back and pushes the rows. */
GstFlowReturn gst_rd_decoder_push_rows (GstRdDecoder * self);
/** Pushes (again) what is pending; it stays pending when a flush sends it back. */
GstFlowReturn gst_rd_decoder_push_pending (GstRdDecoder * self);
/** What HEADER says of the states. */
void gst_rd_decoder_info_from_header (GstRdStateInfo * info, const RdHeader * header);
/** Gives the delivery back if there is one. The caller holds the lock. */
void gst_rd_decoder_taken (GstRdDecoder * self);
/** Ends a session with an error that its head is told. Takes the lock itself. */
void gst_rd_decoder_refuse (GstRdDecoder * self, guint32 number, const gchar * message);

/* gstrddecoder-side.c: token side information; source task */
/** Checks that @codec fits the stream @header tells of, and opens the predictor if it has one and `model` is set. */
gboolean gst_rd_decoder_side_open (GstRdDecoder * self, const RdCodec * codec, const RdHeader * header, GError ** error);
/** Features for the rows of @frame if its payload needs them; their ids are noted already. NULL with @error unset: none are needed. */
const gfloat *gst_rd_decoder_side_features (GstRdDecoder * self, GstRdDecoderSession * session, const RdFrame * frame, GError ** error);

/* gstrddecoder-feedback.c */
GstPad *gst_rd_decoder_feedback_new (GstPadTemplate * templ, const gchar * name);
/** With no `feedback` to leave by: up the pipeline, where rdencoder is if all is in one process. TRUE if somebody there took it; *waits: the
 * session's head listens for what the tail says. */
gboolean gst_rd_decoder_pass_upstream (GstRdDecoder * self, GstEvent * event, guint32 number, gboolean * waits);
gboolean gst_rd_decoder_src_event (GstPad * pad, GstObject * parent, GstEvent * event);

G_END_DECLS
