/* GstRdMeta: where the rows of a buffer stand. No tags, so every transform copies it. */
#pragma once
#include <gst/gst.h>

G_BEGIN_DECLS

typedef enum
{
  GST_RD_META_STEP = 1 << 0,     /* rows of the step regime (generated tokens); else prefill */
  GST_RD_META_SAMPLE = 1 << 1,   /* logits are wanted after the last row */
  GST_RD_META_GIVEN = 1 << 2,    /* the token after the last row is known: take it, do not sample */
  GST_RD_META_SEND_IDS = 1 << 3, /* the ids may go in band */
} GstRdMetaFlags;

typedef struct
{
  GstMeta meta;
  guint32 session;               /* process-local number */
  guint32 epoch;
  guint32 position;              /* of the first row */
  guint32 count;                 /* rows */
  GstRdMetaFlags flags;
  gint32 *ids;                   /* count token ids, or NULL; owned by the meta */
  gint32 given_id;               /* with GIVEN: id of the token after the last row; set it after gst_buffer_add_rd_meta(), -1 = not known */
  gint8 *levels;                 /* count levels of a codec file that the rows were coded with, or NULL: not known; set it as given_id, owned by the meta */
} GstRdMeta;

GType gst_rd_meta_api_get_type (void);
const GstMetaInfo *gst_rd_meta_get_info (void);
/** @ids (@count of them, may be NULL) are copied. */
GstRdMeta *gst_buffer_add_rd_meta (GstBuffer * buffer, guint32 session, guint32 epoch, guint32 position, guint32 count,
    GstRdMetaFlags flags, const gint32 * ids);
GstRdMeta *gst_buffer_get_rd_meta (GstBuffer * buffer);

G_END_DECLS
