/* Which files a text is made of, and what is in them. */
#include "codec/training/corpus-private.h"

#include <string.h>

#define SUFFIX ".txt"

static void
clear_file (gpointer data)
{
  g_free (((RdCorpusFile *) data)->path);
}

static RdCorpusDomain *
domain_new (const gchar * path)
{
  RdCorpusDomain *domain = g_new0 (RdCorpusDomain, 1);

  domain->name = g_path_get_basename (path);
  domain->ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  domain->files = g_array_new (FALSE, FALSE, sizeof (RdCorpusFile));
  g_array_set_clear_func (domain->files, clear_file);
  return domain;
}

static void
domain_free (gpointer data)
{
  RdCorpusDomain *domain = data;

  g_free (domain->name);
  g_array_unref (domain->ids);
  g_array_unref (domain->files);
  g_free (domain);
}

static void
add_file (RdCorpusDomain * domain, const gchar * path)
{
  RdCorpusFile file = { g_strdup (path), 0 };

  g_array_append_val (domain->files, file);
}

gchar *
rd_corpus_read_file (const gchar * path, gsize * len, GError ** error)
{
  g_autofree gchar *text = NULL;

  if (!g_file_get_contents (path, &text, len, error))
    return NULL;
  if (*len == 0) {
    g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT,
        "%s is empty: remove it or give another text", path);
    return NULL;
  }
  return g_steal_pointer (&text);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const gchar * const *) a, *(const gchar * const *) b);
}

/* Paths of what is in the folder, by name, without what is hidden. */
static GPtrArray *
list_folder (const gchar * path, GError ** error)
{
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  GDir *dir = g_dir_open (path, 0, error);
  const gchar *name;

  if (dir == NULL)
    return NULL;
  while ((name = g_dir_read_name (dir)) != NULL) {
    if (*name != '.')
      g_ptr_array_add (paths, g_build_filename (path, name, NULL));
  }
  g_dir_close (dir);
  g_ptr_array_sort (paths, compare_names);
  return g_steal_pointer (&paths);
}

/* The files of the folder itself as a domain, unless there are none. */
static void
add_texts (GPtrArray * domains, const gchar * path, const GPtrArray * contents)
{
  RdCorpusDomain *domain = domain_new (path);

  for (guint i = 0; i < contents->len; i++) {
    const gchar *file = g_ptr_array_index (contents, i);

    if (g_str_has_suffix (file, SUFFIX)
        && !g_file_test (file, G_FILE_TEST_IS_DIR))
      add_file (domain, file);
  }
  if (domain->files->len > 0)
    g_ptr_array_add (domains, domain);
  else
    domain_free (domain);
}

static gboolean
add_folder (GPtrArray * domains, const gchar * path,
    gboolean and_folders_in_it, GError ** error)
{
  g_autoptr (GPtrArray) contents = list_folder (path, error);

  if (contents == NULL)
    return FALSE;
  add_texts (domains, path, contents);
  for (guint i = 0; and_folders_in_it && i < contents->len; i++) {
    const gchar *inner = g_ptr_array_index (contents, i);

    if (g_file_test (inner, G_FILE_TEST_IS_DIR)
        && !add_folder (domains, inner, FALSE, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
add_path (GPtrArray * domains, const gchar * path, GError ** error)
{
  const guint before = domains->len;

  if (!g_file_test (path, G_FILE_TEST_IS_DIR)) {
    g_ptr_array_add (domains, domain_new (path));
    add_file (g_ptr_array_index (domains, before), path);
    return TRUE;
  }
  if (!add_folder (domains, path, TRUE, error))
    return FALSE;
  if (domains->len == before) {
    g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT,
        "%s: there is no file *%s in this folder or in the folders in it",
        path, SUFFIX);
    return FALSE;
  }
  return TRUE;
}

GPtrArray *
rd_corpus_list (const gchar * const *paths, GError ** error)
{
  g_autoptr (GPtrArray) domains = g_ptr_array_new_with_free_func (domain_free);

  for (; *paths != NULL; paths++) {
    if (!add_path (domains, *paths, error))
      return NULL;
  }
  if (domains->len == 0) {
    g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT,
        "no text: give files or folders with files *%s", SUFFIX);
    return NULL;
  }
  return g_steal_pointer (&domains);
}
