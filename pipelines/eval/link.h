/* What lies between head and tail: rows go in, what the tail gets comes out, and what that costs. */
#pragma once
#include "pipelines/eval/forward.h"
#include "pipelines/eval/spec.h"
#include "pipelines/eval/sums.h"

G_BEGIN_DECLS

typedef struct _EvalLink EvalLink;

/** EvalTimes: what a codec has worked so far, wall clock. */
typedef struct
{
  gdouble encode_ns, decode_ns; /* sums over all tokens */
  guint64 tokens;
} EvalTimes;

typedef struct
{
  gboolean (*send) (EvalLink * link, const EvalText * text, const float *x, float *y, EvalSum * sums, GError ** error);
  void (*times) (EvalLink * link, EvalTimes * times);   /* may be NULL: nothing is timed */
  gint (*level) (EvalLink * link);      /* may be NULL: there are no levels */
  const gint8 *(*levels) (EvalLink * link);
  void (*free) (EvalLink * link);
} EvalLinkClass;

/* First member of every link's own struct. */
struct _EvalLink
{
  const EvalLinkClass *klass;
};

/** eval_link_send: one text as a session of its own. x, y: n x hidden size. The bits of @sums (n of them, zeroed by the caller) are
 * filled: those of the first position in sums[0] alone, what belongs to the session as a whole spread over the others. */
gboolean eval_link_send (EvalLink * link, const EvalText * text, const float *x, float *y, EvalSum * sums, GError ** error);
/** FALSE if it has no clock. */
gboolean eval_link_times (EvalLink * link, EvalTimes * times);
/** eval_link_level: the level of a codec file that the next rows are going to be coded with; -1 = not known. */
gint eval_link_level (EvalLink * link);
/** eval_link_levels: those that the rows of the last text were coded with, as many as it has; NULL = not known. */
const gint8 *eval_link_levels (EvalLink * link);
void eval_link_free (EvalLink * link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvalLink, eval_link_free)

/** eval_elements_new: `appsrc ! rdencoder ! rddecoder ! appsink`, playing. Each buffer is one frame, and the next is pushed when its
 * rows have come back: encoder and decoder do not work at the same time. The model's cancel flag ends a wait. @threads: 0 = as the
 * elements have it, else set where an element has such a property. gst_init() was called. */
EvalLink *eval_elements_new (const EvalVariant * variant, const EvalModel * model, guint threads, GError ** error);

/** eval_rounding_new: each channel rounded to multiples of @step and coded under adaptive counts of its own (PPM's method D: a value is
 * new with probability m / 2n after m different ones in n tokens, and then costs an Elias gamma code): ideal code length, what the
 * receiver has to learn is in it. Counts go on from text to text. First positions are sent as they are, 32 bits a value. */
EvalLink *eval_rounding_new (guint hidden, gdouble step);

/** eval_ids_new: rows come out as they went in, which costs what coding the text's ids costs. EVAL_IDS_MODEL leaves the bits zero: they
 * are nll_ref / ln 2. */
EvalLink *eval_ids_new (EvalIdCode code, guint hidden, guint vocab);

G_END_DECLS
