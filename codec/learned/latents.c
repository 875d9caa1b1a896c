#include "codec/learned/latents.h"

#include <math.h>
#include <string.h>

#include "codec/learned/context.h"
#include "codec/learned/transform.h"

typedef struct
{
  gsize inputs, outputs;
  RdPackedMatrix *matrix;
  const gfloat *bias, *slope;   /* NULL: none */
} Dense;

typedef struct
{
  gsize width;
  const gfloat *norm[2];
  Dense q, k, v, o, up, down;
} Block;

struct _RdLatents
{
  gsize n_latents;
  Dense in[RD_LATENTS_BLOCKS + 1];
  Block blocks[RD_LATENTS_BLOCKS];
};

static gsize
dense_size (gsize inputs, gsize outputs)
{
  return inputs * outputs + 2 * outputs;
}

gsize
rd_latents_n_values (gsize d, gsize n_latents)
{
  gsize n = 0;

  for (guint i = 0; i <= RD_LATENTS_BLOCKS; i++) {
    const gsize w = i < RD_LATENTS_BLOCKS ? rd_latents_width (d, i + 1) :
        n_latents;

    n += dense_size (rd_latents_width (d, i), w);
    if (i < RD_LATENTS_BLOCKS)
      n += 2 * w + 4 * w * w + dense_size (w, 2 * w) + dense_size (2 * w, w);
  }
  return n;
}

/* Takes a layer's numbers from @at; FALSE if there is no memory. */
static gboolean
take_dense (Dense * dense, gsize inputs, gsize outputs, gboolean bias,
    const gfloat ** at)
{
  dense->inputs = inputs;
  dense->outputs = outputs;
  dense->matrix = rd_packed_matrix_new (*at, inputs, outputs);
  *at += inputs * outputs;
  if (bias) {
    dense->bias = *at;
    dense->slope = *at + outputs;
    *at += 2 * outputs;
  }
  return dense->matrix != NULL;
}

static gboolean
take_block (Block * block, gsize w, const gfloat ** at)
{
  block->width = w;
  block->norm[0] = *at;
  block->norm[1] = *at + w;
  *at += 2 * w;
  return take_dense (&block->q, w, w, FALSE, at)
      && take_dense (&block->k, w, w, FALSE, at)
      && take_dense (&block->v, w, w, FALSE, at)
      && take_dense (&block->o, w, w, FALSE, at)
      && take_dense (&block->up, w, 2 * w, TRUE, at)
      && take_dense (&block->down, 2 * w, w, TRUE, at);
}

RdLatents *
rd_latents_new (const RdLearnedNetworks * networks, gsize d)
{
  RdLatents *l = g_new0 (RdLatents, 1);
  const gfloat *at = networks->analysis;
  gboolean good = TRUE;

  l->n_latents = networks->n_latents;
  for (guint i = 0; i <= RD_LATENTS_BLOCKS && good; i++) {
    const gsize w = i < RD_LATENTS_BLOCKS ? rd_latents_width (d, i + 1) :
        l->n_latents;

    good = take_dense (&l->in[i], rd_latents_width (d, i), w, TRUE, &at)
        && (i == RD_LATENTS_BLOCKS || take_block (&l->blocks[i], w, &at));
  }
  if (good)
    return l;
  rd_latents_free (l);
  return NULL;
}

void
rd_latents_free (RdLatents * l)
{
  if (!l)
    return;
  for (guint i = 0; i <= RD_LATENTS_BLOCKS; i++) {
    rd_packed_matrix_free (l->in[i].matrix);
    if (i == RD_LATENTS_BLOCKS)
      break;
    const Block *b = &l->blocks[i];
    const Dense *const layers[] = { &b->q, &b->k, &b->v, &b->o, &b->up,
      &b->down
    };

    for (guint k = 0; k < G_N_ELEMENTS (layers); k++)
      rd_packed_matrix_free (layers[k]->matrix);
  }
  g_free (l);
}

/* y (n, outputs) = or += x (n, inputs) through the layer. */
static void
run_dense (const Dense * dense, const gfloat * x, gsize n, gfloat level,
    gboolean accumulate, gfloat * y)
{
  const RdFactor factor = { x, n, dense->inputs, 1 };

  if (!accumulate)
    memset (y, 0, n * dense->outputs * sizeof (gfloat));
  for (gsize t = 0; t < n && dense->bias; t++)
    for (gsize o = 0; o < dense->outputs; o++)
      y[t * dense->outputs + o] += dense->bias[o] + level * dense->slope[o];
  rd_packed_matrix_apply (dense->matrix, &factor, y);
}

static void
run_norm (const gfloat * x, const gfloat * norm, gsize n, gsize w, gfloat * y)
{
  for (gsize t = 0; t < n; t++, x += w, y += w) {
    gfloat squares = 0;

    for (gsize i = 0; i < w; i++)
      squares += x[i] * x[i];
    squares = 1 / sqrtf (squares / (gfloat) w + RD_LATENTS_EPSILON);
    for (gsize i = 0; i < w; i++)
      y[i] = x[i] * squares * norm[i];
  }
}

/* Row @t of one head, which sees the rows up to it; q, k, v and out (n, w) from the head's first column on. */
static void
attend (const gfloat * q, const gfloat * k, const gfloat * v, gsize t,
    gsize w, gsize dim, gfloat * restrict out)
{
  gfloat weights[RD_BLOCK_ROWS], most = -G_MAXFLOAT, total = 0;
  const gfloat scale = 1 / sqrtf ((gfloat) dim);

  for (gsize s = 0; s <= t; s++) {
    gfloat sum = 0;

    for (gsize i = 0; i < dim; i++)
      sum += q[t * w + i] * k[s * w + i];
    weights[s] = sum * scale;
    most = MAX (most, weights[s]);
  }
  for (gsize s = 0; s <= t; s++) {
    weights[s] = expf (weights[s] - most);
    total += weights[s];
  }
  out += t * w;
  memset (out, 0, dim * sizeof (gfloat));
  for (gsize s = 0; s <= t; s++)
    for (gsize i = 0; i < dim; i++)
      out[i] += weights[s] * v[s * w + i];
  for (gsize i = 0; i < dim; i++)
    out[i] /= total;
}

/* x (n, w) through a block. @scratch: 6 n w floats. */
static void
run_block (const Block * b, gsize n, gfloat level, gfloat * x, gfloat * scratch)
{
  const gsize w = b->width, heads = rd_latents_heads (w), dim = w / heads;
  gfloat *normed = scratch, *q = normed + n * w, *k = q + n * w;
  gfloat *v = k + n * w, *out = v + n * w, *up = q;

  run_norm (x, b->norm[0], n, w, normed);
  run_dense (&b->q, normed, n, level, FALSE, q);
  run_dense (&b->k, normed, n, level, FALSE, k);
  run_dense (&b->v, normed, n, level, FALSE, v);
  for (gsize h = 0; h < heads; h++)
    for (gsize t = 0; t < n; t++)
      attend (q + h * dim, k + h * dim, v + h * dim, t, w, dim, out + h * dim);
  run_dense (&b->o, out, n, level, TRUE, x);
  run_norm (x, b->norm[1], n, w, normed);
  run_dense (&b->up, normed, n, level, FALSE, up);
  for (gsize i = 0; i < 2 * n * w; i++)
    up[i] = up[i] > 0 ? up[i] : 0;
  run_dense (&b->down, up, n, level, TRUE, x);
}

void
rd_latents_run (const RdLatents * l, const gfloat * features, gsize n,
    guint level, gfloat * z)
{
  const gsize widest = l->blocks[0].width;
  g_autofree gfloat *scratch = g_new (gfloat, 7 * n * widest);
  g_autofree gfloat *x = g_new (gfloat, n * widest);
  const gfloat *from = features;
  const gfloat at = (gfloat) level / 64 - 1;

  for (guint i = 0; i < RD_LATENTS_BLOCKS; i++) {
    gfloat *y = i % 2 == 0 ? x : scratch + 6 * n * widest;

    run_dense (&l->in[i], from, n, at, FALSE, y);
    run_block (&l->blocks[i], n, at, y, scratch);
    from = y;
  }
  run_dense (&l->in[RD_LATENTS_BLOCKS], from, n, at, FALSE, z);
}
