/* The entropy models that can be trained, by name. */
#pragma once
#include "codec/training/trainable.h"
#include "codec/learned/parameters.h"

G_BEGIN_DECLS

/** rd_trainable_names: of all models, the simplest first, NULL behind the last. */
const gchar *const *rd_trainable_names (void);
/** rd_trainable_new_by_name: the model @name from a calibrated codec's parameters (copied), for rows of set @set; all that is random at the start
 * depends on @seed. Freed by klass->free(). Errors: RD_TRAINING_ERROR_OPTIONS lists the names there are; those of rd_static_new(). */
RdTrainable *rd_trainable_new_by_name (const gchar * name, const RdLearnedParameters * start, guint set, guint64 seed, GError ** error);
/** rd_trainable_export: what was trained to @parameters, a copy of those that training started from. @job: rows of the text, as rd_hyperprior_export() takes
 * them. Errors: of rd_hyperprior_export(); then @parameters are of no use. */
gboolean rd_trainable_export (RdTrainable * trainable, const RdTrainableJob * job, RdLearnedParameters * parameters, GError ** error);

G_END_DECLS
