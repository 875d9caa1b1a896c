/* What rdtrain train and rdtrain resume are told. */
#pragma once
#include "codec/training/train.h"
#include "pipelines/rdtrain/tool.h"

G_BEGIN_DECLS

/** RdtrainTrainArguments: as on the command line; 0 and NULL: not given, where that is no value. */
typedef struct
{
  gchar *model, *start, *windows, *entropy_model, *rounding, *adapters, *blocks;
  gchar *checkpoint, *values;
  gchar **texts;
  gboolean side_info, recompute, resume, quiet;
  gint frame, rank, batch, length, held_out, validate_every, warmup, threads;
  gint64 steps, tokens, seed;
  gdouble alpha, lambda_min, lambda_max, label_weight, rate, codec_rate;
} RdtrainTrainArguments;

/** rdtrain_train_arguments_parse: fills @a, then @options, which refer to it. @summary and @description: of --help. Errors: G_OPTION_ERROR. */
gboolean rdtrain_train_arguments_parse (RdtrainTrainArguments * a, gint argc, gchar ** argv, const gchar * summary, const gchar * description,
    RdTrainOptions * options, GError ** error);
void rdtrain_train_arguments_clear (RdtrainTrainArguments * a);

G_END_DECLS
