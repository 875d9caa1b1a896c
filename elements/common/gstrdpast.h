/* What is known of the tokens of one session: id and regime of each position. rdencoder and rddecoder run predictors on it. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  guint32 epoch;
  GArray *tokens;                /* guint32 a position: id, GST_RD_PAST_STEP in rows of the step regime; GST_RD_PAST_UNKNOWN */
} GstRdPast;

#define GST_RD_PAST_STEP 0x80000000u
#define GST_RD_PAST_UNKNOWN G_MAXUINT32

void gst_rd_past_init (GstRdPast * past);
void gst_rd_past_clear (GstRdPast * past);

/** gst_rd_past_rows: @n rows of one regime arrive; another @epoch than before makes void what was known at @position and after. @ids: of the rows, or
 * NULL if they are known or not as they are. */
void gst_rd_past_rows (GstRdPast * past, guint32 epoch, guint32 position, gsize n, gboolean step, const gint32 * ids);
/** gst_rd_past_tokens: ids of positions whose rows are to come, as they were sampled or given; of another epoch they are ignored. */
void gst_rd_past_tokens (GstRdPast * past, guint32 epoch, guint32 position, const gint32 * ids, gsize n);
/** gst_rd_past_ids: FALSE if one of the @n ids is not known. */
gboolean gst_rd_past_ids (const GstRdPast * past, guint32 position, gsize n, gint32 * ids);
/** gst_rd_past_knows: whether just these ids are known. */
gboolean gst_rd_past_knows (const GstRdPast * past, guint32 position, gsize n, const gint32 * ids);

G_END_DECLS
