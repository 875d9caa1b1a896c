#include "codec/training/calibrate.h"

#include <string.h>

#include <glib/gstdio.h>

#include "codec/training/calibrate-private.h"
#include "codec/training/checks.h"
#include "codec/training/parameters.h"
#include "codec/training/settings-text.h"

#define MIN_SEQUENCES RD_STATISTICS_HELD_OUT
#define MAX_SEQUENCES 1000000
#define MIN_LENGTH 16

void
rd_calibration_tell (const RdCalibration * c, const gchar * format, ...)
{
  va_list args;

  va_start (args, format);
  rd_tell_va (c->options->tell, c->options->user_data, format, args);
  va_end (args);
}

gboolean
rd_calibration_ids (const RdCalibration * c, gsize index, gint32 * ids,
    GError ** error)
{
  return rd_corpus_sequence (c->corpus, c->options->seed, index,
      c->options->length, ids, NULL, error);
}

/* ---- checks before anything takes time ---- */

static gboolean
check_options (const RdCalibrateOptions * options, GError ** error)
{
  return rd_check_range ("lambda", options->lambda, 0, 1, error)
      && rd_check_number ("tokens of a sequence", options->length, MIN_LENGTH,
      RD_CALIBRATE_MAX_LENGTH, error)
      && rd_check_number ("sequences", options->sequences, MIN_SEQUENCES,
      MAX_SEQUENCES, error)
      && rd_check_number ("sequences with gradients",
      options->gradient_sequences, MIN_SEQUENCES, options->sequences, error)
      && rd_check_folder (options->output, error)
      && (options->checkpoint == NULL
      || rd_check_folder (options->checkpoint, error));
}

static gboolean
check_model (const RdCalibration * c, GError ** error)
{
  const StModelConfig *config = st_model_config (rd_states_model (c->states));

  return rd_check_number ("tokens of a sequence", c->options->length,
      MIN_LENGTH, config->context_length, error)
      && rd_check_number ("hidden size", config->hidden_size, 1,
      RD_LEARNED_MAX_HIDDEN, error);
}

static gboolean
open_text (RdCalibration * c, GError ** error)
{
  const RdCalibrateOptions *options = c->options;
  g_autofree gint32 *ids = NULL;

  c->corpus = rd_check_corpus (rd_states_model (c->states), options->texts,
      options->windows, options->n_windows, error);
  if (c->corpus == NULL)
    return FALSE;
  /* the last sequence tells whether there are enough */
  ids = g_new (gint32, options->length);
  return rd_calibration_ids (c, options->sequences - 1, ids, error);
}

/* ---- set-up ---- */

static const gchar *
side_info_text (const RdCalibrateOptions * options, gchar ** owned)
{
  if (options->side_info == RD_SIDE_INFO_NONE)
    return "none";
  if (options->side_info == RD_SIDE_INFO_EMBEDDING)
    return "embedding";
  *owned = g_strdup_printf ("blocks=%u", options->n_blocks);
  return *owned;
}

static gchar *
describe (const RdCalibration * c)
{
  const RdCalibrateOptions *options = c->options;
  g_autofree gchar *owned = NULL;

  return g_strdup_printf ("model %s, split %u, side-info %s, text %s, "
      "sequences %" G_GSIZE_FORMAT ", gradient-sequences %" G_GSIZE_FORMAT
      ", length %" G_GSIZE_FORMAT ", seed %" G_GUINT64_FORMAT,
      st_model_id (rd_states_model (c->states)), options->split_layer,
      side_info_text (options, &owned), rd_corpus_id (c->corpus),
      options->sequences, options->gradient_sequences, options->length,
      options->seed);
}

static gboolean
set_up (RdCalibration * c, GError ** error)
{
  const RdCalibrateOptions *options = c->options;
  const RdStatesOptions states = { options->split_layer, options->side_info,
    options->n_blocks, options->length, options->threads
  };
  RdStatisticsSize size = {.length = options->length,.sequences =
        options->sequences,.gradient_sequences =
        options->gradient_sequences,.features =
        options->side_info != RD_SIDE_INFO_NONE
  };

  if (!check_options (options, error))
    return FALSE;
  c->states = rd_states_new (options->model, &states, error);
  if (c->states == NULL || !check_model (c, error) || !open_text (c, error))
    return FALSE;
  size.hidden_size = st_model_config (rd_states_model (c->states))->hidden_size;
  c->checkpoint = options->checkpoint ? g_strdup (options->checkpoint) :
      g_strconcat (options->output, ".checkpoint", NULL);
  c->settings = describe (c);
  c->statistics = rd_statistics_new (&size, error);
  return c->statistics != NULL;
}

static void
clear (RdCalibration * c)
{
  rd_statistics_free (c->statistics);
  rd_states_free (c->states);
  g_clear_pointer (&c->corpus, rd_corpus_free);
  g_free (c->settings);
  g_free (c->checkpoint);
}

/* ---- texts of the file ---- */

/* The command that makes this file, without what the result does not depend on, and without the paths of one machine. */
static gchar *
make_command (const RdCalibration * c)
{
  const RdCalibrateOptions *options = c->options;
  g_autofree gchar *owned = NULL, *model = g_path_get_basename (options->model);
  GString *command = g_string_new ("rdtrain calibrate");

  g_string_append_printf (command, " --model %s --split %u", model,
      options->split_layer);
  for (const gchar * const *text = options->texts; *text != NULL; text++) {
    g_autofree gchar *name = g_path_get_basename (*text);

    g_string_append_printf (command, " --text %s", name);
  }
  g_string_append_printf (command, " --side-info %s --sequences %"
      G_GSIZE_FORMAT " --gradient-sequences %" G_GSIZE_FORMAT " --length %"
      G_GSIZE_FORMAT " --seed %" G_GUINT64_FORMAT " --lambda ",
      side_info_text (options, &owned), options->sequences,
      options->gradient_sequences, options->length, options->seed);
  rd_settings_append_number (command, options->lambda);
  return g_string_free (command, FALSE);
}

static void
set_provenance (const RdCalibration * c, RdLearnedParameters * p)
{
  const RdStatistics *s = c->statistics;

  p->provenance = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      g_free);
  g_hash_table_insert (p->provenance, g_strdup ("tool"),
      g_strdup (PACKAGE " " VERSION " rdtrain calibrate"));
  g_hash_table_insert (p->provenance, g_strdup ("command"), make_command (c));
  g_hash_table_insert (p->provenance, g_strdup ("text.id"),
      g_strdup (rd_corpus_id (c->corpus)));
  g_hash_table_insert (p->provenance, g_strdup ("text.domains"),
      rd_corpus_describe (c->corpus));
  if (c->options->sources != NULL)
    g_hash_table_insert (p->provenance, g_strdup ("text.sources"),
        g_strdup (c->options->sources));
  g_hash_table_insert (p->provenance, g_strdup ("tokens"),
      g_strdup_printf ("%" G_GSIZE_FORMAT " for moments, %" G_GSIZE_FORMAT
          " for gradients and tables", s->states[0].n + s->states[1].n,
          s->gradients.n));
}

static void
set_texts (const RdCalibration * c, RdLearnedParameters * p)
{
  StModel *model = rd_states_model (c->states);

  rd_learned_parameters_set_model_id (p, st_model_id (model));
  p->model_name = g_strdup (st_model_config (model)->name);
  p->name = g_strdup_printf ("codec for %s, split before block %u",
      p->model_name, p->split_layer);
  p->license = g_strdup ("Apache-2.0");
  set_provenance (c, p);
}

/* ---- the whole ---- */

/* The fit is short and begins anew. */
static RdLearnedParameters *
fit (const RdCalibration * c, GError ** error)
{
  g_autoptr (GError) problem = NULL;
  RdLearnedParameters *parameters = rd_calibration_fit (c, &problem);

  if (g_error_matches (problem, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED))
    g_set_error (error, RD_CALIBRATE_ERROR, RD_CALIBRATE_ERROR_INTERRUPTED,
        "interrupted while fitting; %s has what was found in the text, "
        "--resume goes on", c->checkpoint);
  else if (problem != NULL)
    g_propagate_error (error, g_steal_pointer (&problem));
  return parameters;
}

static gboolean
run (RdCalibration * c, GError ** error)
{
  g_autoptr (RdLearnedParameters) parameters = NULL;

  if (!set_up (c, error) || !rd_calibration_gather (c, error))
    return FALSE;
  parameters = fit (c, error);
  if (parameters == NULL)
    return FALSE;
  set_texts (c, parameters);
  if (!rd_learned_parameters_save (parameters, c->options->output, error))
    return FALSE;
  if (!c->options->keep_checkpoint)
    g_unlink (c->checkpoint);
  return TRUE;
}

gboolean
rd_calibrate (const RdCalibrateOptions * options, GError ** error)
{
  RdCalibration c = {.options = options };
  gboolean ok = run (&c, error);

  clear (&c);
  return ok;
}

G_DEFINE_QUARK (rd_calibrate_error_quark, rd_calibrate_error)
