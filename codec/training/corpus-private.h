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
