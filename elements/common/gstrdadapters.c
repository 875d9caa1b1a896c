/* Adapters of the language model that a codec file carries. */
#include "elements/common/gstrdadapters.h"
#include "codec/file-cache.h"
#include "codec/learned/parameters.h"
#include "elements/common/gstrdframes.h"
#include <string.h>

static StModelAdapters *
take_adapters (const RdLearnedAdapters * from)
{
  StModelAdapters *to;

  if (!from)
    return NULL;
  to = st_model_adapters_new ();
  for (guint i = 0; i < from->list->len; i++) {
    const RdLearnedAdapter *a = rd_learned_adapters_get (from, i);

    st_model_adapters_add (to, a->name, a->inputs, a->outputs, a->rank,
        from->alpha, a->a, a->b);
  }
  return to;
}

static gpointer
load_file (const gchar * path, GError ** error)
{
  g_autoptr (RdLearnedParameters) p = rd_learned_parameters_load (path, error);
  GstRdAdapters *adapters;

  if (!p)
    return NULL;
  adapters = g_new0 (GstRdAdapters, 1);
  adapters->path = g_strdup (path);
  adapters->id = g_strdup (p->id);
  memcpy (adapters->model_id, p->model_id, sizeof p->model_id);
  adapters->model_name = g_strdup (p->model_name ? p->model_name : "");
  adapters->split_layer = p->split_layer;
  adapters->model = take_adapters (p->adapters);
  for (guint level = 0; p->adapters && level < RD_CODEC_LEVELS; level++)
    adapters->gates[level] = rd_learned_adapters_gate (p->adapters, p->knots,
        p->n_knots, level);
  return adapters;
}

static void
free_file (gpointer data)
{
  GstRdAdapters *adapters = data;

  g_free (adapters->path);
  g_free (adapters->id);
  g_free (adapters->model_name);
  g_clear_pointer (&adapters->model, st_model_adapters_unref);
  g_free (adapters);
}

static RdFileCache files = {.load = load_file,.free = free_file };

const GstRdAdapters *
gst_rd_adapters_open (const gchar * path, GError ** error)
{
  return rd_file_cache_open (&files, path, error);
}

void
gst_rd_adapters_close (const GstRdAdapters * adapters)
{
  if (adapters)
    rd_file_cache_close (&files, (gpointer) adapters);
}

gboolean
gst_rd_adapters_check (const GstRdAdapters * adapters, const StModel * model,
    gint first, gint last, gboolean strict, GError ** error)
{
  const gint split = (gint) adapters->split_layer;
  gchar id[2 * RD_MODEL_ID_BYTES + 1];

  gst_rd_id_to_hex (adapters->model_id, id);
  if (strict && id[0] && strcmp (id, st_model_id (model)) != 0) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "the codec file %s was made for %s (id %.12s), the model is %s (id "
        "%.12s); use the codec file that was made for it, or set "
        "model-check=architecture if it is the same in another type",
        adapters->path, adapters->model_name, id,
        st_model_config (model)->name, st_model_id (model));
    return FALSE;
  }
  if (last <= split || first >= split)
    return TRUE;
  g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "the codec file %s was made for %s cut before block %d, this side runs "
      "the blocks %d to %d; cut the model there, or use the codec file for "
      "this cut", adapters->path, adapters->model_name, split, first, last - 1);
  return FALSE;
}

gfloat
gst_rd_adapters_gate (const GstRdAdapters * adapters, gint level)
{
  if (level < 0 || level >= RD_CODEC_LEVELS)
    level = (gint) rd_codec_quality_level (RD_QUALITY_DEFAULT);
  return adapters->gates[level];
}

gboolean
gst_rd_adapters_agree (const gchar * who, const gchar * own,
    const gchar * stream, const gchar * streams_model, GError ** error)
{
  if (strcmp (own, stream) == 0 || (!stream[0] && !streams_model[0]))
    return TRUE;
  if (own[0] && stream[0])
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "%s runs with the adapters of codec file \"%s\", the stream was made "
        "with those of \"%s\": give both sides the same codec file", who, own,
        stream);
  else if (own[0])
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "%s uses codec file \"%s\", which has adapters of the model, but the "
        "hidden states were made without them: set codec of transformerhead to "
        "that file, too", who, own);
  else
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "the hidden states were made with the adapters of codec file \"%s\", "
        "%s runs without them: set its codec to that file (with "
        "rate-control=lossless for exact values), or leave out codec of "
        "transformerhead", stream, who);
  return FALSE;
}
