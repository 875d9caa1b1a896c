#include "codec/training/hyper-analysis.h"

#include <string.h>

#include "codec/training/ops.h"
#include "codec/training/scale-model.h"

#define EPSILON 1e-5f
#define MIN_WIDTH 8
/* Of what blocks add at first. */
#define BRANCH_GAIN 0.3f

static void
lay_out_block (RdAnalysisBlock * block, gsize width, RdArena * arena)
{
  block->width = width;
  block->heads = width % 4 == 0 ? 4 : 1;
  for (guint i = 0; i < 2; i++)
    block->norm[i] = rd_arena_take (arena, width, 1);
  block->q = rd_arena_take (arena, width, width);
  block->k = rd_arena_take (arena, width, width);
  block->v = rd_arena_take (arena, width, width);
  block->o = rd_arena_take (arena, width, width);
  block->up = (RdDense) {
  .inputs = width,.outputs = 2 * width,.relu = TRUE};
  block->down = (RdDense) {
  .inputs = 2 * width,.outputs = width};
  rd_dense_lay_out (&block->up, arena);
  rd_dense_lay_out (&block->down, arena);
}

void
rd_analysis_lay_out (RdAnalysis * analysis, gsize hidden_size, gsize inputs,
    gsize outputs, RdArena * arena)
{
  gsize width = inputs;

  for (guint i = 0; i <= RD_ANALYSIS_BLOCKS; i++) {
    const gsize next = i < RD_ANALYSIS_BLOCKS ?
        MAX (hidden_size >> (i + 1), MIN_WIDTH) : outputs;

    analysis->in[i] = (RdDense) {
    .inputs = width,.outputs = next};
    rd_dense_lay_out (&analysis->in[i], arena);
    if (i < RD_ANALYSIS_BLOCKS)
      lay_out_block (&analysis->blocks[i], next, arena);
    width = next;
  }
}

static void
start_block (const RdAnalysisBlock * block, guint64 seed, guint64 stream)
{
  float *const matrices[] = { block->q, block->k, block->v, block->o };

  for (gsize i = 0; i < block->width; i++)
    block->norm[0][i] = block->norm[1][i] = 1;
  for (guint i = 0; i < G_N_ELEMENTS (matrices); i++) {
    const RdDense square = {.inputs = block->width,.outputs =
          block->width,.w = matrices[i]
    };

    rd_dense_start (&square, seed, stream + i,
        matrices[i] == block->o ? BRANCH_GAIN : 0.7f);
  }
  rd_dense_start (&block->up, seed, stream + 4, 1);
  rd_dense_start (&block->down, seed, stream + 5, BRANCH_GAIN);
}

void
rd_analysis_start (const RdAnalysis * analysis, guint64 seed, float deviation)
{
  for (guint i = 0; i <= RD_ANALYSIS_BLOCKS; i++) {
    /* a gain of sqrt (1/2) keeps the variance, as there is no ReLU */
    rd_dense_start (&analysis->in[i], seed, 16 * i,
        i < RD_ANALYSIS_BLOCKS ? 0.7f : 0.7f * deviation);
    if (i < RD_ANALYSIS_BLOCKS)
      start_block (&analysis->blocks[i], seed, 16 * i + 1);
  }
}

/* Output @o is input @o alone. */
static void
carry (const RdDense * layer, gsize o, float weight)
{
  memset (layer->w + o * layer->inputs, 0, layer->inputs * sizeof (float));
  layer->w[o * layer->inputs + o] = weight;
}

static void
silence_blocks (const RdAnalysis * analysis)
{
  for (guint i = 0; i < RD_ANALYSIS_BLOCKS; i++) {
    const RdAnalysisBlock *block = &analysis->blocks[i];
    const RdDense *down = &block->down;

    memset (block->o, 0, block->width * block->width * sizeof (float));
    memset (down->w, 0, down->inputs * down->outputs * sizeof (float));
  }
}

void
rd_analysis_follow (const RdAnalysis * analysis, const float *usual,
    const float levels[2], const float *gain)
{
  const RdDense *first = &analysis->in[0];
  const RdDense *last = &analysis->in[RD_ANALYSIS_BLOCKS];
  const gsize n = last->outputs, d = first->inputs / 2;

  silence_blocks (analysis);
  for (gsize b = 0; b < n; b++) {
    const gsize from = d * b / n, to = d * (b + 1) / n;
    const float slope = (usual[n + b] - usual[b]) / (levels[1] - levels[0]);

    memset (first->w + b * first->inputs, 0, first->inputs * sizeof (float));
    for (gsize j = from; j < to; j++)
      first->w[b * first->inputs + 2 * j + 1] = 1.0f / (float) (to - from);
    for (guint i = 1; i < RD_ANALYSIS_BLOCKS; i++)
      carry (&analysis->in[i], b, 1);
    carry (last, b, gain[b]);
    last->slope[b] = -gain[b] * slope;
    last->b[b] = -gain[b] * (usual[b] - slope * levels[0]);
  }
}

static void
block_parameters (const RdAnalysisBlock * block, guint i,
    RdParameters * parameters)
{
  const gsize w = block->width;
  const struct
  {
    const gchar *name;
    float *values;
    gsize n;
  } arrays[] = {
    {"norm.0", block->norm[0], w}, {"norm.1", block->norm[1], w},
    {"q", block->q, w * w}, {"k", block->k, w * w},
    {"v", block->v, w * w}, {"o", block->o, w * w},
  };
  g_autofree gchar *up = g_strdup_printf ("analysis.%u.up", i);
  g_autofree gchar *down = g_strdup_printf ("analysis.%u.down", i);

  for (guint a = 0; a < G_N_ELEMENTS (arrays); a++) {
    g_autofree gchar *name = g_strdup_printf ("analysis.%u.%s", i,
        arrays[a].name);

    rd_parameters_add (parameters, name, arrays[a].values,
        rd_arena_padded (arrays[a].n), arrays[a].n > w, 1.0f);
  }
  rd_dense_parameters (&block->up, up, parameters);
  rd_dense_parameters (&block->down, down, parameters);
}

void
rd_analysis_parameters (const RdAnalysis * analysis, RdParameters * parameters)
{
  for (guint i = 0; i <= RD_ANALYSIS_BLOCKS; i++) {
    g_autofree gchar *in = g_strdup_printf ("analysis.%u.in", i);

    rd_dense_parameters (&analysis->in[i], in, parameters);
    if (i < RD_ANALYSIS_BLOCKS)
      block_parameters (&analysis->blocks[i], i, parameters);
  }
}

void
rd_analysis_scratch_lay_out (RdAnalysisScratch * scratch,
    const RdAnalysis * analysis, gsize t, RdArena * arena)
{
  const gsize widest = analysis->blocks[0].width;

  for (guint i = 0; i < RD_ANALYSIS_BLOCKS; i++) {
    const gsize w = analysis->blocks[i].width;
    RdAnalysisKept *kept = &scratch->kept[i];
    float **const arrays[] = { &kept->x, &kept->q, &kept->k, &kept->v,
      &kept->attention, &kept->middle, &kept->normed[0], &kept->normed[1],
      &kept->y
    };

    for (guint a = 0; a < G_N_ELEMENTS (arrays); a++)
      *arrays[a] = rd_arena_take (arena, t, w);
    kept->up = rd_arena_take (arena, t, 2 * w);
  }
  scratch->d[0] = rd_arena_take (arena, t, widest);
  scratch->d[1] = rd_arena_take (arena, t, widest);
  scratch->part = rd_arena_take (arena, t, widest);
  scratch->d_q = rd_arena_take (arena, t, widest);
  scratch->d_k = rd_arena_take (arena, t, widest);
  scratch->d_v = rd_arena_take (arena, t, widest);
  scratch->d_up = rd_arena_take (arena, t, 2 * widest);
  scratch->scores = rd_arena_take (arena, RD_ATTENTION_ROWS, RD_SCALE_WINDOW);
  scratch->d_scores = rd_arena_take (arena, RD_ATTENTION_ROWS, RD_SCALE_WINDOW);
}

/* The window that begins with row @from. */
static RdAttention
window_at (const RdAnalysisBlock * block, const RdAnalysisKept * kept,
    const RdAnalysisScratch * scratch, gsize from, gsize n)
{
  const gsize at = from * block->width;

  return (RdAttention) {
  .t = n,.n_heads = block->heads,.n_kv_heads = block->heads,.head_dim =
        block->width / block->heads,.q = kept->q + at,.k =
        kept->k + at,.v = kept->v + at,.scores =
        scratch->scores,.d_scores = scratch->d_scores};
}

static void
add (const float *x, gsize n, float *y)
{
  for (gsize i = 0; i < n; i++)
    y[i] += x[i];
}

static void
block_forward (const RdAnalysisBlock * block, const RdDensePass * rows,
    gsize window, const RdAnalysisScratch * scratch,
    const RdAnalysisKept * kept)
{
  const gsize t = rows->t, w = block->width;

  rd_norm (kept->x, block->norm[0], t, w, EPSILON, kept->normed[0]);
  rd_linear (kept->normed[0], block->q, t, w, w, FALSE, kept->q);
  rd_linear (kept->normed[0], block->k, t, w, w, FALSE, kept->k);
  rd_linear (kept->normed[0], block->v, t, w, w, FALSE, kept->v);
  for (gsize from = 0; from < t; from += window) {
    const RdAttention a = window_at (block, kept, scratch, from,
        MIN (window, t - from));

    rd_attention (&a, kept->attention + from * w);
  }
  rd_linear (kept->attention, block->o, t, w, w, FALSE, kept->middle);
  add (kept->x, t * w, kept->middle);
  rd_norm (kept->middle, block->norm[1], t, w, EPSILON, kept->normed[1]);
  rd_dense_forward (&block->up, rows, kept->normed[1], FALSE, kept->up);
  rd_dense_forward (&block->down, rows, kept->up, FALSE, kept->y);
  add (kept->middle, t * w, kept->y);
}

/* Through one matrix without bias: d_x = or += and the derivative by it. */
static void
matrix_backward (const RdDensePass * rows, const float *matrix, gsize w,
    const float *x, const float *d_y, gboolean accumulate, float *d_x)
{
  if (rows->gradient != NULL)
    rd_linear_backward_weight (d_y, x, rows->t, w, w,
        rd_arena_gradient (rows->arena, matrix, rows->gradient));
  rd_linear_backward (d_y, matrix, rows->t, w, w, accumulate, d_x);
}

static void
norm_backward (const RdDensePass * rows, const float *norm, gsize w,
    const float *x, const float *d_y, float *d_x)
{
  if (rows->gradient != NULL)
    rd_norm_backward_weight (x, d_y, rows->t, w, EPSILON,
        rd_arena_gradient (rows->arena, norm, rows->gradient));
  rd_norm_backward (x, norm, d_y, rows->t, w, EPSILON, TRUE, d_x);
}

/* d (T, W): in by y, out by x. */
static void
block_backward (const RdAnalysisBlock * block, const RdDensePass * rows,
    gsize window, const RdAnalysisScratch * scratch,
    const RdAnalysisKept * kept, float *d)
{
  const gsize t = rows->t, w = block->width;
  float *part = scratch->part;

  rd_dense_backward (&block->down, rows, kept->up, NULL, d, scratch->d_up);
  rd_dense_backward (&block->up, rows, kept->normed[1], kept->up,
      scratch->d_up, part);
  norm_backward (rows, block->norm[1], w, kept->middle, part, d);

  matrix_backward (rows, block->o, w, kept->attention, d, FALSE, part);
  for (gsize from = 0; from < t; from += window) {
    const RdAttention a = window_at (block, kept, scratch, from,
        MIN (window, t - from));

    rd_attention_backward (&a, part + from * w, scratch->d_q + from * w,
        scratch->d_k + from * w, scratch->d_v + from * w);
  }
  matrix_backward (rows, block->q, w, kept->normed[0], scratch->d_q, FALSE,
      part);
  matrix_backward (rows, block->k, w, kept->normed[0], scratch->d_k, TRUE,
      part);
  matrix_backward (rows, block->v, w, kept->normed[0], scratch->d_v, TRUE,
      part);
  norm_backward (rows, block->norm[0], w, kept->x, part, d);
}

void
rd_analysis_forward (const RdAnalysis * analysis, const RdDensePass * rows,
    gsize window, const float *x, RdAnalysisScratch * scratch, float *z)
{
  for (guint i = 0; i < RD_ANALYSIS_BLOCKS; i++) {
    const RdAnalysisKept *kept = &scratch->kept[i];

    rd_dense_forward (&analysis->in[i], rows, x, FALSE, kept->x);
    block_forward (&analysis->blocks[i], rows, window, scratch, kept);
    x = kept->y;
  }
  rd_dense_forward (&analysis->in[RD_ANALYSIS_BLOCKS], rows, x, FALSE, z);
}

void
rd_analysis_backward (const RdAnalysis * analysis, const RdDensePass * rows,
    gsize window, const float *x, RdAnalysisScratch * scratch, float *d_z,
    float *d_x)
{
  float *d = d_z;

  for (guint i = RD_ANALYSIS_BLOCKS; i > 0; i--) {
    const RdAnalysisKept *kept = &scratch->kept[i - 1];
    float *next = scratch->d[i % 2];

    rd_dense_backward (&analysis->in[i], rows, kept->y, NULL, d, next);
    block_backward (&analysis->blocks[i - 1], rows, window, scratch, kept,
        next);
    d = next;
  }
  rd_dense_backward (&analysis->in[0], rows, x, NULL, d, d_x);
}
