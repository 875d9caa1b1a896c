/* Causal grouped-query attention (Ainslie et al. 2023), forward and backward. Scores are made for a few query positions of a head at a
 * time and never kept: the backward pass computes them again. */
#include "codec/training/ops.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "models/kernels/kernels.h"

/* Query positions [first, first + rows) of one head, which see the keys below @end. */
typedef struct
{
  const RdAttention *a;
  gsize queries, keys;          /* widths Q and K */
  gsize q_offset, kv_offset;    /* of the head in a row of queries, and of keys or values */
  gsize first, rows, end;
  float scale;
} Part;

static Part
make_part (const RdAttention * a, gsize head, gsize first)
{
  const gsize rows = MIN (RD_ATTENTION_ROWS, a->t - first);

  return (Part) {
  .a = a,.queries = a->n_heads * a->head_dim,.keys =
        a->n_kv_heads * a->head_dim,.q_offset =
        head * a->head_dim,.kv_offset =
        head / (a->n_heads / a->n_kv_heads) * a->head_dim,.first =
        first,.rows = rows,.end = first + rows,.scale =
        (float) (1.0 / sqrt ((double) a->head_dim)),};
}

/* Where the part's head starts: in an array of queries (or outputs), and in one of keys or values from position 0 on. */
static gsize
query_at (const Part * p)
{
  return p->first * p->queries + p->q_offset;
}

/* out (rows, end) = factor * queries (rows, head_dim) keys^T (end, head_dim). */
static void
times_keys (const Part * p, float factor, const float *queries,
    const float *keys, float *out)
{
  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasTrans, (blasint) p->rows,
      (blasint) p->end, (blasint) p->a->head_dim, factor,
      queries + query_at (p), (blasint) p->queries, keys + p->kv_offset,
      (blasint) p->keys, 0.0f, out, (blasint) p->end);
}

/* out (rows, head_dim) = factor * scores (rows, end) keys (end, head_dim). */
static void
gather (const Part * p, float factor, const float *scores, const float *keys,
    float *out)
{
  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint) p->rows,
      (blasint) p->a->head_dim, (blasint) p->end, factor, scores,
      (blasint) p->end, keys + p->kv_offset, (blasint) p->keys, 0.0f,
      out + query_at (p), (blasint) p->queries);
}

/* out (end, head_dim) += factor * scores^T (end, rows) queries (rows, head_dim). */
static void
scatter (const Part * p, float factor, const float *scores,
    const float *queries, float *out)
{
  cblas_sgemm (CblasRowMajor, CblasTrans, CblasNoTrans, (blasint) p->end,
      (blasint) p->a->head_dim, (blasint) p->rows, factor, scores,
      (blasint) p->end, queries + query_at (p), (blasint) p->queries, 1.0f,
      out + p->kv_offset, (blasint) p->keys);
}

/* scores (rows, end) = probabilities; 0 where the key comes after the query. */
static void
probabilities (const Part * p)
{
  times_keys (p, p->scale, p->a->q, p->a->k, p->a->scores);
  for (gsize i = 0; i < p->rows; i++) {
    const gsize seen = p->first + i + 1;
    float *row = p->a->scores + i * p->end;

    st_softmax (row, seen);
    memset (row + seen, 0, (p->end - seen) * sizeof (float));
  }
}

void
rd_attention (const RdAttention * attention, float *out)
{
  for (gsize head = 0; head < attention->n_heads; head++) {
    for (gsize first = 0; first < attention->t; first += RD_ATTENTION_ROWS) {
      const Part part = make_part (attention, head, first);

      probabilities (&part);
      gather (&part, 1.0f, attention->scores, attention->v, out);
    }
  }
}

/* d_scores: in by the probabilities, out by the scores before the softmax: p * (d - sum (p * d)). */
static void
softmax_backward (const Part * p)
{
  for (gsize i = 0; i < p->rows; i++) {
    const float *row = p->a->scores + i * p->end;
    float *d = p->a->d_scores + i * p->end;
    const float mean = cblas_sdot ((blasint) (p->first + i + 1), row, 1, d, 1);

    for (gsize j = 0; j < p->end; j++)
      d[j] = row[j] * (d[j] - mean);
  }
}

void
rd_attention_backward (const RdAttention * attention, const float *d_out,
    float *d_q, float *d_k, float *d_v)
{
  const gsize size =
      attention->t * attention->n_kv_heads * attention->head_dim *
      sizeof (float);

  memset (d_k, 0, size);
  memset (d_v, 0, size);
  for (gsize head = 0; head < attention->n_heads; head++) {
    for (gsize first = 0; first < attention->t; first += RD_ATTENTION_ROWS) {
      const Part part = make_part (attention, head, first);

      probabilities (&part);
      scatter (&part, 1.0f, attention->scores, d_out, d_v);
      times_keys (&part, 1.0f, d_out, attention->v, attention->d_scores);
      softmax_backward (&part);
      gather (&part, part.scale, attention->d_scores, attention->k, d_q);
      scatter (&part, part.scale, attention->d_scores, attention->q, d_k);
    }
  }
}
