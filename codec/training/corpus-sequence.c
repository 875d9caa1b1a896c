/* Cuts domains into sequences and puts these into an order. Nothing is stored: number and seed give the place. */
#include <string.h>

#include "codec/training/corpus-private.h"

static gsize
count_in (const RdCorpusDomain * domain, gsize length)
{
  return domain->ids->len / (length - 1);
}

/* Sequences in the first @rounds rounds, in each of which every domain that is not used up gives one. */
static gsize
count_rounds (const RdCorpus * corpus, gsize length, gsize rounds)
{
  gsize n = 0;

  for (guint d = 0; d < corpus->domains->len; d++)
    n += MIN (rounds, count_in (rd_corpus_get_domain (corpus, d), length));
  return n;
}

gsize
rd_corpus_n_sequences (const RdCorpus * corpus, gsize length)
{
  g_return_val_if_fail (length >= 2, 0);
  return count_rounds (corpus, length, G_MAXSIZE);
}

/* The round of sequence @index: the last one that begins at or before it. */
static gsize
find_round (const RdCorpus * corpus, gsize length, gsize index)
{
  gsize low = 0, high = index + 1;

  while (high - low > 1) {
    gsize middle = low + (high - low) / 2;

    if (count_rounds (corpus, length, middle) <= index)
      low = middle;
    else
      high = middle;
  }
  return low;
}

/* SplitMix64 (Steele, Lea and Flood 2014). */
static guint64
mix (guint64 x)
{
  x += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return x ^ (x >> 31);
}

static guint64
common_divisor (guint64 a, guint64 b)
{
  while (b != 0) {
    guint64 rest = a % b;

    a = b;
    b = rest;
  }
  return a;
}

/* A step that visits all of @n places once, each far from those before it: the golden section of @n, or the next that has no
 * divisor in common with it. */
static guint64
find_step (guint64 n)
{
  guint64 step = MAX (1, n * 618 / 1000);

  while (common_divisor (step, n) != 1)
    step++;
  return step;
}

/* First id of a domain's pick number @number. The seed turns the order and moves the cuts within the ids that are left over. */
static gsize
find_place (const RdCorpusDomain * domain, guint64 seed, guint number,
    gsize pick, gsize length)
{
  guint64 n = count_in (domain, length);
  guint64 spare = domain->ids->len - n * (length - 1);
  guint64 random = mix (mix (seed) + number);
  guint64 place = (find_step (n) * pick + random % n) % n;

  return place * (length - 1) + mix (random) % (spare + 1);
}

gboolean
rd_corpus_sequence (const RdCorpus * corpus, guint64 seed, gsize index,
    gsize length, gint32 * ids, guint * domain, GError ** error)
{
  gsize n = rd_corpus_n_sequences (corpus, length);
  gsize round, rest;

  g_return_val_if_fail (length >= 2, FALSE);
  if (index >= n) {
    g_set_error (error, RD_CORPUS_ERROR, RD_CORPUS_ERROR_SHORT,
        "the text is too short: its %" G_GSIZE_FORMAT " tokens in %u domains "
        "make %" G_GSIZE_FORMAT " sequences of %" G_GSIZE_FORMAT ", and %"
        G_GSIZE_FORMAT " are needed (at least %" G_GSIZE_FORMAT " tokens): "
        "give more text", corpus->n_tokens, corpus->domains->len, n, length,
        index + 1, (index + 1) * (length - 1));
    return FALSE;
  }
  round = find_round (corpus, length, index);
  rest = index - count_rounds (corpus, length, round);
  for (guint d = 0; d < corpus->domains->len; d++) {
    const RdCorpusDomain *from = rd_corpus_get_domain (corpus, d);

    if (count_in (from, length) <= round || rest-- > 0)
      continue;
    ids[0] = corpus->first_id;
    memcpy (ids + 1, &g_array_index (from->ids, gint32, find_place (from, seed,
                d, round, length)), (length - 1) * sizeof (gint32));
    if (domain != NULL)
      *domain = d;
    return TRUE;
  }
  g_return_val_if_reached (FALSE);
}
