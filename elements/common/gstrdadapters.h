/* Adapters of the language model that a codec file carries: what `codec` of transformerhead and transformertail names. */
#pragma once
#include <gst/gst.h>
#include "codec/codec.h"
#include "models/model.h"

G_BEGIN_DECLS

/** GstRdAdapters: what a codec file means to a model. Immutable. */
typedef struct
{
  gchar *path, *id;              /* the file and its id, as in HEADER */
  guint8 model_id[32];           /* all zero: any */
  gchar *model_name;
  guint split_layer;
  StModelAdapters *model;        /* NULL: the file has none, and nothing is changed */
  gfloat gates[RD_CODEC_LEVELS]; /* factor of the adapters at each level */
} GstRdAdapters;

/** gst_rd_adapters_open: of the codec file at @path; the same for all who have it open. Errors (RD_CODEC_ERROR) name the file.
 * gst_rd_adapters_close() gives it back. */
const GstRdAdapters *gst_rd_adapters_open (const gchar * path, GError ** error);
void gst_rd_adapters_close (const GstRdAdapters * adapters);

/** gst_rd_adapters_check: whether the file was made for @model, and for a cut that the blocks @first .. @last - 1 do not go across. @strict: it must be
 * the same model file, not only one of the same sizes. The error names both sides. */
gboolean gst_rd_adapters_check (const GstRdAdapters * adapters, const StModel * model, gint first, gint last, gboolean strict,
    GError ** error);

/** gst_rd_adapters_gate: factor at @level; -1, not known: at that of the default quality. */
gfloat gst_rd_adapters_gate (const GstRdAdapters * adapters, gint level);

/** gst_rd_adapters_agree: whether this side's adapters, @own ("": none) are those that the stream was made with, @stream; @streams_model: "" if
 * the stream tells nothing about itself. The error names both sides and says what to do: it begins with @who ("transformertail"). */
gboolean gst_rd_adapters_agree (const gchar * who, const gchar * own, const gchar * stream, const gchar * streams_model, GError ** error);

G_END_DECLS
