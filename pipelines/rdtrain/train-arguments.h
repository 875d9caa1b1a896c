/* What rdtrain train and rdtrain resume are told. */
#pragma once
#include "codec/training/train.h"
#include "pipelines/rdtrain/tool.h"

G_BEGIN_DECLS

/** RdtrainTrainArguments: as on the command line; 0 and NULL: not given, where that is no value. */
typedef struct
{
  gchar *model, *start, *windows, *entropy_model, *rounding, *adapters, *blocks;
  gchar *checkpoint, *values, *products;
  gchar **texts;
  gboolean side_info, full_weights, recompute, resume, quiet;
  gint frame, rank, batch, length, held_out, validate_every, warmup, threads;
  gint64 steps, tokens, seed;
  gdouble alpha, lambda_min, lambda_max, label_weight, rate, codec_rate;
} RdtrainTrainArguments;

/** RdtrainTrainUsage: which of the two commands. */
typedef struct
{
  const gchar *summary, *description;   /* of --help */
  gboolean resume;              /* all that is not a path is in the checkpoint */
} RdtrainTrainUsage;

/** rdtrain_train_arguments_parse: fills @a, then @options, which refer to it. Errors: G_OPTION_ERROR, those of
 * rd_check_files(). */
gboolean rdtrain_train_arguments_parse (RdtrainTrainArguments * a, gint argc, gchar ** argv, const RdtrainTrainUsage * usage,
    RdTrainOptions * options, GError ** error);
/** rdtrain_train_arguments_read: fills in what the checkpoint says. Errors of rd_train_options_read(). */
gboolean rdtrain_train_arguments_read (RdtrainTrainArguments * a, RdTrainOptions * options, GError ** error);
void rdtrain_train_arguments_clear (RdtrainTrainArguments * a);

G_END_DECLS
