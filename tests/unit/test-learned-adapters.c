/* Adapters in codec files: those that are wrong get an error that names file and tensor. */
#include "models/gguf/gguf-writer.h"
#include "tests/support/learned-tools.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#define HIDDEN 32
#define RANK 32                 /* a block of Q8_0 */

static const RdTestMatrix matrices[] = {
  {"blk.0.attn_q.weight", HIDDEN, 64},
  {"blk.2.ffn_down.weight", 96, HIDDEN},
};

/* One tensor or key of a good file, changed. */
typedef struct
{
  const gchar *tensor;          /* changed or, if @as is not NULL, renamed; NULL: a key is changed */
  const gchar *as;              /* "": removed */
  guint64 ne[3];                /* new shape, if not 0 */
  gfloat fill;                  /* all values, if not 0 */
  const gchar *key;             /* removed, or set to: */
  const gfloat *values;         /* n_values floats; one is no array */
  gsize n_values;
  const gchar *message;
} Case;

static const gfloat none[] = { 0 }, infinite[] = { INFINITY },
    minus[] = { -1 }, gates[] = { 1, NAN, 1, 1 };

static const Case cases[] = {
  {.tensor = "blk.0.attn_q.weight.lora_b",.as = "",.message =
        "tensor blk.0.attn_q.weight.lora_b is missing"},
  {.tensor = "blk.2.ffn_down.weight.lora_a",.as = "",.message =
        "tensor blk.2.ffn_down.weight.lora_a is missing"},
  {.tensor = "blk.0.attn_q.weight.lora_a",.ne = {33, RANK},.message =
      "is for 33 inputs and 64 outputs, which does not go with a hidden"
      " size of 32"},
  {.tensor = "blk.2.ffn_down.weight.lora_b",.ne = {RANK, 31},.message =
      "is for 96 inputs and 31 outputs"},
  {.tensor = "blk.2.ffn_down.weight.lora_b",.ne = {16, HIDDEN},.message =
      "tensor blk.2.ffn_down.weight.lora_b is of another rank"},
  {.tensor = "blk.2.ffn_down.weight.lora_b",.ne = {RANK, 16, 2},.message =
      "tensor blk.2.ffn_down.weight.lora_b has no shape of an adapter"},
  {.tensor = "blk.0.attn_q.weight.lora_a",.fill = NAN,.message =
        "blk.0.attn_q.weight.lora_a holds NaN or infinity"},
  {.tensor = "blk.0.attn_q.weight.lora_b",.fill = INFINITY,.message =
        "blk.0.attn_q.weight.lora_b holds NaN or infinity"},
  {.tensor = "blk.0.attn_q.weight.lora_a",.as = "blk.0.attn_q.weight",
      .message = "tensor blk.0.attn_q.weight is no adapter"},
  {.tensor = "blk.0.attn_q.weight.lora_a",.as = "blk.0.attn_q.weight.lora_c",
      .message = "tensor blk.0.attn_q.weight.lora_c is no adapter"},
  {.tensor = "set.0.token_step",.as = "output.weight.lora_a",.message =
        "tensor output.weight.lora_b is missing"},
  {.key = "adapter.lora.alpha",.message = "no number adapter.lora.alpha"},
  {.key = "adapter.lora.alpha",.values = none,.n_values = 1,.message =
        "adapter.lora.alpha is not a number above 0"},
  {.key = "adapter.lora.alpha",.values = minus,.n_values = 1,.message =
        "adapter.lora.alpha is not a number above 0"},
  {.key = "adapter.lora.alpha",.values = infinite,.n_values = 1,.message =
        "adapter.lora.alpha is not a number above 0"},
  {.key = "rdcodec.adapter.gate",.message =
        "rdcodec.adapter.gate has not one number for each knot"},
  {.key = "rdcodec.adapter.gate",.values = gates,.n_values = 4,.message =
        "rdcodec.adapter.gate has not one number for each knot"},
  {.key = "rdcodec.adapter.gate",.values = gates,.n_values = 3,.message =
        "rdcodec.adapter.gate holds NaN or infinity"},
};

static gchar *
make_base (guint rank)
{
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (HIDDEN, RD_SIDE_INFO_NONE, 0);

  rd_test_adapters (p, matrices, G_N_ELEMENTS (matrices), rank, 1, 4);
  return rd_test_save (p);
}

static void
change_key (StGgufWriter * writer, const Case * c)
{
  if (c->n_values == 1)
    st_gguf_writer_set_float (writer, c->key, c->values[0]);
  else if (c->n_values > 1)
    st_gguf_writer_set_array (writer, c->key, ST_GGUF_FLOAT32, c->values,
        c->n_values);
  else
    st_gguf_writer_remove_prefix (writer, c->key);
}

/* The values are kept in @kept until the file is written. */
static void
change_tensor (StGgufWriter * writer, const StTensor * tensor, const Case * c,
    GPtrArray * kept)
{
  const guint64 *ne = c->ne[0] ? c->ne : tensor->ne;
  gsize n = (gsize) (ne[0] * ne[1] * MAX (c->ne[2], 1));
  gfloat *values = g_new0 (gfloat, n);

  g_ptr_array_add (kept, values);
  for (gsize i = 0; i < n; i++)
    values[i] = c->fill;
  if (g_strcmp0 (c->as, "") != 0)
    g_assert_true (st_gguf_writer_add_tensor (writer, c->as ? c->as :
            tensor->name, ST_TYPE_F32, c->ne[2] ? 3 : 2, ne, values, NULL));
}

static gchar *
make_wrong (const gchar * path, const Case * c)
{
  g_autoptr (StGguf) base = st_gguf_open (path, NULL);
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (GPtrArray) kept = g_ptr_array_new_with_free_func (g_free);
  gchar *wrong = g_strconcat (path, "-wrong.gguf", NULL);

  st_gguf_writer_copy_metadata (writer, base);
  if (c->key)
    change_key (writer, c);
  for (guint64 i = 0; i < st_gguf_n_tensors (base); i++) {
    const StTensor *tensor = st_gguf_tensor (base, i);

    if (g_strcmp0 (tensor->name, c->tensor) == 0)
      change_tensor (writer, tensor, c, kept);
    else
      g_assert_true (st_gguf_writer_copy_tensor (writer, base, tensor, NULL));
  }
  g_assert_true (st_gguf_writer_write (writer, wrong, NULL));
  return wrong;
}

static void
assert_refused (const gchar * path, const gchar * message)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (rd_learned_parameters_load (path, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
  g_assert_nonnull (strstr (error->message, path));
  if (!strstr (error->message, message))
    g_error ("'%s' does not say '%s'", error->message, message);
}

static void
test_wrong (void)
{
  g_autofree gchar *base = make_base (RANK);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *path = make_wrong (base, &cases[i]);

    assert_refused (path, cases[i].message);
    g_unlink (path);
  }
  g_unlink (base);
}

/* Names of matrices that no block of a model has, or that have no adapters. */
static void
test_names (void)
{
  static const gchar *const names[] = {
    "blk.0.attn_qkv.weight", "blk.0.attn_q.bias", "blk.0.attn_q",
    "blk.0.attn_q.weight.weight", "blk.00.attn_q.weight",
    "blk.-1.attn_q.weight", "blk..attn_q.weight", "blk.123456.attn_q.weight",
    "blk.0.attn_norm.weight", "token_embd.weight", "output.weight", "blk.",
  };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    const RdTestMatrix matrix = { names[i], HIDDEN, 64 };
    g_autoptr (RdLearnedParameters) p =
        rd_test_parameters (HIDDEN, RD_SIDE_INFO_NONE, 0);
    g_autoptr (GError) error = NULL;

    rd_test_adapters (p, &matrix, 1, 2, 1, 1);
    g_assert_false (rd_learned_parameters_check (p, &error));
    g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
    g_assert_nonnull (strstr (error->message, names[i]));
    g_assert_nonnull (strstr (error->message, "no matrix that can have"));
  }
}

static void
test_rank (void)
{
  static const guint ranks[] = { 0, HIDDEN + 1 };

  for (guint i = 0; i < G_N_ELEMENTS (ranks); i++) {
    g_autoptr (RdLearnedParameters) p =
        rd_test_parameters (HIDDEN, RD_SIDE_INFO_NONE, 0);
    g_autoptr (GError) error = NULL;

    rd_test_adapters (p, matrices, 2, ranks[i], 1, 1);
    g_assert_false (rd_learned_parameters_check (p, &error));
    g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
    g_assert_nonnull (strstr (error->message, "not 1 to 32"));
  }
}

/* A version 1 with adapters would be run without them. */
static void
test_version_1 (void)
{
  g_autofree gchar *base = make_base (4);
  g_autoptr (StGguf) gguf = st_gguf_open (base, NULL);
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autofree gchar *path = g_strconcat (base, "-1.gguf", NULL);

  st_gguf_writer_copy_metadata (writer, gguf);
  st_gguf_writer_set_uint32 (writer, "rdcodec.version", 1);
  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++)
    g_assert_true (st_gguf_writer_copy_tensor (writer, gguf,
            st_gguf_tensor (gguf, i), NULL));
  g_assert_true (st_gguf_writer_write (writer, path, NULL));
  assert_refused (path, "is an adapter, which version 1 of the format does"
      " not have");
  g_unlink (path);
  g_unlink (base);
}

/* F32 and Q8_0 as another tool may have written them. */
static void
test_types (void)
{
  static const StType types[] = { ST_TYPE_F32, ST_TYPE_Q8_0 };
  g_autofree gchar *base = make_base (RANK);
  g_autofree guint8 *bytes = g_malloc0 (sizeof (gfloat) * HIDDEN * RANK);

  for (guint row = 0; row < RANK; row++) {
    const guint16 one = st_float_to_half (1);

    memcpy (bytes + row * 34, &one, 2);
    bytes[row * 34 + 2] = 7;
  }
  for (guint t = 0; t < G_N_ELEMENTS (types); t++) {
    g_autoptr (StGguf) gguf = st_gguf_open (base, NULL);
    g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
    g_autofree gchar *path = g_strconcat (base, "-typed.gguf", NULL);
    g_autoptr (RdLearnedParameters) p = NULL;

    st_gguf_writer_copy_metadata (writer, gguf);
    for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++) {
      const StTensor *tensor = st_gguf_tensor (gguf, i);

      g_assert_true (strcmp (tensor->name, "blk.0.attn_q.weight.lora_a") ?
          st_gguf_writer_copy_tensor (writer, gguf, tensor, NULL) :
          st_gguf_writer_add_tensor (writer, tensor->name, types[t], 2,
              tensor->ne, bytes, NULL));
    }
    g_assert_true (st_gguf_writer_write (writer, path, NULL));
    p = rd_learned_parameters_load (path, NULL);
    g_assert_nonnull (p);
    if (types[t] == ST_TYPE_Q8_0)
      g_assert_cmpfloat (rd_learned_adapters_get (p->adapters,
              0)->a[5 * HIDDEN], ==, 7);
    g_unlink (path);
  }
  g_unlink (base);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/learned/adapters/wrong", test_wrong);
  g_test_add_func ("/learned/adapters/names", test_names);
  g_test_add_func ("/learned/adapters/rank", test_rank);
  g_test_add_func ("/learned/adapters/version-1", test_version_1);
  g_test_add_func ("/learned/adapters/types", test_types);
  return g_test_run ();
}
