/* Reads text files into domains of token ids. */
#include "codec/training/corpus-private.h"

#include <string.h>

#define FIRST_TOKEN "<|endoftext|>"
/* A GArray of 4-byte ids must be able to hold an id for each byte of a domain. */
#define MAX_DOMAIN_BYTES ((gsize) 1 << 29)

G_DEFINE_QUARK (rd - corpus - error - quark, rd_corpus_error)
     static gboolean
         read_file (RdCorpusDomain * domain, RdCorpusFile * file,
    StTokenizer * tokenizer, GError ** error)
{
  g_autofree gchar *text = NULL;
  g_autoptr (GError) problem = NULL;
  gsize len;

  file->first = domain->ids->len;
  text = rd_corpus_read_file (file->path, &len, error);
  if (text == NULL)
    return FALSE;
  if (len > MAX_DOMAIN_BYTES - file->first) {
    g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT,
        "%s: too much text for one domain: one has room for %" G_GSIZE_FORMAT
        " MiB; spread the files over several folders", file->path,
        MAX_DOMAIN_BYTES >> 20);
    return FALSE;
  }
  if (!st_tokenizer_encode (tokenizer, text, len, FALSE, domain->ids, &problem)) {
    g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT, "%s: %s",
        file->path, problem->message);
    return FALSE;
  }
  return TRUE;
}

static gboolean
read_domains (RdCorpus * corpus, StTokenizer * tokenizer, GError ** error)
{
  for (guint d = 0; d < corpus->domains->len; d++) {
    RdCorpusDomain *domain = g_ptr_array_index (corpus->domains, d);

    for (guint i = 0; i < domain->files->len; i++) {
      if (!read_file (domain, &g_array_index (domain->files, RdCorpusFile, i),
              tokenizer, error))
        return FALSE;
    }
  }
  return TRUE;
}

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

  if (!find_first_id (corpus, tokenizer, error))
    return NULL;
  corpus->domains = rd_corpus_list (paths, error);
  if (corpus->domains == NULL || !read_domains (corpus, tokenizer, error))
    return NULL;
  for (guint i = 0; i < corpus->domains->len; i++)
    corpus->n_tokens += rd_corpus_domain_tokens (corpus, i);
  corpus->id = make_id (corpus, tokenizer);
  return g_steal_pointer (&corpus);
}

void
rd_corpus_free (RdCorpus * corpus)
{
  g_clear_pointer (&corpus->domains, g_ptr_array_unref);
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
