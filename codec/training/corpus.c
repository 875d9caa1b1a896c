/* Reads text files into domains of token ids. */
#include "codec/training/corpus-private.h"

#include <string.h>

#define SUFFIX ".txt"
#define FIRST_TOKEN "<|endoftext|>"
/* A GArray of 4-byte ids must be able to hold an id for each byte of a domain. */
#define MAX_DOMAIN_BYTES ((gsize) 1 << 29)

G_DEFINE_QUARK (rd - corpus - error - quark, rd_corpus_error)
     static void clear_file (gpointer data)
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

static gboolean
add_file (RdCorpusDomain * domain, StTokenizer * tokenizer, const gchar * path,
    GError ** error)
{
  RdCorpusFile file = { NULL, domain->ids->len };
  g_autofree gchar *text = NULL;
  g_autoptr (GError) problem = NULL;
  gsize len;

  if (!g_file_get_contents (path, &text, &len, error))
    return FALSE;
  if (len == 0) {
    g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT,
        "%s is empty: remove it or give another text", path);
    return FALSE;
  }
  if (len > MAX_DOMAIN_BYTES - file.first) {
    g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT,
        "%s: too much text for one domain: one has room for %" G_GSIZE_FORMAT
        " MiB; spread the files over several folders", path,
        MAX_DOMAIN_BYTES >> 20);
    return FALSE;
  }
  if (!st_tokenizer_encode (tokenizer, text, len, FALSE, domain->ids, &problem)) {
    g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT, "%s: %s", path,
        problem->message);
    return FALSE;
  }
  file.path = g_strdup (path);
  g_array_append_val (domain->files, file);
  return TRUE;
}

/* ---- folders ---- */

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
static gboolean
add_texts (RdCorpus * corpus, StTokenizer * tokenizer, const gchar * path,
    const GPtrArray * contents, GError ** error)
{
  RdCorpusDomain *domain = domain_new (path);

  for (guint i = 0; i < contents->len; i++) {
    const gchar *file = g_ptr_array_index (contents, i);

    if (g_str_has_suffix (file, SUFFIX)
        && !g_file_test (file, G_FILE_TEST_IS_DIR)
        && !add_file (domain, tokenizer, file, error)) {
      domain_free (domain);
      return FALSE;
    }
  }
  if (domain->files->len > 0)
    g_ptr_array_add (corpus->domains, domain);
  else
    domain_free (domain);
  return TRUE;
}

static gboolean
add_folder (RdCorpus * corpus, StTokenizer * tokenizer, const gchar * path,
    gboolean and_folders_in_it, GError ** error)
{
  g_autoptr (GPtrArray) contents = list_folder (path, error);

  if (contents == NULL || !add_texts (corpus, tokenizer, path, contents, error))
    return FALSE;
  for (guint i = 0; and_folders_in_it && i < contents->len; i++) {
    const gchar *inner = g_ptr_array_index (contents, i);

    if (g_file_test (inner, G_FILE_TEST_IS_DIR)
        && !add_folder (corpus, tokenizer, inner, FALSE, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
add_path (RdCorpus * corpus, StTokenizer * tokenizer, const gchar * path,
    GError ** error)
{
  guint before = corpus->domains->len;

  if (!g_file_test (path, G_FILE_TEST_IS_DIR)) {
    g_ptr_array_add (corpus->domains, domain_new (path));
    return add_file (g_ptr_array_index (corpus->domains, before), tokenizer,
        path, error);
  }
  if (!add_folder (corpus, tokenizer, path, TRUE, error))
    return FALSE;
  if (corpus->domains->len == before) {
    g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT,
        "%s: there is no file *%s in this folder or in the folders in it",
        path, SUFFIX);
    return FALSE;
  }
  return TRUE;
}

/* ---- the whole ---- */

static gboolean
find_first_id (RdCorpus * corpus, StTokenizer * tokenizer, GError ** error)
{
  corpus->first_id = st_tokenizer_find ((StTokenizer *) tokenizer, FIRST_TOKEN);
  if (corpus->first_id < 0)
    corpus->first_id = st_tokenizer_bos (tokenizer);
  if (corpus->first_id >= 0)
    return TRUE;
  g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TOKENIZER,
      "the model's vocabulary has neither %s nor a token for the beginning of "
      "a text", FIRST_TOKEN);
  return FALSE;
}

static gchar *
make_id (const RdCorpus * corpus, const StTokenizer * tokenizer)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);

  g_checksum_update (sum, (const guchar *) st_tokenizer_id (tokenizer), -1);
  for (guint d = 0; d < corpus->domains->len; d++) {
    const RdCorpusDomain *domain = rd_corpus_get_domain (corpus, d);

    g_checksum_update (sum, (const guchar *) domain->name,
        (gssize) strlen (domain->name) + 1);
    for (guint i = 0; i < domain->ids->len; i++) {
      gint32 id = GINT32_TO_LE (g_array_index (domain->ids, gint32, i));

      g_checksum_update (sum, (const guchar *) &id, sizeof (id));
    }
    g_checksum_update (sum, (const guchar *) "\xff\xff\xff\xff", 4);
  }
  return g_strdup (g_checksum_get_string (sum));
}

RdCorpus *
rd_corpus_new (StTokenizer * tokenizer, const gchar * const *paths,
    GError ** error)
{
  g_autoptr (RdCorpus) corpus = g_new0 (RdCorpus, 1);

  corpus->domains = g_ptr_array_new_with_free_func (domain_free);
  if (!find_first_id (corpus, tokenizer, error))
    return NULL;
  for (; *paths != NULL; paths++) {
    if (!add_path (corpus, tokenizer, *paths, error))
      return NULL;
  }
  if (corpus->domains->len == 0) {
    g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT,
        "no text: give files or folders with files *%s", SUFFIX);
    return NULL;
  }
  for (guint i = 0; i < corpus->domains->len; i++)
    corpus->n_tokens += rd_corpus_domain_tokens (corpus, i);
  corpus->id = make_id (corpus, tokenizer);
  return g_steal_pointer (&corpus);
}

void
rd_corpus_free (RdCorpus * corpus)
{
  g_ptr_array_unref (corpus->domains);
  g_free (corpus->id);
  g_free (corpus);
}

const gchar *
rd_corpus_id (const RdCorpus * corpus)
{
  return corpus->id;
}

gsize
rd_corpus_n_tokens (const RdCorpus * corpus)
{
  return corpus->n_tokens;
}

guint
rd_corpus_n_domains (const RdCorpus * corpus)
{
  return corpus->domains->len;
}

const gchar *
rd_corpus_domain_name (const RdCorpus * corpus, guint domain)
{
  return rd_corpus_get_domain (corpus, domain)->name;
}

gsize
rd_corpus_domain_tokens (const RdCorpus * corpus, guint domain)
{
  return rd_corpus_get_domain (corpus, domain)->ids->len;
}

gchar *
rd_corpus_describe (const RdCorpus * corpus)
{
  GString *list = g_string_new (NULL);

  for (guint i = 0; i < rd_corpus_n_domains (corpus); i++)
    g_string_append_printf (list, "%s%s (%" G_GSIZE_FORMAT " tokens)",
        i > 0 ? ", " : "", rd_corpus_domain_name (corpus, i),
        rd_corpus_domain_tokens (corpus, i));
  return g_string_free (list, FALSE);
}
