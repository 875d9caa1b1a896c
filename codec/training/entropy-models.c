#include "codec/training/entropy-models.h"

#include "codec/training/hyperprior.h"

const gchar *const *
rd_trainable_names (void)
{
  static const gchar *names[RD_N_HYPERPRIORS + 2];
  static gsize once;

  if (g_once_init_enter (&once)) {
    names[0] = RD_STATIC_NAME;
    for (guint i = 0; i < RD_N_HYPERPRIORS; i++)
      names[1 + i] = rd_hyperprior_name (i);
    g_once_init_leave (&once, 1);
  }
  return names;
}

RdTrainable *
rd_trainable_new_by_name (const gchar * name,
    const RdLearnedParameters * start, guint set, guint64 seed, GError ** error)
{
  g_autofree gchar *known = NULL;

  if (g_str_equal (name, RD_STATIC_NAME))
    return (RdTrainable *) rd_static_new (start, set, error);
  for (guint i = 0; i < RD_N_HYPERPRIORS; i++) {
    if (g_str_equal (name, rd_hyperprior_name (i)))
      return rd_hyperprior_new (start, set, i, seed, error);
  }
  known = g_strjoinv (", ", (gchar **) rd_trainable_names ());
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "no entropy model '%s'; there are %s", name, known);
  return NULL;
}

gboolean
rd_trainable_export (RdTrainable * trainable, const RdTrainableJob * job,
    RdLearnedParameters * parameters, GError ** error)
{
  if (!g_str_equal (trainable->klass->name, RD_STATIC_NAME))
    return rd_hyperprior_export (trainable, job, parameters, error);
  rd_static_export ((const RdStatic *) trainable, parameters);
  return TRUE;
}
