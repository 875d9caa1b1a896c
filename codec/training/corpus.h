/* Text for calibration and training: files to sequences of token ids, evenly from several domains. */
#pragma once
#include <glib.h>
#include "models/tokenizer/tokenizer.h"

G_BEGIN_DECLS

#define RD_CORPUS_ERROR (rd_corpus_error_quark ())
GQuark rd_corpus_error_quark (void);
typedef enum
{
  RD_CORPUS_ERROR_TEXT,         /* nothing in a file or folder, not UTF-8, more than fits, a test window in it or of another vocabulary */
  RD_CORPUS_ERROR_TOKENIZER,    /* none, or no token to begin a sequence with */
  RD_CORPUS_ERROR_SHORT,        /* fewer sequences than were asked for */
} RdCorpusError;

/** RdCorpus: token ids of some text. Immutable: any number of threads may use one at once. */
typedef struct _RdCorpus RdCorpus;

/** rd_corpus_new: reads and tokenises @paths (NULL-terminated). A file is a domain; so is a folder, with its files *.txt, and every folder in
 * it that has such files, but none deeper. The files of a domain follow one another by name. Names of special tokens in the text are text.
 * Errors: RD_CORPUS_ERROR, with file and byte offset where text is not UTF-8; G_FILE_ERROR. */
RdCorpus *rd_corpus_new (StTokenizer * tokenizer, const gchar * const *paths, GError ** error);
void rd_corpus_free (RdCorpus * corpus);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdCorpus, rd_corpus_free)

/** Lower-case hex SHA-256 over tokenizer, domain names and ids, 64 characters: the same text in the same order has the same. */
const gchar *rd_corpus_id (const RdCorpus * corpus);
gsize rd_corpus_n_tokens (const RdCorpus * corpus);
guint rd_corpus_n_domains (const RdCorpus * corpus);
/** The base name of a domain's file or folder. @domain < rd_corpus_n_domains(). */
const gchar *rd_corpus_domain_name (const RdCorpus * corpus, guint domain);
gsize rd_corpus_domain_tokens (const RdCorpus * corpus, guint domain);
/** rd_corpus_describe: "novels (655523 tokens), manuals (12000 tokens)"; freed by the caller. */
gchar *rd_corpus_describe (const RdCorpus * corpus);

/** rd_corpus_n_sequences: how many sequences of @length ids there are; no id of the text is in two of them. @length >= 2. */
gsize rd_corpus_n_sequences (const RdCorpus * corpus, gsize length);
/** rd_corpus_sequence: sequence number @index of the order that @seed gives: <|endoftext|> (else the tokenizer's bos), then @length - 1
 * consecutive ids of one domain. The domains take turns as long as they last, and any first part of the order is spread evenly over each.
 * @ids: @length ids. @domain (may be NULL): the domain's number. Error RD_CORPUS_ERROR_SHORT if there are not so many. */
gboolean rd_corpus_sequence (const RdCorpus * corpus, guint64 seed, gsize index, gsize length, gint32 * ids, guint * domain,
    GError ** error);

/** RdIds: a window of a test set; not owned. */
typedef struct
{
  const gint32 *ids;
  gsize n;
} RdIds;

/** RdOverlap: where a window and the text have the same ids. */
typedef struct
{
  gsize window, window_at;      /* number of the window, first common id in it */
  const gchar *file;            /* owned by the corpus */
  gsize file_at;                /* first common id in the file */
} RdOverlap;

/** Consecutive ids that text and test windows may not have in common. */
#define RD_CORPUS_OVERLAP 24

/** rd_corpus_find_overlap: whether @run consecutive ids of any of the @n_windows stand anywhere in the text; @overlap (may be NULL): the first
 * such place in the text. Windows shorter than @run match nothing. @run >= 1. Nothing may be calibrated or trained with text for which this
 * is TRUE with RD_CORPUS_OVERLAP ids and the windows that results are reported on. */
gboolean rd_corpus_find_overlap (const RdCorpus * corpus, const RdIds * windows, gsize n_windows, gsize run, RdOverlap * overlap);

/** rd_corpus_check_overlap: FALSE, with RD_CORPUS_ERROR_TEXT that names file and window, if RD_CORPUS_OVERLAP ids of a window are in the text. */
gboolean rd_corpus_check_overlap (const RdCorpus * corpus, const RdIds * windows, gsize n_windows, GError ** error);

/** rd_sequence_seed: one for what is random in sequence @index of a run with @seed: multiples of the golden section. */
static inline guint64
rd_sequence_seed (guint64 seed, guint64 index)
{
  return seed ^ ((index + 1) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15));
}

G_END_DECLS
