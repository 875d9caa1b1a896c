/* Networks in codec files: what is read is what was written, what is wrong gets an error that names file and key, and sums have room for any input. */
#include "codec/learned/coder.h"
#include "codec/learned/instruction-set.h"
#include "models/gguf/gguf-writer.h"
#include "tests/support/learned-tools.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#define D 20
#define GROUPS 4
#define WIDTH 6
#define LATENTS 3
#define CANARY 0x5a

static void
fill (RdLearnedNetworks * n)
{
  for (guint i = 0; i < RD_NETWORK_UNITS; i++)
    n->units[i] = 10 + (gint32) i;
  for (gsize i = 0; i < n->n_weights; i++)
    n->weights[i] = (gint16) (i * 7919 % 2001) - 1000;
  for (gsize i = 0; i < n->n_biases; i++)
    n->biases[i] = (gint32) (i * 104729 % 20001) - 10000;
}

static RdLearnedParameters *
make (void)
{
  RdLearnedParameters *p = rd_test_parameters (D, RD_SIDE_INFO_NONE, 1);
  RdNetworkLayer layers[2 * GROUPS - 2];

  for (guint g = 0; g + 1 < GROUPS; g++) {
    layers[2 * g] = (RdNetworkLayer) {
    .inputs = 2 * D / GROUPS,.outputs = WIDTH,.shift = 9};
    layers[2 * g + 1] = (RdNetworkLayer) {
    .inputs = WIDTH,.outputs = D / GROUPS,.shift = 12};
  }
  p->networks = rd_learned_networks_new ("autoregressive", 0, layers,
      2 * GROUPS - 2);
  fill (p->networks);
  return p;
}

/* With @n latents in place of groups. */
static RdLearnedParameters *
make_latents_of (guint n, const guint16 cumulative[5])
{
  const RdNetworkLayer layers[] = { {.inputs = n,.outputs = WIDTH,.shift = 4},
  {.inputs = WIDTH,.outputs = D,.shift = 12}
  };
  RdLearnedParameters *p = rd_test_parameters (D, RD_SIDE_INFO_NONE, 1);

  p->networks = rd_learned_networks_new ("hyperprior-any", 0, layers, 2);
  fill (p->networks);
  for (guint i = 0; i < n; i++)
    p->networks->latents[i] = (RdLearnedTable) {
    -1, 3, 1, g_memdup2 (cumulative, 5 * sizeof *cumulative)};
  for (gsize i = 0; i < p->networks->n_analysis; i++)
    p->networks->analysis[i] = (gfloat) (i * 31 % 17) / 64 - 0.125f;
  return p;
}

static RdLearnedParameters *
make_latents (void)
{
  static const guint16 cumulative[] = { 0, 1000, 16000, 16200, 16384 };

  return make_latents_of (LATENTS, cumulative);
}

static void
assert_same (const RdLearnedNetworks * a, const RdLearnedNetworks * b)
{
  g_assert_cmpstr (a->entropy, ==, b->entropy);
  g_assert_cmpuint (a->set, ==, b->set);
  g_assert_cmpuint (a->n_layers, ==, b->n_layers);
  for (guint i = 0; i < a->n_layers; i++) {
    g_assert_cmpuint (a->layers[i].inputs, ==, b->layers[i].inputs);
    g_assert_cmpuint (a->layers[i].outputs, ==, b->layers[i].outputs);
    g_assert_cmpuint (a->layers[i].shift, ==, b->layers[i].shift);
  }
  g_assert_cmpmem (a->units, RD_NETWORK_UNITS * 4, b->units,
      RD_NETWORK_UNITS * 4);
  g_assert_cmpmem (a->weights, a->n_weights * 2, b->weights, b->n_weights * 2);
  g_assert_cmpmem (a->biases, a->n_biases * 4, b->biases, b->n_biases * 4);
  g_assert_cmpuint (a->n_latents, ==, b->n_latents);
  g_assert_cmpmem (a->analysis, a->n_analysis * sizeof (gfloat), b->analysis,
      b->n_analysis * sizeof (gfloat));
  for (guint i = 0; i < a->n_latents; i++) {
    g_assert_cmpint (a->latents[i].min, ==, b->latents[i].min);
    g_assert_cmpuint (a->latents[i].golomb, ==, b->latents[i].golomb);
    g_assert_cmpmem (a->latents[i].cumulative,
        (a->latents[i].n_values + 2) * 2, b->latents[i].cumulative,
        (b->latents[i].n_values + 2) * 2);
  }
}

/* With adapters of the model and without. */
static void
test_files (void)
{
  static const RdTestMatrix matrices[] = { {"blk.0.attn_q.weight", D, 64} };

  for (guint i = 0; i < 4; i++) {
    const gboolean adapters = i & 1;
    g_autoptr (RdLearnedParameters) p = i & 2 ? make_latents () : make ();
    g_autoptr (RdLearnedParameters) copy = rd_learned_parameters_copy (p);
    g_autoptr (RdLearnedParameters) back = NULL;
    g_autoptr (GError) error = NULL;
    g_autofree gchar *path = NULL;

    assert_same (copy->networks, p->networks);
    g_assert_true (copy->networks->weights != p->networks->weights);
    if (adapters)
      rd_test_adapters (p, matrices, 1, 2, 1, 4);
    path = rd_test_save (p);
    back = rd_learned_parameters_load (path, &error);
    g_assert_no_error (error);
    assert_same (back->networks, p->networks);
    g_assert_true (adapters == (back->adapters != NULL));
    g_unlink (path);
  }
}

/* ---- files that are wrong ---- */

typedef struct
{
  const gchar *key;
  gsize place;                  /* number that is changed; G_MAXSIZE: the key is removed */
  gint32 value;
  const gchar *message;
} Case;

static const Case cases[] = {
  {"rdcodec.entropy", G_MAXSIZE, 0, "rdcodec.entropy or"},
  {"rdcodec.networks.set", G_MAXSIZE, 0, "rdcodec.networks.set is not there"},
  {"rdcodec.networks.layers", G_MAXSIZE, 0,
      "rdcodec.networks.layers is not there"},
  {"rdcodec.networks.units", G_MAXSIZE, 0,
      "rdcodec.networks.units has not as many"},
  {"rdcodec.networks.biases", G_MAXSIZE, 0,
      "rdcodec.networks.biases has not as many"},
  {"rdcodec.networks.weights", G_MAXSIZE, 0,
      "rdcodec.networks.weights has not as many"},
  {"rdcodec.networks.layers", 0, 0, "rdcodec.networks.weights has not as many"},
  {"rdcodec.networks.layers", 1, 32769, "has a number that is out of range"},
  {"rdcodec.networks.layers", 2, 31, "shifted by more than 30 bits"},
  {"rdcodec.networks.units", 3, 16385, "units has a number that is out of"},
  {"rdcodec.networks.units", 3, -1, "units has a number that is out of range"},
  {"rdcodec.networks.weights", 5, 32768, "weights has a number that is out of"},
  {"rdcodec.networks.biases", 0, G_MAXINT32, "larger than 32 bits"},
  {"rdcodec.networks.biases", WIDTH, 1 << 24, "larger than 32 bits"},
};

static const Case latent_cases[] = {
  {"rdcodec.latents.min", G_MAXSIZE, 0, "latents.min has not as many"},
  {"rdcodec.latents.count", 1, 0, "count has a number that is out of range"},
  {"rdcodec.latents.count", 1, 900, "count has a number that is out of range"},
  {"rdcodec.latents.count", 1, 4, "cumulative has a number that is out of"},
  {"rdcodec.latents.golomb", 2, 13, "golomb has a number that is out of range"},
  {"rdcodec.latents.cumulative", 0, 16385, "cumulative has a number that is"},
  {"rdcodec.networks.layers", 1, WIDTH + 1, "weights has not as many numbers"},
  {"rdcodec.networks.biases", 0, G_MAXINT32, "larger than 32 bits"},
  {"rdcodec.networks.units", 0, 16385, "units has a number that is out of"},
};

static void
change_key (StGgufWriter * writer, const StGguf * base, const Case * c)
{
  const gsize n = st_gguf_array_length (base, c->key);
  g_autofree gint32 *values = g_new (gint32, n + 1);

  if (c->place == G_MAXSIZE) {
    st_gguf_writer_remove_prefix (writer, c->key);
    return;
  }
  for (gsize i = 0; i < n; i++) {
    gint64 v = 0;

    g_assert_true (st_gguf_array_int (base, c->key, i, &v));
    values[i] = (gint32) v;
  }
  values[c->place] = c->value;
  st_gguf_writer_set_array (writer, c->key, ST_GGUF_INT32, values, n);
}

static void
check_wrong_files (RdLearnedParameters * p, const Case * wrongs, gsize n)
{
  g_autofree gchar *path = rd_test_save (p);
  g_autofree gchar *wrong = g_strconcat (path, "-wrong.gguf", NULL);
  g_autoptr (StGguf) base = st_gguf_open (path, NULL);

  for (gsize i = 0; i < n; i++) {
    g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
    g_autoptr (GError) error = NULL;

    st_gguf_writer_copy_metadata (writer, base);
    for (guint64 t = 0; t < st_gguf_n_tensors (base); t++)
      g_assert_true (st_gguf_writer_copy_tensor (writer, base,
              st_gguf_tensor (base, t), NULL));
    change_key (writer, base, &wrongs[i]);
    g_assert_true (st_gguf_writer_write (writer, wrong, NULL));
    g_assert_null (rd_learned_parameters_load (wrong, &error));
    g_test_message ("%s", error->message);
    g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
    g_assert_nonnull (strstr (error->message, wrong));
    g_assert_nonnull (strstr (error->message, wrongs[i].message));
  }
  g_unlink (path);
  g_unlink (wrong);
}

static void
test_wrong_files (void)
{
  g_autoptr (RdLearnedParameters) groups = make ();
  g_autoptr (RdLearnedParameters) latents = make_latents ();

  check_wrong_files (groups, cases, G_N_ELEMENTS (cases));
  check_wrong_files (latents, latent_cases, G_N_ELEMENTS (latent_cases));
}

/* A codec file without what only encoders need, or with NaN in it, is refused, too. */
static void
test_wrong_analysis (void)
{
  g_autoptr (RdLearnedParameters) p = make_latents ();
  g_autoptr (GError) error = NULL;
  g_autofree gchar *path = rd_test_save (p);
  g_autoptr (StGguf) base = st_gguf_open (path, NULL);
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();

  st_gguf_writer_copy_metadata (writer, base);
  for (guint64 t = 0; t < st_gguf_n_tensors (base); t++) {
    const StTensor *tensor = st_gguf_tensor (base, t);

    if (!g_str_equal (tensor->name, "latents.analysis"))
      g_assert_true (st_gguf_writer_copy_tensor (writer, base, tensor, NULL));
  }
  g_assert_true (st_gguf_writer_write (writer, path, NULL));
  g_assert_null (rd_learned_parameters_load (path, &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
  g_assert_nonnull (strstr (error->message, "tensor latents.analysis is not"));
  g_clear_error (&error);
  g_unlink (path);
  p->networks->analysis[5] = NAN;
  g_assert_false (rd_learned_parameters_check (p, &error));
  g_assert_nonnull (strstr (error->message, "NaN"));
}

static void
assert_refused (const RdLearnedNetworks * n, guint hidden, const gchar * part)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (rd_learned_networks_check (n, hidden, 1, &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
  g_assert_nonnull (strstr (error->message, part));
}

static void
test_wrong_shapes (void)
{
  g_autoptr (RdLearnedParameters) p = make ();
  RdLearnedNetworks *n = p->networks;
  const RdNetworkLayer empty[] = { {.inputs = 1,.outputs = 1}, {.outputs = 1} };

  g_assert_true (rd_learned_networks_check (n, D, 1, NULL));
  assert_refused (n, D + 4, "shape");
  assert_refused (n, 2, "number of layers");
  n->layers[2].outputs++;
  assert_refused (n, D, "shape");
  n->layers[2].outputs--;
  n->n_layers--;
  assert_refused (n, D, "number of layers");
  n->n_layers++;
  /* one weight after the other counts, whatever its sign */
  for (guint i = 0; i < n->n_layers; i++) {
    const gsize last = (gsize) (n->layers[i].weights - n->weights)
        + n->layers[i].inputs * n->layers[i].outputs;

    for (gsize k = last - n->layers[i].inputs; k < last; k++)
      n->weights[k] = -32768;
    /* 6 * 4095 * 32768, or 10 * 1024 * 32768 for each of the sums' layers: below 2^30 with up to this much */
    ((gint32 *) n->layers[i].bias)[n->layers[i].outputs - 1] =
        (i % 2 ? (1 << 30) - WIDTH * 4095 * 32768 : (1 << 30)
        - 2 * D / GROUPS * 1024 * 32768) + 1;
    assert_refused (n, D, "32 bits");
    fill (n);
    g_assert_true (rd_learned_networks_check (n, D, 1, NULL));
  }
  n->set = 1;
  assert_refused (n, D, "a set that is not there");
  n->set = 0;
  n->entropy[0] = 'A';
  assert_refused (n, D, "entropy model");
  g_assert_null (rd_learned_networks_new ("autoregressive", 0, empty, 2));
}

/* ---- the largest sums ---- */

/* Weights as large as checks let them be, on the largest features and hidden values of either sign: no sum passes 32 bits, which 64 bits
 * tell. */
static void
test_extremes (void)
{
  g_autoptr (RdLearnedParameters) p = make ();
  RdLearnedNetworks *n = p->networks;
  const gint32 base[D] = { 0 };
  RdContext context = {.n = 3,.hidden_size = D,.scalar = TRUE,.base = base };
  gint32 symbols[3 * D];
  gint32 most = 32767;

  for (gsize i = 0; i < n->n_biases; i++)
    n->biases[i] = 0;
  do {
    for (gsize i = 0; i < n->n_weights; i++)
      n->weights[i] = (gint16) most;
  } while (!rd_learned_networks_check (n, D, 1, NULL) && most-- > 1);
  g_assert_cmpint (most, >, 1000);
  /* 30 features of 1024 in the last group's sums, 6 hidden values of 4095 */
  g_assert_cmpint ((gint64) most * 30 * 1024, <, G_MAXINT32);
  for (gsize t = 0; t < 3; t++)
    for (gsize j = 0; j < D; j++)
      symbols[j * 3 + t] = t == 0 ? RD_LEARNED_MAX_SYMBOL :
          t == 1 ? -RD_LEARNED_MAX_SYMBOL : 0;
  for (guint i = 0; i < RD_NETWORK_UNITS; i++)
    n->units[i] = RD_NETWORK_MAX_UNIT;
  RdPackedNetworks *packed = rd_packed_networks_new (n);
  RdNetworkRun *run = rd_network_run_new (packed, D);
  rd_network_run_start (run, &context, 127, NULL);
  for (gsize j = 0; j < D; j++)
    rd_network_run_next (run, &context, symbols, j);
  for (gsize j = 0; j < D; j++) {
    /* a feature and its magnitude cancel in row 1 */
    g_assert_cmpint (run->shift[j * 3], ==, j < D / GROUPS ? 0 : RD_MAX_SHIFT);
    g_assert_cmpint (run->shift[j * 3 + 1], ==, 0);
    g_assert_cmpint (run->shift[j * 3 + 2], ==, 0);
  }
  rd_network_run_free (run);
  rd_packed_networks_free (packed);
}

/* ---- sizes ---- */

/* As many latents as there can be, all far beyond their tables: payloads are larger than values alone could make them, and not above the bound. */
static void
test_bound (void)
{
  static const guint16 cumulative[] = { 0, 1, 16382, 16383, 16384 };
  static const gsize sizes[] = { 1, 7, 64, 65 };
  const guint latents = RD_NETWORK_MAX_LATENTS;
  g_autoptr (RdLearnedParameters) p = make_latents_of (latents, cumulative);
  g_autofree gfloat *x = rd_test_rows (65, D, 1);
  const RdSettings settings = {.quality = 50 };
  gfloat *end = p->networks->analysis + p->networks->n_analysis;
  g_autoptr (RdCodec) codec = NULL;
  g_autofree gchar *path = NULL;

  memset (p->networks->analysis, 0, p->networks->n_analysis * sizeof *end);
  /* the last layer's bias; its slope follows */
  for (guint i = 0; i < latents; i++)
    end[(gint) i - 2 * (gint) latents] = RD_NETWORK_LATENT_MAX;
  path = rd_test_save (p);
  codec = rd_codec_new (path, D, NULL);
  rd_codec_set (codec, &settings);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GByteArray) out = g_byte_array_new ();
    const RdRows rows = {.n = sizes[i] };
    gboolean packed;

    g_assert_true (rd_codec_encode (codec, &rows, x, FALSE, out, &packed,
            NULL));
    g_assert_cmpuint (out->len, >, 64 + sizes[i] * 8 * (D + 4));
    g_assert_cmpuint (out->len, <=, rd_codec_bound (codec, sizes[i]));
  }
  g_unlink (path);
}

/* ---- what those who code share ---- */

/* Nobody packs weights of his own, and decoders do not make the encoders' network. */
static void
test_shared (void)
{
  g_autoptr (RdLearnedParameters) p = make_latents ();
  g_autoptr (GError) error = NULL;
  g_autofree gchar *path = rd_test_save (p);
  const RdLearnedModel *model = rd_learned_model_open (path, &error);
  RdCoder *encoder, *decoder;

  g_assert_no_error (error);
  encoder = rd_coder_new (model);
  decoder = rd_coder_new (model);
  g_assert_true (encoder->networks->panels == model->networks->panels);
  g_assert_true (decoder->networks->panels == model->networks->panels);
  rd_coder_set (decoder, 0, 64, TRUE);
  g_assert_cmpuint (decoder->n_latents, ==, LATENTS);
  g_assert_null (model->analyses->latents);
  g_assert_true (rd_coder_set_encoder (encoder, 0, 64, TRUE, &error));
  g_assert_nonnull (encoder->latents);
  g_assert_true (encoder->latents == model->analyses->latents);
  rd_coder_free (encoder);
  rd_coder_free (decoder);
  rd_learned_model_close (model);
  g_unlink (path);
}

/* ---- kernels ---- */

/* Weights and inputs as large as files and layers have them, but for sums that pass 32 bits. */
static void
check_kernel (const gchar * set, GRand * rand, gsize pairs, gsize n)
{
  const gsize x_stride = 2 * pairs + (gsize) g_rand_int_range (rand, 0, 5);
  const gsize sum_stride =
      RD_NETWORK_COLS + (gsize) g_rand_int_range (rand, 0, 5);
  const gsize n_sums = (RD_NETWORK_ROWS + 1) * sum_stride;
  const gint32 most = pairs > 4 ? 1000 : 32767;
  g_autofree gint16 *panel = g_new (gint16, pairs * 2 * RD_NETWORK_COLS + 1);
  g_autofree gint16 *x = g_new (gint16, (RD_NETWORK_ROWS + 1) * x_stride + 1);
  g_autofree gint32 *sum = g_new (gint32, n_sums);
  g_autofree gint32 *expected = g_new (gint32, n_sums);
  const RdNetworkTile tile = { panel, pairs, x, x_stride, sum, sum_stride, n };

  for (gsize i = 0; i < pairs * 2 * RD_NETWORK_COLS; i++)
    panel[i] = (gint16) g_rand_int_range (rand, -most, most + 1);
  for (gsize i = 0; i < n * x_stride; i++)
    x[i] = (gint16) g_rand_int_range (rand, -4095, 4096);
  memset (sum, CANARY, n_sums * sizeof *sum);
  for (gsize t = 0; t < n; t++)
    for (gsize o = 0; o < RD_NETWORK_COLS; o++)
      sum[t * sum_stride + o] = g_rand_int_range (rand, -1000000, 1000001);
  memcpy (expected, sum, n_sums * sizeof *sum);
  for (gsize t = 0; t < n; t++)
    for (gsize o = 0; o < RD_NETWORK_COLS; o++)
      for (gsize i = 0; i < 2 * pairs; i++)
        expected[t * sum_stride + o] += x[t * x_stride + i]
            * panel[(i / 2 * RD_NETWORK_COLS + o) * 2 + i % 2];
  rd_learned_kernels ()->network (&tile);
  if (memcmp (sum, expected, n_sums * sizeof *sum) != 0)
    g_error ("%s: %u rows, %u pairs", set, (guint) n, (guint) pairs);
}

/* Against plain loops, and what is between the rows stays. */
static void
test_kernels (void)
{
  static const gchar *const sets[] = { "c", "avx2", "avx512" };
  static const gsize pairs[] = { 0, 1, 2, 3, 4, 36, 144, 257 };
  g_autoptr (GRand) rand = g_rand_new_with_seed (g_test_rand_int ());

  for (guint s = 0; s < G_N_ELEMENTS (sets); s++) {
    if (!rd_rans_force_instruction_set (sets[s]))
      continue;
    for (guint i = 0; i < G_N_ELEMENTS (pairs); i++)
      for (gsize n = 1; n <= RD_NETWORK_ROWS; n++)
        for (guint round = 0; round < 4; round++)
          check_kernel (sets[s], rand, pairs[i], n);
  }
  g_assert_true (rd_rans_force_instruction_set (NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/learned/networks/files", test_files);
  g_test_add_func ("/learned/networks/wrong-files", test_wrong_files);
  g_test_add_func ("/learned/networks/wrong-analysis", test_wrong_analysis);
  g_test_add_func ("/learned/networks/wrong-shapes", test_wrong_shapes);
  g_test_add_func ("/learned/networks/extremes", test_extremes);
  g_test_add_func ("/learned/networks/bound", test_bound);
  g_test_add_func ("/learned/networks/shared", test_shared);
  g_test_add_func ("/learned/networks/kernels", test_kernels);
  return g_test_run ();
}
