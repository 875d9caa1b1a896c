/* Media types and caps fields of the streams (design section 3), each written once. */
#pragma once
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_RD_TEXT_CAPS "text/x-raw, format = (string) utf8"
#define GST_RD_TOKEN_IDS_MEDIA "application/x-token-ids"
#define GST_RD_TOKEN_IDS_CAPS "application/x-token-ids, format = (string) S32LE"
#define GST_RD_HIDDEN_STATES_MEDIA "application/x-hidden-states"
#define GST_RD_HIDDEN_STATES_CAPS "application/x-hidden-states, format = (string) { F32LE, F16LE }"
#define GST_RD_TENSORS_MEDIA "other/tensors"
/** One NNStreamer tensor of hidden states: static (dimensions = D:N, innermost first) or flexible (a 128-byte header before the rows). */
#define GST_RD_TENSORS_CAPS \
    "other/tensors, format = (string) static, num_tensors = (int) 1, types = (string) { float32, float16 }; " \
    "other/tensors, format = (string) flexible"
#define GST_RD_STATES_MEDIA "application/x-rd-states"
#define GST_RD_STATES_CAPS "application/x-rd-states, stream-format = (string) { packet, byte-stream }, alignment = (string) frame, version = (int) 1"
#define GST_RD_FEEDBACK_MEDIA "application/x-rd-feedback"
#define GST_RD_FEEDBACK_CAPS "application/x-rd-feedback, version = (int) 1"

/** GstRdStateLayout: how the rows of hidden states lie in a buffer, whatever caps said it. */
typedef enum { GST_RD_LAYOUT_HIDDEN_STATES, GST_RD_LAYOUT_TENSORS_STATIC, GST_RD_LAYOUT_TENSORS_FLEXIBLE } GstRdLayout;
typedef enum { GST_RD_F32, GST_RD_F16 } GstRdFormat;

typedef struct
{
  GstRdLayout layout;
  GstRdFormat format;
  guint hidden_size;             /* 0 = not known from the caps (flexible tensors) */
  gint split_layer;              /* -1 = not known */
  gchar model_id[65];            /* "" = not known */
  gchar model_name[64];          /* "" = not known; for readable errors */
  guint vocab_size;              /* 0 = not known */
  gchar adapters[64];            /* id of the codec file whose adapters the model ran with; "" = none */
  guint rows;                    /* static tensors: rows of every buffer (N of "D:N"), 0 = not fixed */
} GstRdStateInfo;

/** Hidden-states or tensors caps to info; FALSE and a readable @error (GST_STREAM_ERROR) if they make no sense. */
gboolean gst_rd_state_info_from_caps (GstRdStateInfo * info, const GstCaps * caps, GError ** error);
/** Fixed caps; fields that are not known are left out. */
GstCaps *gst_rd_state_info_to_caps (const GstRdStateInfo * info);
/** Values a row, for caps that do not say it (flexible tensors: from the header in @buffer); 0 and an error if there are none. */
guint gst_rd_state_info_peek_hidden_size (const GstRdStateInfo * info, GstBuffer * buffer, GError ** error);
/** Rows of @buffer as F32 (n x hidden_size), newly allocated with g_malloc; checks sizes and the flexible header. An empty buffer is an
 * error. */
gfloat *gst_rd_state_info_read (const GstRdStateInfo * info, GstBuffer * buffer, guint hidden_size, gsize * n, GError ** error);
/** A new buffer of @n rows (at least 1) in the layout. F16: round to nearest even. */
GstBuffer *gst_rd_state_info_write (const GstRdStateInfo * info, const gfloat * x, gsize n, guint hidden_size);

/** application/x-token-ids caps: @vocab_size ids of the tokenizer @tokenizer_id (hex). */
GstCaps *gst_rd_token_ids_caps (guint vocab_size, const gchar * tokenizer_id);

G_END_DECLS
