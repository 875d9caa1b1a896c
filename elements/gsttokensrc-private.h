/* What the files of tokensrc share: gsttokensrc.c (object, states), -pads.c (text and answer) and -stream.c (what is sent when). */
#pragma once
#include "elements/gstrdconversation.h"
#include "elements/gstrdoutput.h"
#include "elements/gstrdprompt.h"
#include "elements/gstrdsampling.h"
#include "elements/gstrdtext.h"
#include "elements/gstrdturns.h"
#include "elements/gsttokensrc.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (tokensrc_debug);

/** GstTokenSrcSettings: the properties, but for the sampling ones. */
typedef struct
{
  gchar *model, *prompt, *location, *chat_template, *system, *turn_delimiter;
  guint chunk_tokens, window_tokens, window_stride;
  GstRdAddBos add_bos;
  gboolean send_ids;
} GstTokenSrcSettings;

struct _GstTokenSrc
{
  GstPushSrc parent;
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
  gboolean announced, first_turn, way_back;
  GArray *window_ids;            /* of the whole text */
  gsize window_start;
  GstRdText *text;               /* for the answer pad */
};

void gst_token_src_settings_clear (GstTokenSrcSettings * settings);
void gst_token_src_settings_copy (GstTokenSrcSettings * dst, const GstTokenSrcSettings * src);

/* -pads.c */
GstPad *gst_token_src_request_pad (GstElement * element, GstPadTemplate * template, const gchar * name, const GstCaps * caps);
void gst_token_src_release_pad (GstElement * element, GstPad * pad);
/** TRUE drops the turns that wait and takes no more. */
void gst_token_src_set_text_flushing (GstTokenSrc * self, gboolean flushing);
GstPadProbeReturn gst_token_src_follow_eos (GstPad * pad, GstPadProbeInfo * info, gpointer data);

/* -stream.c */
/** Resets the streaming side; errors are posted. */
gboolean gst_token_src_stream_start (GstTokenSrc * self);
void gst_token_src_stream_stop (GstTokenSrc * self);
/** The next buffer, EOS, or an error that was posted. */
GstFlowReturn gst_token_src_stream_create (GstTokenSrc * self, GstBuffer ** buffer);

G_END_DECLS
