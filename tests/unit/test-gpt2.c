/* The GPT-2 family against a forward pass in double precision that reads a file's tensors by their names itself: how the rows of attn_qkv are
 * shared out, where positions come in, and every bias. */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "tests/support/double-llama.h"
#include "tests/support/model-tools.h"
#include "tests/support/random-weights.h"
#include "tests/support/tiny-model.h"

#define D ST_TINY_HIDDEN
#define F ST_TINY_FF
#define V ST_TINY_VOCAB
#define N 40

/* Tensor @name, or blk.@block.@name if @block is not below 0. */
static double *
tensor (StGguf * gguf, gint block, const gchar * name)
{
  g_autofree gchar *full = block < 0 ? g_strdup (name) :
      g_strdup_printf ("blk.%d.%s", block, name);
  const StTensor *t = st_gguf_find (gguf, full);
  const gsize n = (gsize) (t->ne[0] * t->ne[1]);
  g_autofree float *values = g_new (float, n);
  double *copy = g_new0 (double, n);

  st_type_traits (t->type)->to_float (t->data, values, n);
  for (gsize i = 0; i < n; i++)
    copy[i] = values[i];
  return copy;
}

/* x (N, inputs) times tensor @name.weight plus @name.bias. */
static double *
linear (StGguf * gguf, gint block, const gchar * name, const double *x,
    gsize outputs, gsize inputs)
{
  g_autofree gchar *weight = g_strconcat (name, ".weight", NULL);
  g_autofree gchar *bias = g_strconcat (name, ".bias", NULL);
  g_autofree double *w = tensor (gguf, block, weight);
  g_autofree double *b = tensor (gguf, block, bias);
  double *y = g_new (double, N * outputs);

  st_double_linear (x, w, N, outputs, inputs, y);
  for (gsize i = 0; i < N * outputs; i++)
    y[i] += b[i % outputs];
  return y;
}

static double *
layer_norm (StGguf * gguf, gint block, const gchar * name, const double *x)
{
  g_autofree gchar *weight = g_strconcat (name, ".weight", NULL);
  g_autofree gchar *bias = g_strconcat (name, ".bias", NULL);
  g_autofree double *w = tensor (gguf, block, weight);
  g_autofree double *b = tensor (gguf, block, bias);
  double *y = g_new (double, N * D);

  st_double_layer_norm (x, w, b, N, D, 1e-5, y);
  return y;
}

static void
add (double *x, const double *y)
{
  for (gsize i = 0; i < N * D; i++)
    x[i] += y[i];
}

static void
run_block (StGguf * gguf, gint block, double *x)
{
  g_autofree double *first = layer_norm (gguf, block, "attn_norm", x);
  g_autofree double *qkv = linear (gguf, block, "attn_qkv", first, 3 * D, D);
  double *parts[3];
  g_autofree double *attended = g_new (double, N * D);
  g_autofree double *out = NULL;
  g_autofree double *second = NULL;
  g_autofree double *wide = NULL;
  g_autofree double *narrow = NULL;

  for (guint part = 0; part < 3; part++) {
    parts[part] = g_new (double, N * D);
    for (gsize i = 0; i < N; i++)
      memcpy (parts[part] + i * D, qkv + i * 3 * D + part * D,
          D * sizeof (double));
  }
  st_double_attention (parts[0], parts[1], parts[2], N, ST_TINY_HEADS,
      ST_TINY_HEADS, D / ST_TINY_HEADS, attended);
  out = linear (gguf, block, "attn_output", attended, D, D);
  add (x, out);
  second = layer_norm (gguf, block, "ffn_norm", x);
  wide = linear (gguf, block, "ffn_up", second, F, D);
  st_double_gelu (wide, N * F, wide);
  narrow = linear (gguf, block, "ffn_down", wide, D, F);
  add (x, narrow);
  for (guint part = 0; part < 3; part++)
    g_free (parts[part]);
}

/* Logits (N, V) of @ids. */
static double *
run_all (StGguf * gguf, const gint32 * ids, const gchar * head)
{
  g_autofree double *x = g_new (double, N * D);
  g_autofree double *tokens = tensor (gguf, -1, "token_embd.weight");
  g_autofree double *positions = tensor (gguf, -1, "position_embd.weight");
  g_autofree double *output = tensor (gguf, -1, head);
  g_autofree double *norm = NULL;
  double *logits = g_new (double, N * V);

  for (gsize i = 0; i < N; i++) {
    for (gsize j = 0; j < D; j++)
      x[i * D + j] = tokens[(gsize) ids[i] * D + j] + positions[i * D + j];
  }
  for (gint block = 0; block < ST_TINY_BLOCKS; block++)
    run_block (gguf, block, x);
  norm = layer_norm (gguf, -1, "output_norm", x);
  st_double_linear (norm, output, N, V, D, logits);
  return logits;
}

/* The first half as a prompt, the others one by one. */
static void
check (const StTinyModelOptions * options)
{
  g_autofree gchar *path = st_tiny_model_temp (options);
  g_autofree float *x = g_new (float, N * D);
  g_autofree float *logits = g_new (float, N * V);
  g_autofree double *expected = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (StGguf) gguf = st_gguf_open (path, &error);
  gint32 ids[N];
  StTestChain chain;
  double worst = 0;

  g_assert_no_error (error);
  for (gsize i = 0; i < N; i++)
    ids[i] = g_test_rand_int_range (0, V);
  expected = run_all (gguf, ids, options->untied ? "output.weight" :
      "token_embd.weight");
  st_test_chain_open (&chain, path, (gint[]) {
      1, 3, 0}
      , 1, N, ST_TYPE_F32);
  st_test_chain_run (&chain, ids, N / 2, ST_REGIME_PREFILL, x);
  st_test_chain_logits (&chain, x, N / 2, ST_REGIME_PREFILL, logits);
  for (gsize i = N / 2; i < N; i++) {
    st_test_chain_run (&chain, ids + i, 1, ST_REGIME_STEP, x);
    st_test_chain_logits (&chain, x, 1, ST_REGIME_STEP, logits + i * V);
  }
  for (gsize i = 0; i < N * V; i++)
    worst = MAX (worst, fabs (logits[i] - expected[i]));
  g_test_message ("largest difference of a logit: %.3g", worst);
  g_assert_cmpfloat (worst, <, 1e-4);
  st_test_chain_close (&chain);
  g_unlink (path);
}

static void
test_forward (void)
{
  const StTinyModelOptions cases[] = {
    {.gpt2 = TRUE},
    {.gpt2 = TRUE,.untied = TRUE,.seed = 1},
    {.gpt2 = TRUE,.type = ST_TYPE_F16,.seed = 2},
    {.gpt2 = TRUE,.type = ST_TYPE_Q8_0,.seed = 3},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    check (&cases[i]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gpt2/forward", test_forward);
  return g_test_run ();
}
