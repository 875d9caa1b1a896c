#include "codec/training/checks.h"

#include <errno.h>
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
  gint saved;

  if (g_access (folder, W_OK | X_OK) == 0)
    return TRUE;
  saved = errno;
  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (saved),
      "cannot write to %s: %s", folder, g_strerror (saved));
  return FALSE;
}

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
