/* What the files of tokensrc share: gsttokensrc.c (object, states), -pads.c (text and answer), -task.c (the source
 * pad and its thread) and -stream.c (what is sent when). */
#pragma once
#include "elements/tokensrc/gstrdconversation.h"
#include "elements/common/gstrdoutput.h"
#include "elements/tokensrc/gstrdprompt.h"
#include "elements/common/gstrdsampling.h"
#include "elements/common/gstrdtext.h"
#include "elements/tokensrc/gstrdturns.h"
#include "elements/tokensrc/gsttokensrc.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (tokensrc_debug);

/** GstTokenSrcSettings: the properties, but for the sampling ones. */
typedef struct
{
  gchar *model, *prompt, *location, *chat_template, *system, *turn_delimiter;
  guint chunk_tokens, window_tokens, window_stride;
  gint num_buffers;
  GstRdAddBos add_bos;
  gboolean send_ids, is_live;
} GstTokenSrcSettings;

struct _GstTokenSrc
{
  GstElement parent;
  GstPad *srcpad;
  GstPad *text_pad;              /* request, NULL if there is none */
  GstRdOutput *answer;           /* request pad `answer`, NULL if there is none */

  /* under the object lock */
  GstTokenSrcSettings settings;
  GstRdSampling sampling;
  gboolean dirty;                /* the model was changed since it was opened */

  GstRdPrompt prompt;            /* from READY on */

  /* under `lock` */
  GMutex lock;
  GCond changed;
  gboolean flushing, rewind;
  gboolean playing;              /* a live source runs in PLAYING only */
  gboolean eos_wanted;           /* by an EOS event of the application */
  gboolean text_flushing, text_eos;
  GstRdTurns turns;
  GQueue received;               /* rd-tokens events */
  gchar *peer_error;

  /* streaming thread */
  GstTokenSrcSettings running;   /* as they were at the start */
  GstRdConversation conversation;
  guint32 session;
  guint64 seed;
  gchar **stop;
  gboolean begun;                /* stream-start and caps are out */
  gboolean segment_sent;
  gint buffers_left;             /* -1 = no limit */
  gboolean announced, first_turn, way_back;
  GArray *window_ids;            /* of the whole text */
  gsize window_start;
  GstRdText *text;               /* for the answer pad */
};

void gst_token_src_settings_clear (GstTokenSrcSettings * settings);
void gst_token_src_settings_copy (GstTokenSrcSettings * dst, const GstTokenSrcSettings * src);

/* -task.c */
extern GstStaticPadTemplate gst_token_src_src_template;
/** Makes the source pad and adds it. */
void gst_token_src_add_src_pad (GstTokenSrc * self);
/** TRUE stops what waits and gives the turn up. */
void gst_token_src_set_flushing (GstTokenSrc * self, gboolean flushing);
void gst_token_src_set_playing (GstTokenSrc * self, gboolean playing);
gboolean gst_token_src_send_event (GstElement * element, GstEvent * event);

/* -pads.c */
GstPad *gst_token_src_request_pad (GstElement * element, GstPadTemplate * template, const gchar * name, const GstCaps * caps);
void gst_token_src_release_pad (GstElement * element, GstPad * pad);
/** TRUE drops the turns that wait and takes no more. */
void gst_token_src_set_text_flushing (GstTokenSrc * self, gboolean flushing);

/* -stream.c */
/** Resets the streaming side; errors are posted. */
gboolean gst_token_src_stream_start (GstTokenSrc * self);
void gst_token_src_stream_stop (GstTokenSrc * self);
/** The next buffer, EOS, or an error that was posted. */
GstFlowReturn gst_token_src_stream_create (GstTokenSrc * self, GstBuffer ** buffer);

G_END_DECLS
