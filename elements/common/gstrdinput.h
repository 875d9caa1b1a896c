/* What comes in on a sink pad of token ids or hidden states: rows, with where they stand. */
#pragma once
#include <gst/gst.h>
#include <gst/base/gstadapter.h>
#include "elements/common/gstrdcaps.h"
#include "elements/common/gstrdmeta.h"

G_BEGIN_DECLS

typedef struct
{
  gboolean configured;
  gboolean refused;              /* the caps were refused, and that was said: they come again with every buffer */
  gboolean ids;                  /* token ids, else hidden states */
  guint vocab_size;              /* of ids; 0 = not known */
  gchar tokenizer_id[65];        /* of ids; "" = not known */
  GstRdStateInfo info;           /* of hidden states */
  GstAdapter *adapter;           /* bytes of a row that is not whole yet (streams without meta) */
} GstRdInput;

/** GstRdRows: the rows of one buffer. */
typedef struct
{
  gboolean has_meta;             /* else session 0, positions continue, prefill */
  gboolean discont;
  guint32 session, epoch, position;
  GstRdMetaFlags flags;
  gint32 given_id;               /* with GIVEN: the token after the last row, -1 = not known */
  gsize n;
  gint32 *ids;                   /* n, or NULL; owned */
  gint8 *levels;                 /* n, as in GstRdMeta, or NULL; owned */
  gfloat *x;                     /* n x hidden size, or NULL for token ids; owned */
  GstClockTime pts;
} GstRdRows;

void gst_rd_input_init (GstRdInput * input);
void gst_rd_input_clear (GstRdInput * input);
/** As after gst_rd_input_init(). */
void gst_rd_input_reset (GstRdInput * input);
/** Forgets the bytes of an unfinished row; the number of them is returned. */
gsize gst_rd_input_flush (GstRdInput * input);
gboolean gst_rd_input_set_caps (GstRdInput * input, const GstCaps * caps, GError ** error);

/** gst_rd_input_take: the rows of @buffer (not consumed). Buffers without meta may end anywhere in a row: what is whole is given, rows->n
 * may be 0. @hidden_size: of the model. Free with gst_rd_rows_clear(). */
gboolean gst_rd_input_take (GstRdInput * input, GstBuffer * buffer, guint hidden_size, GstRdRows * rows, GError ** error);
void gst_rd_rows_clear (GstRdRows * rows);

G_END_DECLS
