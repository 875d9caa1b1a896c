/* Token ids to text as they come, with stop strings that may lie across tokens. */
#pragma once
#include "models/tokenizer/tokenizer.h"

G_BEGIN_DECLS

typedef struct
{
  StDetokenizer *detokenizer;
  GString *held;                 /* text that may be the beginning of a stop string */
  gchar **stops;                 /* owned; NULL = none */
} GstRdText;

/** gst_rd_text_new: @stops (NULL-terminated, may be NULL) is copied; what is not UTF-8 in it never matches. */
GstRdText *gst_rd_text_new (StTokenizer * tokenizer, gchar ** stops);
void gst_rd_text_free (GstRdText * text);
/** gst_rd_text_push: appends to @out what can be printed after @id: whole characters, and no longer held back than a stop string could
 * still begin there. TRUE when a stop string is complete: the text before it is out, the rest is dropped. */
gboolean gst_rd_text_push (GstRdText * text, gint32 id, GString * out);
/** The end of an answer: appends what is left and resets. */
void gst_rd_text_flush (GstRdText * text, GString * out);
/** A stop string or a cancelled answer: drops what is left and resets. */
void gst_rd_text_drop (GstRdText * text);

G_END_DECLS
