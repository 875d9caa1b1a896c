/* Forward pass of a range of blocks over the kernels. Everything here works a row at a time and keeps a row's result independent of the rows beside it: the kernels promise the same. */
#include "models/blocks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCRATCH_BYTES (gsize) (16 << 20)
/* Measured with SmolLM2-135M on a 2 MiB second-level cache: 192 to 256 rows are the fastest for Q4_1 (512: -8 %), 256 to 384 for F32. */
#define MAX_CHUNK_ROWS 256
#define MIN_CHUNK_ROWS 64
/* Rows that one work item of an element-wise pass takes. */
#define GROUP_ROWS 16
#define ALIGNMENT 64

/* Floats of scratch that a row needs: norm, q, k, v, attention, gate, up, cos and sin, low of adapters. */
#define N_PARTS 10

static void
part_widths (const StModelConfig * config, gsize rank, gsize * widths)
{
  const gsize queries = (gsize) config->n_heads * config->head_dim;
  const gsize keys = (gsize) config->n_kv_heads * config->head_dim;
  const gsize hidden = config->hidden_size, ff = config->ff_size;
  const gsize all[N_PARTS] = { hidden, queries, keys, keys, queries, ff, ff,
    config->rope_dim / 2, config->rope_dim / 2, ST_BLOCK_GROUP_MAX * rank
  };

  memcpy (widths, all, sizeof (all));
}

gsize
st_chunk_rows (const StModelConfig * config, gsize rank)
{
  gsize widths[N_PARTS], total = 0, rows;

  part_widths (config, rank, widths);
  for (gsize i = 0; i < N_PARTS; i++)
    total += widths[i];
  rows = SCRATCH_BYTES / (total * sizeof (float));

  return CLAMP (rows / MIN_CHUNK_ROWS * MIN_CHUNK_ROWS, MIN_CHUNK_ROWS,
      MAX_CHUNK_ROWS);
}

gboolean
st_scratch_reserve (StScratch * scratch,
    const StModelConfig * config, gsize rank, gsize rows, GError ** error)
{
  gsize pad = ALIGNMENT / sizeof (float);
  float **parts[N_PARTS] = { &scratch->norm, &scratch->q, &scratch->k,
    &scratch->v, &scratch->attention, &scratch->gate, &scratch->up,
    &scratch->cosines, &scratch->sines, &scratch->low
  };
  gsize widths[N_PARTS];
  gsize total = 0, offset = 0;

  if (rows <= scratch->rows)
    return TRUE;
  part_widths (config, rank, widths);
  for (gsize i = 0; i < N_PARTS; i++)
    total += (widths[i] * rows + pad - 1) / pad * pad;
  st_scratch_clear (scratch);
  scratch->memory = aligned_alloc (ALIGNMENT, total * sizeof (float));
  if (scratch->memory == NULL) {
    g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_MEMORY,
        "cannot allocate %" G_GSIZE_FORMAT " bytes of scratch memory",
        total * sizeof (float));
    return FALSE;
  }
  for (gsize i = 0; i < N_PARTS; i++) {
    *parts[i] = scratch->memory + offset;
    offset += (widths[i] * rows + pad - 1) / pad * pad;
  }
  scratch->rows = rows;
  return TRUE;
}

void
st_scratch_clear (StScratch * scratch)
{
  free (scratch->memory);
  memset (scratch, 0, sizeof (*scratch));
}

/* One pass of element-wise work over the rows of a chunk. */
typedef struct _Pass Pass;
struct _Pass
{
  const StRun *run;
  void (*row) (const Pass * pass, gsize row);
  gsize m;
  float *x;                     /* (m, D) hidden states */
  const float *add;             /* (m, D) to be added to x first, or NULL ... */
  const float *add_bias;        /* ... and (D) to each row, or NULL */
  const StNorm *norm;           /* NULL: none */
  const StBlock *block;
  StKvCache *cache;
  guint layer;
  gsize first;
};

static void
run_group (gsize index, gpointer user_data)
{
  const Pass *pass = user_data;
  gsize end = MIN ((index + 1) * GROUP_ROWS, pass->m);

  for (gsize row = index * GROUP_ROWS; row < end; row++)
    pass->row (pass, row);
}

static void
run_pass (Pass * pass, void (*row) (const Pass * pass, gsize row))
{
  pass->row = row;
  if (pass->m <= GROUP_ROWS)
    run_group (0, pass);
  else
    st_pool_run (pass->run->pool, (pass->m + GROUP_ROWS - 1) / GROUP_ROWS,
        run_group, pass);
}

static void
add_bias (float *row, const float *bias, gsize n)
{
  if (bias != NULL)
    st_add (row, bias, n);
}

/* What depends on a row's position: angles, or what is added to it. */
static void
position_row (const Pass * pass, gsize row)
{
  const StWeights *weights = pass->run->weights;
  const StScratch *scratch = pass->run->scratch;
  gsize pairs = pass->run->config->rope_dim / 2;
  gsize hidden = pass->run->config->hidden_size;
  double position = (double) (pass->first + row);

  for (gsize i = 0; i < pairs; i++) {
    double angle = position * weights->rope_frequency[i];

    scratch->cosines[row * pairs + i] = (float) cos (angle);
    scratch->sines[row * pairs + i] = (float) sin (angle);
  }
  if (weights->positions.data != NULL) {
    st_get_row (&weights->positions, pass->first + row,
        scratch->norm + row * hidden);
    st_add (pass->x + row * hidden, scratch->norm + row * hidden, hidden);
  }
}

static void
normalise (const StModelConfig * config, const StNorm * norm, const float *x,
    float *y)
{
  if (config->family->layer_norm)
    st_layer_norm (x, norm->weight, norm->bias, config->hidden_size,
        config->norm_eps, y);
  else
    st_rms_norm (x, norm->weight, config->hidden_size, config->norm_eps, y);
}

static void
norm_row (const Pass * pass, gsize row)
{
  const StModelConfig *config = pass->run->config;
  gsize hidden = config->hidden_size;

  if (pass->add != NULL) {
    st_add (pass->x + row * hidden, pass->add + row * hidden, hidden);
    add_bias (pass->x + row * hidden, pass->add_bias, hidden);
  }
  if (pass->norm != NULL)
    normalise (config, pass->norm, pass->x + row * hidden,
        pass->run->scratch->norm + row * hidden);
}

static void
store_row (const Pass * pass, gsize row)
{
  const StModelConfig *config = pass->run->config;
  const StScratch *scratch = pass->run->scratch;
  gsize pairs = config->rope_dim / 2;
  gsize queries = (gsize) config->n_heads * config->head_dim;
  gsize keys = (gsize) config->n_kv_heads * config->head_dim;
  const float *cosines = scratch->cosines + row * pairs;
  const float *sines = scratch->sines + row * pairs;
  float *const *biases = pass->block->biases;

  add_bias (scratch->q + row * queries, biases[ST_BLOCK_Q], queries);
  add_bias (scratch->k + row * keys, biases[ST_BLOCK_K], keys);
  add_bias (scratch->v + row * keys, biases[ST_BLOCK_V], keys);
  st_rope (scratch->q + row * queries, config->n_heads, config->head_dim,
      config->rope_dim, cosines, sines, TRUE);
  st_rope (scratch->k + row * keys, config->n_kv_heads, config->head_dim,
      config->rope_dim, cosines, sines, TRUE);
  st_kv_cache_store (pass->cache, pass->layer, pass->first + row,
      scratch->k + row * keys, scratch->v + row * keys);
}

/* Where an activation stays. */
static float *
activated (const StRun * run)
{
  return run->config->family->gated ? run->scratch->gate : run->scratch->up;
}

static void
activate_row (const Pass * pass, gsize row)
{
  gsize ff = pass->run->config->ff_size;
  float *gate = pass->run->scratch->gate + row * ff;
  float *up = pass->run->scratch->up + row * ff;

  add_bias (up, pass->block->biases[ST_BLOCK_UP], ff);
  if (pass->run->config->family->gated) {
    add_bias (gate, pass->block->biases[ST_BLOCK_GATE], ff);
    st_swiglu (gate, up, ff);
  } else {
    st_gelu (up, ff);
  }
}

static gboolean
cancelled (const StRun * run)
{
  return run->cancel != NULL && g_atomic_int_get (run->cancel) != 0;
}

/* Matrices @first .. @first + @n - 1, which have the same input, with their adapters, to @y. */
static gboolean
multiply (const Pass * pass, StBlockMatrix first, gsize n, float *const *y,
    const float *x, StRegime regime)
{
  const StBlock *block = pass->block;
  const StModelAdapter *adapters[ST_BLOCK_GROUP_MAX];
  StProduct products[ST_BLOCK_GROUP_MAX];
  gsize there = 0;

  for (gsize i = 0; i < n; i++) {
    const StMatrix *matrix = &block->matrices[first + i];

    if (matrix->rows == 0)
      continue;
    adapters[there] = block->adapters[first + i];
    products[there++] = (StProduct) {
    matrix, y[i], matrix->rows};
  }
  st_products (pass->run, products, adapters, there, x, pass->m, regime);
  return !cancelled (pass->run);
}

static gboolean
attend (const Pass * pass, StRegime regime)
{
  const StModelConfig *config = pass->run->config;
  const StScratch *scratch = pass->run->scratch;
  gsize queries = (gsize) config->n_heads * config->head_dim;
  StAttention attention = {
    .n_heads = config->n_heads,
    .n_kv_heads = config->n_kv_heads,
    .head_dim = config->head_dim,
    .first = pass->first,
    .m = pass->m,
    .cache_type = st_kv_cache_type (pass->cache),
    .k = st_kv_cache_keys (pass->cache, pass->layer),
    .v = st_kv_cache_values (pass->cache, pass->layer),
    .capacity = st_kv_cache_capacity (pass->cache),
    .q = scratch->q,
    .ldq = queries,
    .out = scratch->attention,
    .ldo = queries,
    .scale = (float) (1.0 / sqrt (config->head_dim)),
  };

  st_attention (pass->run->pool, &attention, regime, pass->run->cancel);
  return !cancelled (pass->run);
}

/* The products' outputs wait in scratch->norm and are added to x at the head of the next pass over the rows. */
static gboolean
forward_block (Pass * pass, StRegime regime)
{
  const StBlock *block = pass->block;
  StScratch *scratch = pass->run->scratch;
  float *const inputs[] = { scratch->q, scratch->k, scratch->v };
  float *const widened[] = { scratch->gate, scratch->up };

  pass->norm = &block->attn_norm;
  run_pass (pass, norm_row);
  if (!multiply (pass, ST_BLOCK_Q, G_N_ELEMENTS (inputs), inputs,
          scratch->norm, regime))
    return FALSE;
  run_pass (pass, store_row);
  if (!attend (pass, regime)
      || !multiply (pass, ST_BLOCK_O, 1, &scratch->norm, scratch->attention,
          regime))
    return FALSE;

  pass->add = scratch->norm;
  pass->add_bias = block->biases[ST_BLOCK_O];
  pass->norm = &block->ffn_norm;
  run_pass (pass, norm_row);
  if (!multiply (pass, ST_BLOCK_GATE, G_N_ELEMENTS (widened), widened,
          scratch->norm, regime))
    return FALSE;
  run_pass (pass, activate_row);
  pass->add_bias = block->biases[ST_BLOCK_DOWN];
  return multiply (pass, ST_BLOCK_DOWN, 1, &scratch->norm,
      activated (pass->run), regime);
}

gboolean
st_forward (const StRun * run, StKvCache * cache, gsize first,
    float *x, gsize m, StRegime regime)
{
  Pass pass = {.run = run,.m = m,.x = x,.cache = cache,.first = first };

  g_assert (m <= run->scratch->rows);
  if (run->weights->n_layers == 0)
    return !cancelled (run);
  run_pass (&pass, position_row);
  for (guint layer = 0; layer < run->weights->n_layers; layer++) {
    pass.layer = layer;
    pass.block = &run->weights->blocks[layer];
    if (!forward_block (&pass, regime))
      return FALSE;
  }
  pass.norm = NULL;
  run_pass (&pass, norm_row);
  return TRUE;
}

gboolean
st_logits (const StRun * run, const float *x, gsize m,
    StRegime regime, float *logits)
{
  /* norm_row() writes x only when there is something to add. */
  Pass pass = {.run = run,.m = m,.x = (float *) x,.norm =
        &run->weights->output_norm
  };

  g_assert (m <= run->scratch->rows && run->weights->has_output);
  run_pass (&pass, norm_row);
  st_matmul (run->pool, &run->weights->output, run->scratch->norm, m,
      run->weights->output.cols, logits, run->weights->output.rows, regime,
      run->deterministic, run->cancel);
  return !cancelled (run);
}
