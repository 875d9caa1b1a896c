#include "pipelines/rdtrain/entropy-models.h"

#include <string.h>

#include "codec/training/static.h"
#include "pipelines/rdtrain/tool.h"

static RdTrainable *
static_new (const RdLearnedParameters * start, guint set, GError ** error)
{
  RdStatic *codec = rd_static_new (start, set, error);

  return codec != NULL ? rd_static_trainable (codec) : NULL;
}

static void
static_export (const RdTrainable * codec, RdLearnedParameters * parameters)
{
  rd_static_export ((const RdStatic *) codec, parameters);
}

/* The usual one comes first. */
static const RdtrainEntropyModel models[] = {
  {RD_STATIC_NAME, static_new, static_export},
};

const RdtrainEntropyModel *
rdtrain_entropy_model_find (const gchar * name, GError ** error)
{
  g_autoptr (GString) message = g_string_new (NULL);

  if (name == NULL)
    return &models[0];
  g_string_append_printf (message, "no entropy model %s; there is", name);
  for (guint i = 0; i < G_N_ELEMENTS (models); i++) {
    if (strcmp (name, models[i].name) == 0)
      return &models[i];
    g_string_append_printf (message, " %s", models[i].name);
  }
  rdtrain_fail_usage (error, message->str);
  return NULL;
}
