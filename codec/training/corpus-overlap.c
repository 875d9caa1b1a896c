/* Finds test windows in the text: a rolling hash over every run of ids (Karp and Rabin 1987), compared id by id where it agrees. */
#include <string.h>

#include "codec/training/corpus-private.h"

#define FACTOR G_GUINT64_CONSTANT (0x9e3779b97f4a7c15)

typedef struct
{
  guint64 hash;
  gsize window, at;
} Run;

typedef struct
{
  const RdIds *windows;
  gsize n;                      /* ids a run */
  guint64 leaving;              /* FACTOR^n: weight of the id that leaves a run */
  GArray *runs;                 /* of Run, by hash */
} Runs;

static guint64
roll (const Runs * runs, guint64 hash, const gint32 * ids, gsize end)
{
  hash = hash * FACTOR + (guint32) ids[end] + 1;
  if (end >= runs->n)
    hash -= runs->leaving * ((guint64) (guint32) ids[end - runs->n] + 1);
  return hash;
}

static gint
compare_runs (gconstpointer a, gconstpointer b)
{
  guint64 x = ((const Run *) a)->hash, y = ((const Run *) b)->hash;

  return x < y ? -1 : x > y;
}

static void
collect_runs (Runs * runs, gsize n_windows)
{
  for (gsize w = 0; w < n_windows; w++) {
    const RdIds *window = &runs->windows[w];
    guint64 hash = 0;

    for (gsize end = 0; end < window->n; end++) {
      hash = roll (runs, hash, window->ids, end);
      if (end + 1 >= runs->n) {
        Run run = { hash, w, end + 1 - runs->n };

        g_array_append_val (runs->runs, run);
      }
    }
  }
  g_array_sort (runs->runs, compare_runs);
}

/* The first run with this hash or a larger one. */
static guint
find_hash (const Runs * runs, guint64 hash)
{
  guint low = 0, high = runs->runs->len;

  while (low < high) {
    guint middle = low + (high - low) / 2;

    if (g_array_index (runs->runs, Run, middle).hash < hash)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static const Run *
find_run (const Runs * runs, guint64 hash, const gint32 * ids)
{
  for (guint i = find_hash (runs, hash); i < runs->runs->len; i++) {
    const Run *run = &g_array_index (runs->runs, Run, i);

    if (run->hash != hash)
      break;
    if (memcmp (runs->windows[run->window].ids + run->at, ids,
            runs->n * sizeof (gint32)) == 0)
      return run;
  }
  return NULL;
}

static void
describe (const RdCorpusDomain * domain, gsize at, const Run * run,
    RdOverlap * overlap)
{
  const RdCorpusFile *file = &g_array_index (domain->files, RdCorpusFile, 0);

  for (guint i = 1; i < domain->files->len; i++) {
    const RdCorpusFile *next = &g_array_index (domain->files, RdCorpusFile, i);

    if (next->first <= at)
      file = next;
  }
  overlap->window = run->window;
  overlap->window_at = run->at;
  overlap->file = file->path;
  overlap->file_at = at - file->first;
}

static gboolean
search_domain (const RdCorpusDomain * domain, const Runs * runs,
    RdOverlap * overlap)
{
  const gint32 *ids = (const gint32 *) domain->ids->data;
  guint64 hash = 0;

  for (gsize end = 0; end < domain->ids->len; end++) {
    gsize at = end + 1 - runs->n;
    const Run *run;

    hash = roll (runs, hash, ids, end);
    if (end + 1 < runs->n)
      continue;
    run = find_run (runs, hash, ids + at);
    if (run != NULL) {
      if (overlap != NULL)
        describe (domain, at, run, overlap);
      return TRUE;
    }
  }
  return FALSE;
}

gboolean
rd_corpus_find_overlap (const RdCorpus * corpus, const RdIds * windows,
    gsize n_windows, gsize run, RdOverlap * overlap)
{
  g_autoptr (GArray) array = g_array_new (FALSE, FALSE, sizeof (Run));
  Runs runs = { windows, run, 1, array };
  gboolean found = FALSE;

  g_return_val_if_fail (run >= 1, FALSE);
  for (gsize i = 0; i < run; i++)
    runs.leaving *= FACTOR;
  collect_runs (&runs, n_windows);
  for (guint d = 0; !found && array->len && d < corpus->domains->len; d++)
    found = search_domain (rd_corpus_get_domain (corpus, d), &runs, overlap);
  return found;
}

gboolean
rd_corpus_check_overlap (const RdCorpus * corpus, const RdIds * windows,
    gsize n_windows, GError ** error)
{
  RdOverlap overlap;

  if (!rd_corpus_find_overlap (corpus, windows, n_windows, RD_CORPUS_OVERLAP,
          &overlap))
    return TRUE;
  g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_TEXT,
      "%s: from token %" G_GSIZE_FORMAT " on it has %d tokens of the test set "
      "(window %" G_GSIZE_FORMAT ", from %" G_GSIZE_FORMAT " on): what is "
      "measured on that would be worth nothing. Leave the file's chapter out",
      overlap.file, overlap.file_at, RD_CORPUS_OVERLAP, overlap.window,
      overlap.window_at);
  return FALSE;
}
