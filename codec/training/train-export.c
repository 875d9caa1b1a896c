#include "codec/training/train-export.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "codec/training/adapters-export.h"
#include "codec/training/adapters-reduce.h"
#include "codec/training/checks.h"
#include "codec/training/refit.h"
#include "codec/training/train-private.h"
#include "codec/training/weights-file.h"

/* Of the adapters' gate where networks' ranges are found. */
#define RANGE_LEVEL 48

/* ---- states as the codec will see them ---- */

/* @user_data: RdTraining. */
static gboolean
states_of (gsize index, guint level, float *x, float *features,
    gpointer user_data, GError ** error)
{
  RdTraining *t = user_data;
  const RdTrainOptions *options = t->options;

  return rd_corpus_sequence (t->corpus, options->seed,
      options->held_out + index, options->length + 1, t->ids, NULL, error)
      && rd_states_run (t->states, t->ids, options->length, x, features,
      options->cancel, error)
      && (!t->head || rd_joint_head (t->joint, t->ids, options->length,
          (float) level, x, options->cancel, error));
}

static gboolean
refit (RdTraining * t, const RdTrainExport * to, RdLearnedParameters * p,
    GError ** error)
{
  const RdRefitData data = { to->sequences, t->options->length, states_of, t,
    t->options->threads, t->options->cancel
  };

  rd_training_tell (t, "fitting tables to %" G_GSIZE_FORMAT " sequences of %"
      G_GSIZE_FORMAT " tokens", to->sequences, t->options->length);
  return rd_refit (&data, p, error);
}

/* Networks' ranges are those that they have on the first sequence. */
static gboolean
export_codec (RdTraining * t, const RdTrainExport * to,
    RdLearnedParameters * p, GError ** error)
{
  const RdTrainOptions *options = t->options;
  const RdTrainableJob job = {.n = options->length,.x = t->x,.features =
        options->set == 1 ? t->features : NULL,.frame = options->frame
  };

  return states_of (0, RANGE_LEVEL, t->x, t->features, t, error)
      && to->codec_export (t->codec, &job, p, error);
}

/* ---- the trained model ---- */

static gchar *
describe_tokens (const RdTraining * t)
{
  const RdTrainOptions *options = t->options;

  return g_strdup_printf ("%" G_GUINT64_FORMAT " for training (%"
      G_GUINT64_FORMAT " steps)", t->adamw->steps * options->batch *
      options->length, t->adamw->steps);
}

static gboolean
save_model (const RdTraining * t, const RdTrainExport * to,
    const gchar * path, GError ** error)
{
  const StModel *original = rd_states_model (t->states);
  const gchar *own = st_model_config (original)->name;
  g_autofree gchar *name = g_strdup_printf ("%s, trained with its codec", own);
  g_autofree gchar *tokens = describe_tokens (t);
  static const gchar tool[] = PACKAGE " " VERSION " rdtrain export";
  const gchar *notes[] = {
    "general.name", name, "rdtraining.joint.tool", tool,
    "rdtraining.joint.original", own,
    "rdtraining.joint.original.id", st_model_id (original),
    "rdtraining.joint.settings", t->settings,
    "rdtraining.joint.tokens", tokens,
    "rdtraining.joint.text.sources", to->sources ? to->sources : "", NULL
  };

  return rd_weights_save (t->weights, to->type, notes, path, error);
}

/* Writes the model to @path, and goes on with what its type left of the weights: the codec is for the model of the file. */
static gboolean
export_model (RdTraining * t, const RdTrainExport * to, const gchar * path,
    RdLearnedParameters * p, GError ** error)
{
  const StModelOptions range = {.last_block = -1,.embed = TRUE,.output =
        TRUE,.threads = 1
  };
  g_autoptr (StModel) model = NULL;

  if (!save_model (t, to, path, error))
    return FALSE;
  model = st_model_open (path, &range, error);
  if (model == NULL || !rd_weights_reload (t->weights, model, error))
    return FALSE;
  rd_learned_parameters_set_model_id (p, st_model_id (model));
  g_free (p->model_name);
  p->model_name = g_strdup (st_model_config (model)->name);
  return TRUE;
}

/* ---- what the file says ---- */

static guint
rank_of (const RdTraining * t, const RdTrainExport * to)
{
  return to->rank > 0 ? to->rank : t->adapters->rank;
}

static void
set_adapters (const RdTraining * t, const RdTrainExport * to,
    RdLearnedParameters * p)
{
  g_clear_pointer (&p->adapters, rd_learned_adapters_free);
  if (t->adapters == NULL)
    return;
  p->adapters = rd_adapters_export (t->adapters, rank_of (t, to), p->n_knots);
  memcpy (p->adapters->gates, rd_joint_gates (t->joint),
      p->n_knots * sizeof (float));
}

static void
add_text (RdLearnedParameters * p, const gchar * key, gchar * text)
{
  g_hash_table_insert (p->provenance, g_strdup (key), text);
}

static void
set_texts (const RdTraining * t, const RdTrainExport * to,
    RdLearnedParameters * p)
{
  const RdTrainOptions *options = t->options;
  g_autofree gchar *trained = describe_tokens (t);

  p->id[0] = '\0';
  g_free (p->name);
  p->name = g_strdup_printf ("codec for %s, split before block %u%s%s",
      p->model_name, p->split_layer, options->full_weights ? "" : ", trained",
      t->adapters != NULL ? " with adapters of the model" : "");
  g_clear_pointer (&p->provenance, g_hash_table_unref);
  p->provenance = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      g_free);
  add_text (p, "tool", g_strdup (PACKAGE " " VERSION " rdtrain export"));
  add_text (p, "training", g_strdup (t->settings));
  add_text (p, "start", g_strdup (t->start->name));
  add_text (p, "text.id", g_strdup (rd_corpus_id (t->corpus)));
  add_text (p, "text.domains", rd_corpus_describe (t->corpus));
  if (t->adapters != NULL)
    add_text (p, "adapters", g_strdup_printf ("rank %u of %u",
            rank_of (t, to), t->adapters->rank));
  if (to->sources != NULL)
    add_text (p, "text.sources", g_strdup (to->sources));
  add_text (p, "tokens", g_strdup_printf ("%s, %" G_GSIZE_FORMAT
          " for tables", trained, to->sequences * options->length));
}

/* ---- where the files are until both are whole ---- */

typedef struct
{
  gchar *codec, *model;         /* NULL: none yet */
} Files;

/* An empty file beside @path. */
static gchar *
make_temporary (const gchar * path, GError ** error)
{
  g_autofree gchar *name = g_strconcat (path, ".XXXXXX", NULL);
  const int fd = g_mkstemp_full (name, O_WRONLY | O_CLOEXEC, 0666);
  const gint saved = errno;

  if (fd >= 0) {
    close (fd);
    return g_steal_pointer (&name);
  }
  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (saved),
      "cannot create a file beside %s: %s", path, g_strerror (saved));
  return NULL;
}

static gboolean
files_make (Files * files, const RdTrainExport * to, GError ** error)
{
  files->codec = make_temporary (to->output, error);
  if (files->codec != NULL && to->model_output != NULL)
    files->model = make_temporary (to->model_output, error);
  return files->codec != NULL
      && (files->model != NULL || to->model_output == NULL);
}

static gboolean
put_in_place (const gchar * from, const gchar * path, GError ** error)
{
  gint saved;

  if (g_rename (from, path) == 0)
    return TRUE;
  saved = errno;
  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (saved),
      "cannot write %s: %s", path, g_strerror (saved));
  return FALSE;
}

static gboolean
files_put_in_place (const Files * files, const RdTrainExport * to,
    GError ** error)
{
  return (files->model == NULL
      || put_in_place (files->model, to->model_output, error))
      && put_in_place (files->codec, to->output, error);
}

static void
files_clear (Files * files)
{
  if (files->codec != NULL)
    g_unlink (files->codec);
  if (files->model != NULL)
    g_unlink (files->model);
  g_free (files->codec);
  g_free (files->model);
}

/* ---- the whole ---- */

static gboolean
check_model_output (const RdTraining * t, const RdTrainExport * to,
    GError ** error)
{
  const gboolean full = t->options->full_weights;

  if (full == (to->model_output != NULL) && !(full && to->rank > 0))
    return !full || rd_check_folder (to->model_output, error);
  g_set_error_literal (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      !full ? "the model's weights were not trained: there is no model to write"
      : to->model_output == NULL ? "all weights of the model were trained: it "
      "needs a file, too (--output-model)" :
      "weights were trained, not adapters, which could have a lower rank");
  return FALSE;
}

static gboolean
check_export (const RdTraining * t, const RdTrainExport * to, GError ** error)
{
  return check_model_output (t, to, error)
      && rd_check_folder (to->output, error)
      && rd_check_number ("sequences for tables", to->sequences,
      RD_TRAIN_EXPORT_MIN_SEQUENCES, t->n_sequences, error);
}

static gboolean
run (RdTraining * t, const RdTrainOptions * options, const RdTrainExport * to,
    Files * files, GError ** error)
{
  g_autoptr (RdLearnedParameters) p = NULL;

  if (!rd_training_open (t, options, error) || !check_export (t, to, error)
      || !rd_training_load (t, error) || !files_make (files, to, error))
    return FALSE;
  /* before anything runs with them: tables are fitted to what the file's adapters give */
  if (t->adapters != NULL && to->rank > 0
      && !rd_adapters_reduce (t->adapters, to->rank, error))
    return FALSE;
  p = rd_learned_parameters_copy (t->start);
  if ((files->model != NULL && !export_model (t, to, files->model, p, error))
      || !export_codec (t, to, p, error))
    return FALSE;
  set_adapters (t, to, p);
  set_texts (t, to, p);
  return refit (t, to, p, error)
      && rd_learned_parameters_save (p, files->codec, error)
      && files_put_in_place (files, to, error);
}

gboolean
rd_train_export (const RdTrainOptions * options, const RdTrainExport * to,
    GError ** error)
{
  RdTraining t;
  Files files = { NULL, NULL };
  const gboolean ok = run (&t, options, to, &files, error);

  files_clear (&files);
  rd_training_clear (&t);
  return ok;
}
