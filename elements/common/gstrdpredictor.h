/* What a codec file's predictor is fed with: embeddings of token ids, or what the model's first blocks make of them. */
#pragma once
#include <gst/gst.h>
#include "codec/codec.h"
#include "elements/common/gstrdcaps.h"
#include "elements/common/gstrdpast.h"
#include "models/model.h"

G_BEGIN_DECLS

/**
 * GstRdTokenSideInfo:
 * @GST_RD_TOKEN_SIDE_INFO_NONE: states are coded by themselves
 * @GST_RD_TOKEN_SIDE_INFO_GENERATED: generated tokens, which the tail has sampled, help to code their states
 * @GST_RD_TOKEN_SIDE_INFO_ALL: all tokens do; the ids that the tail lacks are sent, so that it reads the prompt
 *
 * Whose token ids rdencoder uses.
 */
typedef enum
{
  GST_RD_TOKEN_SIDE_INFO_NONE,
  GST_RD_TOKEN_SIDE_INFO_GENERATED,
  GST_RD_TOKEN_SIDE_INFO_ALL,
} GstRdTokenSideInfo;
#define GST_TYPE_RD_TOKEN_SIDE_INFO (gst_rd_token_side_info_get_type ())
GType gst_rd_token_side_info_get_type (void);

/** gst_rd_codec_check: whether @codec is made for the model and split of the stream @info; the error names both sides. */
gboolean gst_rd_codec_check (const RdCodec * codec, const GstRdStateInfo * info, GError ** error);

/** GstRdPredictor: part of a model, for any number of sessions; used by one thread at a time. */
typedef struct _GstRdPredictor GstRdPredictor;

/** gst_rd_predictor_new: opens what @info needs of the model file @path (NULL: an error that says to set `model`). @info->side_info is not NONE. */
GstRdPredictor *gst_rd_predictor_new (const gchar * path, const RdCodecInfo * info, GError ** error);
void gst_rd_predictor_free (GstRdPredictor * predictor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstRdPredictor, gst_rd_predictor_free)

/** GstRdPrediction: what a predictor keeps of one session. All zero at first. */
typedef struct
{
  StKvCache *cache;              /* NULL until it is needed */
  GArray *ran;                   /* as GstRdPast.tokens: what is in the cache */
} GstRdPrediction;
void gst_rd_prediction_clear (GstRdPrediction * prediction);

/** gst_rd_predictor_features: @n x hidden size floats for the rows at @position, valid until the next call. Positions before them that
 * have not been run, or with other tokens, are run first. The same tokens in the same regimes give the same bits however the calls are
 * cut. @lock, which may be NULL, is taken while @past is read. An id that is needed and not known is an error, as is
 * ST_MODEL_ERROR_CANCELLED after @cancel has become TRUE. */
const gfloat *gst_rd_predictor_features (GstRdPredictor * predictor, GstRdPrediction * prediction, const GstRdPast * past, GMutex * lock,
    guint32 position, gsize n, const gint * cancel, GError ** error);

G_END_DECLS
