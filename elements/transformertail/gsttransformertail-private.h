/* What the files of transformertail share: gsttransformertail.c (object, pads, states), -stream.c (what comes
 * in, the model, the sessions), -generate.c and -score.c (the tasks). */
#pragma once
#include "elements/common/gstrdoutput.h"
#include "elements/common/gstrdprocess.h"
#include "elements/common/gstrdsampling.h"
#include "elements/transformertail/gstrdscore.h"
#include "elements/common/gstrdtext.h"
#include "elements/transformertail/gsttransformertail.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (transformertail_debug);

typedef enum { GST_TRANSFORMER_TAIL_GENERATE, GST_TRANSFORMER_TAIL_SCORE } GstTransformerTailTask;

enum { GST_TAIL_TEXT, GST_TAIL_TOKENS, GST_TAIL_LOGITS, GST_TAIL_N_OUTPUTS };

typedef struct
{
  guint64 answers, tokens;       /* generated */
  gint64 time;                   /* us, from the first to the last token of each answer */
  guint64 steps;                 /* tokens in that time */
  GstRdScore score;
} GstTailTotals;

struct _GstTransformerTail
{
  GstElement parent;
  GstPad *sinkpad;
  GstRdOutput *outputs[GST_TAIL_N_OUTPUTS];     /* all but the text are request pads, or NULL; see gst_rd_output_get() */

  /* under the object lock */
  GstRdSettings settings;
  GstRdSampling sampling;
  GstTransformerTailTask task;
  gboolean allow_client_sampling;
  guint score_from;
  gchar *turn_delimiter;
  gboolean dirty;
  GstTailTotals totals;

  /* streaming thread */
  GstRdPartition partition;
  GstRdInput input;
  StSampler *sampler;
  GArray *end_ids;               /* tokens that end an answer */
  gfloat *row_logits;            /* scratch */
  gsize row_logits_size;         /* floats in it */
};

/** GstTailSession: GstRdSession.data of the tail. */
typedef struct
{
  RdWishes wishes;
  guint64 seed;                  /* for when nobody gives one */

  /* generate */
  GArray *history;               /* ids by position, -1 = not known */
  gboolean open;                 /* an answer is being written */
  gboolean sampled;              /* somebody has asked for a token */
  gboolean announced;            /* a tokensrc began the session: it says itself when it wants a token */
  GstRdText *text;
  GString *given_text;           /* of tokens that were sampled before a restart */
  guint prompt_tokens, answer_tokens;
  guint32 max_tokens;            /* of this answer */
  gint64 first_time, last_time;

  /* The last row, whose next token is not known yet. */
  gfloat *last_row;
  gboolean has_last_row;
  guint32 last_epoch, last_position;
  gboolean last_step;

  /* score */
  GstRdScore score;              /* of the session */
  GstRdScore window;
  GArray *likelihoods;           /* of the window's tokens, gdouble */
} GstTailSession;

/* -stream.c */
GstFlowReturn gst_tail_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer);
gboolean gst_tail_sink_event (GstPad * pad, GstObject * parent, GstEvent * event);
gboolean gst_tail_sink_query (GstPad * pad, GstObject * parent, GstQuery * query);
/** NULL to READY: checks the file, and opens the blocks if `layers` names them. Errors are posted. */
gboolean gst_tail_open_model (GstTransformerTail * self);
/** Caps of the request pads, once the model is known. */
void gst_tail_set_output_caps (GstTransformerTail * self);

GstTailSession *gst_tail_session (GstTransformerTail * self, GstRdSession * session);
void gst_tail_session_free (gpointer data);
/** Keeps the last of the rows. */
void gst_tail_keep_last_row (GstTransformerTail * self, GstTailSession * t, const GstRdRows * rows);

/** Logits of @n rows in scratch memory, valid until the next call; they also go out on the logits pad. NULL: *flow says why. */
const gfloat *gst_tail_logits (GstTransformerTail * self, GstRdSession * session, const gfloat * x, gsize n, guint32 position,
    gboolean step, GstFlowReturn * flow);
/** Reference to an output, or NULL. */
GstRdOutput *gst_tail_output (GstTransformerTail * self, guint which);
/** Pushes to an output (nowhere if there is none); a pad that is not linked is no error as long as another one is. */
GstFlowReturn gst_tail_push (GstTransformerTail * self, guint which, GstBuffer * buffer);

/* -generate.c */
GstFlowReturn gst_tail_generate (GstTransformerTail * self, GstRdSession * session, const GstRdRows * rows);
/** The context was full (finish CONTEXT), or the answer was cancelled (NONE). */
GstFlowReturn gst_tail_break_answer (GstTransformerTail * self, GstRdSession * session, RdFinish finish);
/** The session is over: what is left of its text goes out; a stream that never asked for a token gets its one. */
GstFlowReturn gst_tail_end_generate (GstTransformerTail * self, GstRdSession * session);
/** A flush: an answer in progress is dropped. */
void gst_tail_drop_answer (GstTailSession * t);

/* -score.c */
GstFlowReturn gst_tail_score (GstTransformerTail * self, GstRdSession * session, const GstRdRows * rows);
void gst_tail_end_score (GstTransformerTail * self, GstRdSession * session);

G_END_DECLS
