/* What a corpus is made of. */
#pragma once
#include "codec/training/corpus.h"

typedef struct
{
  gchar *path;
  gsize first;                  /* its first id in the domain's */
} RdCorpusFile;

typedef struct
{
  gchar *name;
  GArray *ids;                  /* of gint32 */
  GArray *files;                /* of RdCorpusFile */
} RdCorpusDomain;

/** rd_corpus_list: domains (RdCorpusDomain) of @paths as rd_corpus_new() describes them, without ids: no file is read. */
GPtrArray *rd_corpus_list (const gchar * const *paths, GError ** error);
/** rd_corpus_read_file: the file's text, which is not empty. */
gchar *rd_corpus_read_file (const gchar * path, gsize * len, GError ** error);

struct _RdCorpus
{
  GPtrArray *domains;           /* of RdCorpusDomain */
  gint32 first_id;
  gsize n_tokens;
  gchar *id;
};

static inline const RdCorpusDomain *
rd_corpus_get_domain (const RdCorpus * corpus, guint domain)
{
  return g_ptr_array_index (corpus->domains, domain);
}
