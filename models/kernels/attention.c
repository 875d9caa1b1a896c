/* Causal attention over a KV cache.
 *
 * A task is one KV head and some query positions; the query heads that share the KV head are rows of the same small products. Keys are
 * taken in blocks of KEYS positions, aligned at position 0, with a running maximum and sum (softmax of one block after the other), so
 * what a row computes depends on its own position and on nothing else: not on where a prompt was cut into calls. A block that lies
 * wholly before a row is one product for many rows; the block the row's own position lies in is cut exactly behind it, so later
 * keys and values, whatever they hold, are never touched for it. */
#include "models/kernels/cancel.h"
#include "models/kernels/isa.h"
#include "models/kernels/pool.h"

#include <math.h>

#define KEYS 64                 /* positions a block of keys */
#define TASK_ROWS 192           /* query rows a task, about */

typedef struct
{
  StPool *pool;
  const StIsa *isa;
  const StAttention *a;
  StRegime regime;
  const gint *cancel;
  gsize group;                  /* query heads of a KV head */
  gsize positions;              /* query positions a task */
  gsize padded_dim;             /* head_dim up to whole vectors */
} Attention;

/* One task's state; all in the worker's scratch. */
typedef struct
{
  gsize kv_head;
  gsize first, n;               /* query positions first .. first + n - 1, counted from a->first */
  float *q;                     /* [n * group][padded_dim], scaled */
  float *out;                   /* [n * group][padded_dim], sums of values */
  float *scores;                /* [n * group][KEYS] */
  float *max, *sum;             /* [n * group] */
  float *keys;                  /* [KEYS][head_dim] converted, then [head_dim][KEYS] */
  float *turned;
  float *values;                /* [KEYS][padded_dim] */
} Task;

static gsize
cache_bytes (const StAttention * a)
{
  return a->cache_type == ST_TYPE_F16 ? sizeof (guint16) : sizeof (float);
}

/* @n positions of the cache @base from @pos on as floats: in place if possible, else converted to @buffer. */
static const float *
cached (const Attention * job, const void *base, gsize kv_head, gsize pos,
    gsize n, float *buffer)
{
  const StAttention *a = job->a;
  const guint8 *src = (const guint8 *) base +
      (kv_head * a->capacity + pos) * a->head_dim * cache_bytes (a);

  if (a->cache_type == ST_TYPE_F32)
    return (const float *) src;
  job->isa->dequantise (ST_TYPE_F16, src, buffer, n * a->head_dim);
  return buffer;
}

/* scores = q * keys^T for rows @row .. of the task. */
static void
score_block (const Attention * job, const Task * t, gsize row, gsize rows,
    const float *keys, gsize n_keys)
{
  const StIsa *isa = job->isa;
  const gsize dim = job->a->head_dim, lanes = ST_MAX_VECTORS * isa->lanes;

  if (job->regime == ST_REGIME_STEP) {
    isa->dot (keys, dim, n_keys, t->q + row * job->padded_dim,
        job->padded_dim, rows, dim, t->scores + row * KEYS, KEYS);
    return;
  }
  isa->transpose (keys, dim, n_keys, dim, t->turned, KEYS, KEYS);
  for (gsize r = row; r < row + rows; r += isa->tile_rows) {
    const gsize here = MIN (row + rows - r, isa->tile_rows);

    for (gsize k = 0; k < n_keys; k += lanes)
      isa->tile[here - 1][ST_MAX_VECTORS - 1] (t->q + r * job->padded_dim,
          job->padded_dim, t->turned + k, KEYS, dim, t->scores + r * KEYS + k,
          KEYS, FALSE, (const guint8 *) t->turned, 0);
  }
}

/* out += scores * values for @rows rows that all see @n_keys keys of the block. */
static void
add_values (const Attention * job, const Task * t, gsize row, gsize rows,
    const float *values, gsize ldv, gsize n_keys)
{
  const StIsa *isa = job->isa;
  const gsize ld = job->padded_dim, lanes = ST_MAX_VECTORS * isa->lanes;

  for (gsize r = row; r < row + rows; r += isa->tile_rows) {
    const gsize here = MIN (row + rows - r, isa->tile_rows);

    for (gsize d = 0; d < ld; d += lanes) {
      const gsize vectors = MIN (ld - d, lanes) / isa->lanes;

      isa->tile[here - 1][vectors - 1] (t->scores + r * KEYS, KEYS, values + d,
          ldv, n_keys, t->out + r * ld + d, ld, TRUE, (const guint8 *) values,
          0);
    }
  }
}

/* Values of a block with rows of whole vectors. */
static const float *
padded_values (const Attention * job, const Task * t, const float *values,
    gsize n_keys)
{
  const gsize dim = job->a->head_dim, ld = job->padded_dim;

  if (dim == ld)
    return values;
  /* Backwards: values may be the start of the same buffer. */
  for (gsize k = n_keys; k-- > 0;) {
    for (gsize d = ld; d-- > 0;)
      t->values[k * ld + d] = d < dim ? values[k * dim + d] : 0.0f;
  }
  return t->values;
}

/* Softmax of one block and its part of the sums, for the task's positions from @from on. @start: the block's first position. */
static void
attend_block (const Attention * job, const Task * t, gsize from, gsize start)
{
  const StAttention *a = job->a;
  const gsize group = job->group, ld = job->padded_dim;
  const gsize last = a->first + t->first + t->n - 1;
  const gsize n_keys = MIN (KEYS, last + 1 - start);
  const float *keys = cached (job, a->k, t->kv_head, start, n_keys, t->keys);
  const float *values;
  gsize whole = t->n;           /* positions from here on see the whole block */

  score_block (job, t, from * group, (t->n - from) * group, keys, n_keys);
  values = padded_values (job, t,
      cached (job, a->v, t->kv_head, start, n_keys, t->values), n_keys);
  for (gsize i = from; i < t->n; i++) {
    const gsize seen = MIN (KEYS, a->first + t->first + i + 1 - start);

    for (gsize r = i * group; r < (i + 1) * group; r++) {
      const float factor = job->isa->softmax (t->scores + r * KEYS, seen,
          &t->max[r], &t->sum[r]);

      if (factor != 1.0f)
        job->isa->scale (t->out + r * ld, t->out + r * ld, ld, factor);
    }
    if (seen == KEYS)
      whole = MIN (whole, i);
    else
      add_values (job, t, i * group, group, values, ld, seen);
  }
  add_values (job, t, whole * group, (t->n - whole) * group, values, ld, KEYS);
}

static void
load_queries (const Attention * job, const Task * t)
{
  const StAttention *a = job->a;
  const gsize ld = job->padded_dim;

  for (gsize i = 0; i < t->n; i++) {
    for (gsize h = 0; h < job->group; h++) {
      const gsize r = i * job->group + h;

      job->isa->scale (t->q + r * ld, a->q + (t->first + i) * a->ldq +
          (t->kv_head * job->group + h) * a->head_dim, a->head_dim, a->scale);
      for (gsize d = 0; d < ld; d++)
        t->out[r * ld + d] = 0.0f;
      t->max[r] = -INFINITY;
      t->sum[r] = 0.0f;
    }
  }
}

static void
store_outputs (const Attention * job, const Task * t)
{
  const StAttention *a = job->a;

  for (gsize i = 0; i < t->n; i++) {
    for (gsize h = 0; h < job->group; h++) {
      const gsize r = i * job->group + h;

      job->isa->scale (a->out + (t->first + i) * a->ldo +
          (t->kv_head * job->group + h) * a->head_dim,
          t->out + r * job->padded_dim, a->head_dim, 1.0f / t->sum[r]);
    }
  }
}

static void
lay_out_task (const Attention * job, Task * t, guint worker)
{
  const gsize rows = job->positions * job->group, ld = job->padded_dim;
  const gsize pad = 16;         /* keeps every part aligned */
  const gsize column = (rows + pad - 1) / pad * pad;
  float *s = st_pool_scratch (job->pool, worker, rows * (2 * ld + KEYS) +
      2 * column + 3 * KEYS * ld);

  t->q = s;
  t->out = t->q + rows * ld;
  t->scores = t->out + rows * ld;
  t->max = t->scores + rows * KEYS;
  t->sum = t->max + column;
  t->keys = t->sum + column;
  t->turned = t->keys + KEYS * ld;
  t->values = t->turned + KEYS * ld;
}

static void
attention_task (gsize index, guint worker, gpointer user_data)
{
  const Attention *job = user_data;
  const StAttention *a = job->a;
  const gsize tasks = (a->m + job->positions - 1) / job->positions;
  Task t = {.kv_head = index / tasks };
  gsize last;

  /* The last positions have most keys: they go first. */
  t.first = (tasks - 1 - index % tasks) * job->positions;
  t.n = MIN (a->m - t.first, job->positions);
  lay_out_task (job, &t, worker);
  load_queries (job, &t);
  last = a->first + t.first + t.n - 1;
  for (gsize start = 0; start <= last; start += KEYS) {
    const gsize position = a->first + t.first;

    if (st_cancelled (job->cancel))
      return;
    attend_block (job, &t, start > position ? start - position : 0, start);
  }
  store_outputs (job, &t);
}

void
st_attention (StPool * pool, const StAttention * a, StRegime regime,
    const gint * cancel)
{
  const StIsa *isa = st_isa ();
  Attention job = { pool, isa, a, regime, cancel, 0, 0, 0 };

  if (a->m == 0)
    return;
  job.group = a->n_heads / a->n_kv_heads;
  job.positions = CLAMP (TASK_ROWS / job.group, 1, KEYS);
  job.positions = MIN (job.positions, a->m);
  job.padded_dim = (a->head_dim + isa->lanes - 1) / isa->lanes * isa->lanes;
  st_pool_run_workers (pool, (a->m + job.positions - 1) / job.positions *
      a->n_kv_heads, attention_task, &job);
}
