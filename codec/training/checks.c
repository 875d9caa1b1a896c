#include "codec/training/checks.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "codec/training/parameters.h"

gboolean
rd_check_number (const gchar * what, gsize value, gsize min, gsize max,
    GError ** error)
{
  if (value >= min && value <= max)
    return TRUE;
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "%s: %" G_GSIZE_FORMAT " is not in %" G_GSIZE_FORMAT "..%"
      G_GSIZE_FORMAT, what, value, min, max);
  return FALSE;
}

gboolean
rd_check_range (const gchar * what, double value, double min, double max,
    GError ** error)
{
  if (value >= min && value <= max)
    return TRUE;
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
      "%s: %g is not in %g..%g", what, value, min, max);
  return FALSE;
}

gboolean
rd_check_folder (const gchar * path, GError ** error)
{
  g_autofree gchar *folder = g_path_get_dirname (path);
  GStatBuf st;
  gint saved;

  if (g_stat (path, &st) == 0 && !S_ISREG (st.st_mode)) {
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_EXIST,
        "cannot write %s: exists and is not a regular file", path);
    return FALSE;
  }
  if (g_access (folder, W_OK | X_OK) == 0)
    return TRUE;
  saved = errno;
  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (saved),
      "cannot write to %s: %s", folder, g_strerror (saved));
  return FALSE;
}

/* ---- files that are given twice ---- */

static gboolean
is_same_inode (const GStatBuf * a, const GStatBuf * b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Of files that are not there yet. */
static gboolean
is_same_place (const gchar * a, const gchar * b)
{
  g_autofree gchar *name = g_path_get_basename (a);
  g_autofree gchar *other_name = g_path_get_basename (b);
  g_autofree gchar *folder = g_path_get_dirname (a);
  g_autofree gchar *other_folder = g_path_get_dirname (b);
  GStatBuf st, other;

  return strcmp (name, other_name) == 0 && g_stat (folder, &st) == 0
      && g_stat (other_folder, &other) == 0 && is_same_inode (&st, &other);
}

static gboolean
is_same_file (const gchar * a, const gchar * b)
{
  GStatBuf st, other;
  const gboolean there = g_stat (a, &st) == 0;

  if (there != (g_stat (b, &other) == 0))
    return FALSE;
  return there ? is_same_inode (&st, &other) : is_same_place (a, b);
}

static gboolean
check_pair (const RdOptionFiles * written, const RdOptionFiles * files,
    GError ** error)
{
  const gchar *const one[] = { files->path, NULL };
  const gchar *const *path = files->paths != NULL ? files->paths : one;

  for (; written->path != NULL && *path != NULL; path++) {
    if (!is_same_file (written->path, *path))
      continue;
    g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
        "%s and %s name the same file, %s, which would be overwritten",
        written->option, files->option, *path);
    return FALSE;
  }
  return TRUE;
}

gboolean
rd_check_files (const RdOptionFiles * files, gsize n, GError ** error)
{
  for (gsize i = 0; i < n; i++) {
    for (gsize j = 0; j < n && files[i].written; j++) {
      if (i != j && !check_pair (&files[i], &files[j], error))
        return FALSE;
    }
  }
  return TRUE;
}

/* ---- text ---- */

/* Windows of another vocabulary would overlap with nothing. */
gboolean
rd_check_windows (const RdIds * windows, gsize n_windows, guint vocab,
    GError ** error)
{
  for (gsize w = 0; w < n_windows; w++) {
    for (gsize i = 0; i < windows[w].n; i++) {
      const gint32 id = windows[w].ids[i];

      if (id >= 0 && (guint) id < vocab)
        continue;
      g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT,
          "window %" G_GSIZE_FORMAT " of the test set has the id %d, which the "
          "model's vocabulary of %u does not have: it is of another tokenizer",
          w, id, vocab);
      return FALSE;
    }
  }
  return TRUE;
}

RdCorpus *
rd_check_corpus (StModel * model, const gchar * const *texts,
    const RdIds * windows, gsize n_windows, GError ** error)
{
  StTokenizer *tokenizer = st_model_tokenizer (model);
  g_autoptr (RdCorpus) corpus = NULL;

  if (tokenizer == NULL) {
    g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TOKENIZER,
        "%s has no tokenizer: take the whole model",
        st_gguf_path (st_model_gguf (model)));
    return NULL;
  }
  corpus = rd_corpus_new (tokenizer, texts, error);
  if (corpus == NULL
      || !rd_check_windows (windows, n_windows,
          st_model_config (model)->vocab_size, error)
      || !rd_corpus_check_overlap (corpus, windows, n_windows, error))
    return NULL;
  return g_steal_pointer (&corpus);
}

void
rd_tell_va (RdTell tell, gpointer user_data, const gchar * format, va_list args)
{
  g_autofree gchar *line = NULL;

  if (tell == NULL)
    return;
  line = g_strdup_vprintf (format, args);
  tell (line, user_data);
}

/* Ids and lengths were checked before: what a model refuses in a step is not finite. */
static gboolean
is_diverged (const GError * problem)
{
  return g_error_matches (problem, RD_TRAINING_ERROR,
      RD_TRAINING_ERROR_DIVERGED)
      || g_error_matches (problem, ST_MODEL_ERROR, ST_MODEL_ERROR_INPUT);
}

void
rd_propagate_step_error (GError ** error, GError * problem,
    const gchar * checkpoint)
{
  const gboolean kept = g_file_test (checkpoint, G_FILE_TEST_EXISTS);
  const gboolean diverged = is_diverged (problem);

  g_set_error (error, diverged ? RD_TRAINING_ERROR : problem->domain,
      diverged ? RD_TRAINING_ERROR_DIVERGED : problem->code, "%s%s%s%s",
      problem->message, kept ? "; " : "", kept ? checkpoint : "",
      kept ? " stays as it is" : "");
  g_error_free (problem);
}
