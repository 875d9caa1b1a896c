/* The entropy models that rdtrain trains and exports, by name. */
#pragma once
#include "codec/learned/parameters.h"
#include "codec/training/trainable.h"

G_BEGIN_DECLS

typedef struct
{
  const gchar *name;            /* of --entropy-model */
  /* As in RdTrainOptions and RdTrainExport. */
  RdTrainable *(*codec_new) (const RdLearnedParameters * start, guint set, GError ** error);
  void (*codec_export) (const RdTrainable * codec, RdLearnedParameters * parameters);
} RdtrainEntropyModel;

/** rdtrain_entropy_model_find: NULL with G_OPTION_ERROR_BAD_VALUE, which lists what there is. @name NULL: the usual one. */
const RdtrainEntropyModel *rdtrain_entropy_model_find (const gchar * name, GError ** error);

G_END_DECLS
