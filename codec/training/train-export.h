/* From a training's checkpoint to a codec file, and to a model file if the model's weights were trained. */
#pragma once
#include "codec/training/train.h"

G_BEGIN_DECLS

/** RdTrainExport: what a codec file is made with, beside what the training was. */
typedef struct
{
  /* rd_trainable_export(): writes what was trained to @parameters, those of the start; what depends on the states (scales, contexts, tables) is
   * fitted afterwards. */
  gboolean (*codec_export) (RdTrainable * codec, const RdTrainableJob * job, RdLearnedParameters * parameters, GError ** error);
  const gchar *output;          /* path of the codec file */
  gsize sequences;              /* that tables are fitted to */
  guint rank;                   /* of the adapters in the file, at most what was trained; 0: that */
  const gchar *model_output;    /* path of the trained model, which a training of all weights needs and no other one has */
  StType type;                  /* of its matrices: F32, F16, Q8_0 */
  const gchar *sources;         /* for the file: what the texts are, and their licences; or NULL */
} RdTrainExport;

#define RD_TRAIN_EXPORT_SEQUENCES 240
#define RD_TRAIN_EXPORT_MIN_SEQUENCES 9

/** rd_train_export: writes the codec file of the training that @options describes, as far as its checkpoint is. Tables are fitted to sequences that
 * were trained on, as the trained head computes their states: with weights as they are in the model file, whose id the codec file has. Both
 * are written beside their places, and renamed, the model first, when both are whole: what fails before leaves both places as they were.
 * Errors as of rd_train(), of rd_refit() and of writing. */
gboolean rd_train_export (const RdTrainOptions * options, const RdTrainExport * to, GError ** error);

G_END_DECLS
