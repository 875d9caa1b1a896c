/* Forward pass of the llama architecture (RMSNorm, rotary positions, grouped-query attention, SwiGLU) over the kernels. Everything
 * here works a row at a time and keeps a row's result independent of the rows beside it: the kernels promise the same. */
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
  const float *add;             /* (m, D) to be added to x first, or NULL */
  const float *norm;            /* (D) weight */
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
angles_row (const Pass * pass, gsize row)
{
  gsize pairs = pass->run->config->rope_dim / 2;
  double position = (double) (pass->first + row);

  for (gsize i = 0; i < pairs; i++) {
    double angle = position * pass->run->weights->rope_frequency[i];

    pass->run->scratch->cosines[row * pairs + i] = (float) cos (angle);
    pass->run->scratch->sines[row * pairs + i] = (float) sin (angle);
  }
}

static void
norm_row (const Pass * pass, gsize row)
{
  const StModelConfig *config = pass->run->config;
  gsize hidden = config->hidden_size;

  if (pass->add != NULL)
    st_add (pass->x + row * hidden, pass->add + row * hidden, hidden);
  if (pass->norm != NULL)
    st_rms_norm (pass->x + row * hidden, pass->norm, hidden, config->rms_eps,
        pass->run->scratch->norm + row * hidden);
}

static void
rotate_row (const Pass * pass, gsize row)
{
  const StModelConfig *config = pass->run->config;
  const StScratch *scratch = pass->run->scratch;
  gsize pairs = config->rope_dim / 2;
  gsize queries = (gsize) config->n_heads * config->head_dim;
  gsize keys = (gsize) config->n_kv_heads * config->head_dim;
  const float *cosines = scratch->cosines + row * pairs;
  const float *sines = scratch->sines + row * pairs;

  st_rope (scratch->q + row * queries, config->n_heads, config->head_dim,
      config->rope_dim, cosines, sines, TRUE);
  st_rope (scratch->k + row * keys, config->n_kv_heads, config->head_dim,
      config->rope_dim, cosines, sines, TRUE);
  st_kv_cache_store (pass->cache, pass->layer, pass->first + row,
      scratch->k + row * keys, scratch->v + row * keys);
}

static void
swiglu_row (const Pass * pass, gsize row)
{
  gsize ff = pass->run->config->ff_size;

  st_swiglu (pass->run->scratch->gate + row * ff,
      pass->run->scratch->up + row * ff, ff);
}

static gboolean
cancelled (const StRun * run)
{
  return run->cancel != NULL && g_atomic_int_get (run->cancel) != 0;
}

/* Matrices with the same input, with their adapters. */
static gboolean
product_group (const StRun * run, const StProduct * products,
    const StModelAdapter * const *adapters, gsize n, const float *x, gsize m,
    StRegime regime)
{
  st_products (run, products, adapters, n, x, m, regime);
  return !cancelled (run);
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
forward_block (Pass * pass, const StBlock * block, StRegime regime)
{
  const StRun *run = pass->run;
  StScratch *scratch = run->scratch;
  gsize m = pass->m;
  const StProduct inputs[] = {
    {&block->q, scratch->q, block->q.rows},
    {&block->k, scratch->k, block->k.rows},
    {&block->v, scratch->v, block->v.rows},
  };
  const StProduct widened[] = {
    {&block->gate, scratch->gate, block->gate.rows},
    {&block->up, scratch->up, block->up.rows},
  };
  const StProduct attended = { &block->o, scratch->norm, block->o.rows };
  const StProduct narrowed = { &block->down, scratch->norm, block->down.rows };

  pass->norm = block->attn_norm;
  run_pass (pass, norm_row);
  if (!product_group (run, inputs, &block->adapters[ST_BLOCK_Q],
          G_N_ELEMENTS (inputs), scratch->norm, m, regime))
    return FALSE;
  run_pass (pass, rotate_row);
  if (!attend (pass, regime)
      || !product_group (run, &attended, &block->adapters[ST_BLOCK_O], 1,
          scratch->attention, m, regime))
    return FALSE;

  pass->add = scratch->norm;
  pass->norm = block->ffn_norm;
  run_pass (pass, norm_row);
  if (!product_group (run, widened, &block->adapters[ST_BLOCK_GATE],
          G_N_ELEMENTS (widened), scratch->norm, m, regime))
    return FALSE;
  run_pass (pass, swiglu_row);
  return product_group (run, &narrowed, &block->adapters[ST_BLOCK_DOWN], 1,
      scratch->gate, m, regime);
}

gboolean
st_forward (const StRun * run, StKvCache * cache, gsize first,
    float *x, gsize m, StRegime regime)
{
  Pass pass = {.run = run,.m = m,.x = x,.cache = cache,.first = first };

  g_assert (m <= run->scratch->rows);
  if (run->weights->n_layers == 0)
    return !cancelled (run);
  run_pass (&pass, angles_row);
  for (guint layer = 0; layer < run->weights->n_layers; layer++) {
    pass.layer = layer;
    if (!forward_block (&pass, &run->weights->blocks[layer], regime))
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
        run->weights->output_norm
  };

  g_assert (m <= run->scratch->rows && run->weights->has_output);
  run_pass (&pass, norm_row);
  st_matmul (run->pool, &run->weights->output, run->scratch->norm, m,
      run->weights->output.cols, logits, run->weights->output.rows, regime,
      run->deterministic, run->cancel);
  return !cancelled (run);
}
