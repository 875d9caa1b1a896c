/* Damaged payloads of codec files: an error, or finite values, in bounded time. */
#include "codec/entropy/rans.h"
#include "codec/learned/coder.h"
#include "tests/support/golden-payloads.h"
#include "tests/support/learned-tools.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#define MAX_SECONDS 60          /* of all damage to one golden payload, far more than it takes under valgrind */

/* Decodes a copy of exact size. */
static gboolean
survive (RdCodec * codec, const RdGolden * g, const guint8 * payload,
    gsize size)
{
  g_autofree guint8 *exact = g_memdup2 (payload, MAX (size, 1));
  g_autofree gfloat *x = g_new0 (gfloat, g->n * g->hidden_size);
  g_autoptr (GError) error = NULL;
  RdRows rows = {.n = g->n,.features = g->features };

  (void) rd_codec_needs_features (codec, exact, size, FALSE);
  if (!rd_codec_decode (codec, &rows, exact, size, FALSE, x, &error)) {
    g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);
    return FALSE;
  }
  for (gsize i = 0; i < g->n * g->hidden_size; i++)
    g_assert_true (isfinite (x[i]));
  return TRUE;
}

/* Large payloads: not every place. */
static gsize
stride_of (const RdGolden * g)
{
  return g->size > 1000 ? 7 : 1;
}

static void
damage (RdCodec * codec, const RdGolden * g, guint * truncations, guint * flips)
{
  g_autofree guint8 *payload = g_memdup2 (g->payload, g->size + 1);
  gint64 end = g_get_monotonic_time () + MAX_SECONDS * G_USEC_PER_SEC;

  for (gsize size = 0; size < g->size; size += stride_of (g))
    *truncations += survive (codec, g, payload, size);
  for (gsize bit = 0; bit < 8 * g->size; bit += stride_of (g)) {
    payload[bit / 8] ^= 1u << bit % 8;
    *flips += survive (codec, g, payload, g->size);
    payload[bit / 8] ^= 1u << bit % 8;
  }
  payload[g->size] = 0;
  survive (codec, g, payload, g->size + 1);
  g_assert_true (survive (codec, g, payload, g->size));
  g_assert_cmpint (g_get_monotonic_time (), <, end);
}

/* Much of it is noticed, not all: a checksum is the frame's work. */
static void
test_golden (void)
{
  g_autoptr (GPtrArray) all = rd_golden_load_all ();
  guint truncations = 0, flips = 0;

  for (guint i = 0; i < all->len; i++) {
    const RdGolden *g = all->pdata[i];
    g_autoptr (RdCodec) codec = rd_codec_new (g->codec_path, 0, NULL);

    damage (codec, g, &truncations, &flips);
  }
  g_test_message ("not noticed: %u truncations, %u flips", truncations, flips);
}

/* Golden payloads under another count of rows, and under every other file. */
static void
test_mixed_up (void)
{
  static const gchar *const names[] = { "d1", "d5", "d33", "d64" };
  g_autoptr (GPtrArray) all = rd_golden_load_all ();

  for (guint c = 0; c < G_N_ELEMENTS (names); c++) {
    g_autofree gchar *path = rd_golden_codec_path (names[c]);
    g_autoptr (RdCodec) codec = rd_codec_new (path, 0, NULL);
    guint hidden = rd_codec_info (codec)->hidden_size;
    g_autofree gfloat *features = rd_golden_features (1024, hidden);

    for (guint i = 0; i < all->len; i++) {
      RdGolden g = *(const RdGolden *) all->pdata[i];
      static const gsize counts[] = { 1, 2, 9, 64, 129, 1024 };

      g.hidden_size = hidden;
      g.features = features;
      for (guint k = 0; k < G_N_ELEMENTS (counts); k++) {
        g.n = counts[k];
        survive (codec, &g, g.payload, g.size);
      }
    }
  }
}

static void
assert_damaged (RdCodec * codec, gsize n, const guint8 * payload, gsize size,
    const gchar * message)
{
  gfloat x[16 * 4];
  g_autoptr (GError) error = NULL;
  RdRows rows = {.n = n };

  g_assert_false (rd_codec_decode (codec, &rows, payload, size, FALSE, x,
          &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);
  if (!strstr (error->message, message))
    g_error ("'%s' does not say '%s'", error->message, message);
}

static void
test_first_bytes (void)
{
  static const struct
  {
    guint8 bytes[12];
    gsize size;
    const gchar *message;
  } cases[] = {
    {{0}, 0, "1 tokens do not fit a payload of 0 bytes"},
    {{0}, 1, "1 tokens do not fit a payload of 1 bytes"},
    {{0x80, 0, 1}, 3, "first bytes"},   /* flags of which none is set */
    {{0x80, 0x20, 1}, 3, "first bytes"},
    {{0x80, 0x10, 1}, 3, "first bytes"},        /* PLANES without LOSSLESS */
    {{0x81, 0x04, 1, 2, 3, 4}, 6, "first bytes"},       /* LOSSLESS at a level */
    {{0x80, 0x05, 1, 2, 3, 4}, 6, "first bytes"},       /* LOSSLESS and SCALAR */
    {{0x80, 0x0c, 1, 2, 3, 4}, 6, "first bytes"},       /* LOSSLESS with LENGTHS */
    {{0x80, 0x04, 1, 2, 3}, 5, "its size is not that of its rows"},
    {{0x80, 0x04, 1, 2, 3, 4, 5}, 7, "its size is not that of its rows"},
    {{0x80, 0x04, 0, 0, 0x80, 0x7f}, 6, "a value is not finite"},
    {{0x80, 0x14, 1, 2, 3, 4}, 6, "its size is not that of packed rows"},
    {{0x80, 0x02, 1}, 3, "this codec file cannot"},
    {{0x80, 0x08}, 2, "it ends before a block"},
    {{0x80, 0x08, 0x80}, 3, "it ends before a block"},
    {{0x80, 0x08, 0x80, 0}, 4, "it ends before a block"},       /* a longer spelling */
    {{0x80, 0x08, 5, 1}, 4, "it ends within a block"},
    {{0x80, 0x08, 0xff, 0xff, 0xff, 0xff, 0x0f, 1}, 8, "it ends within a"},
    {{0x80, 0x08, 0xff, 0xff, 0xff, 0xff, 0x1f, 1}, 8, "it ends before a"},
  };
  g_autoptr (RdCodec) codec = rd_test_codec (1, RD_SIDE_INFO_NONE, 0);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree guint8 *exact = g_memdup2 (cases[i].bytes,
        MAX (cases[i].size, 1));

    assert_damaged (codec, 1, exact, cases[i].size, cases[i].message);
  }
}

/* ---- well coded, but not allowed ---- */

#define HIDDEN 2

/* A payload of @n rows of two coefficients with these modes, steps and symbols, (4, w) in all; level 0, with LENGTHS. */
static GByteArray *
forge (const RdLearnedModel * model, gsize n, const gint32 * symbols)
{
  gsize w = rd_padded_rows (n), d = HIDDEN;
  g_autoptr (RdCoder) coder = rd_coder_new (model);
  g_autoptr (GByteArray) stream = g_byte_array_new ();
  GByteArray *out = g_byte_array_new ();
  guint16 tables[(HIDDEN + 2) * 16];
  gint32 raw = 1 + (gint32) model->p->n_constants;

  rd_coder_set (coder, 0, 0, FALSE);
  coder->context.n = w;
  for (gsize t = 0; t < w; t++) {
    tables[t] = t < n ? RD_TABLE_MODE : RD_TABLE_PADDING;
    tables[w + t] = t < n && symbols[t] != raw ? RD_TABLE_STEP :
        RD_TABLE_PADDING;
    coder->context.offset[t] = 32 * symbols[w + t];
  }
  rd_context_start (&coder->context);
  for (gsize j = 0; j < d; j++) {
    rd_context_next (&coder->context, symbols + (j + 1) * w, j,
        tables + (j + 2) * w);
    for (gsize t = 0; t < w; t++)
      if (tables[w + t] == RD_TABLE_PADDING)
        tables[(j + 2) * w + t] = RD_TABLE_PADDING;
  }
  g_assert_true (rd_rans_encode (model->tables, rd_block_lanes (n), symbols,
          tables, (d + 2) * w, stream, NULL));
  rd_append_u8 (out, 0x80);
  rd_append_u8 (out, 0x08);
  rd_varint_append (out, stream->len);
  g_byte_array_append (out, stream->data, stream->len);
  return out;
}

static void
test_forged (void)
{
  static const struct
  {
    gint32 symbols[4];
    const gchar *message;       /* NULL: fine */
  } cases[] = {
    {{0, 0, 0, 0}, NULL},
    {{1, 31, 5, -5}, NULL},
    {{3, 0, 0, 0}, "mode"},     /* 0, one constant, 2 = RAW */
    {{-1, 0, 0, 0}, "mode"},
    {{1 << 24, 0, 0, 0}, "mode"},
    {{2, 0, 0, 0}, "within a raw row"},
    {{2, 1, 0, 0}, "step"},
    {{2, 0, 1, 0}, "padding"},
    {{0, 32, 0, 0}, "step"},
    {{0, -33, 0, 0}, "step"},
    {{0, 0, 1 << 22, 0}, NULL},
    {{0, 0, (1 << 22) + 1, 0}, "a symbol is out of range"},
    {{0, 0, 0, -(1 << 24)}, "a symbol is out of range"},
  };
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (HIDDEN, RD_SIDE_INFO_NONE, 1);
  g_autofree gchar *path = rd_test_save (p);
  g_autoptr (RdCodec) codec = rd_codec_new (path, HIDDEN, NULL);
  g_autoptr (RdLearnedModel) model =
      rd_learned_model_new (rd_learned_parameters_load (path, NULL), NULL);
  RdRows rows = {.n = 1 };
  gfloat x[HIDDEN];

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GByteArray) out = forge (model, 1, cases[i].symbols);

    if (cases[i].message)
      assert_damaged (codec, 1, out->data, out->len, cases[i].message);
    else
      g_assert_true (rd_codec_decode (codec, &rows, out->data, out->len, FALSE,
              x, NULL));
  }
  g_unlink (path);
}

/* Padding that says something, in each of the places it has. */
static void
test_forged_padding (void)
{
  enum
  { N = 9, W = 16 };
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (HIDDEN, RD_SIDE_INFO_NONE, 1);
  g_autofree gchar *path = rd_test_save (p);
  g_autoptr (RdCodec) codec = rd_codec_new (path, HIDDEN, NULL);
  g_autoptr (RdLearnedModel) model =
      rd_learned_model_new (rd_learned_parameters_load (path, NULL), NULL);
  static const gchar *const messages[] = { "mode", "step", "padding",
    "padding"
  };
  gfloat x[N * HIDDEN];
  RdRows rows = {.n = N };

  for (guint i = 0; i <= G_N_ELEMENTS (messages); i++) {
    gint32 symbols[(HIDDEN + 2) * W] = { 0 };

    if (i < G_N_ELEMENTS (messages))
      symbols[i * W + N + i] = 1;
    g_autoptr (GByteArray) out = forge (model, N, symbols);
    if (i < G_N_ELEMENTS (messages))
      assert_damaged (codec, N, out->data, out->len, messages[i]);
    else
      g_assert_true (rd_codec_decode (codec, &rows, out->data, out->len, FALSE,
              x, NULL));
  }
  g_unlink (path);
}

/* Coefficients that are fine and a value that is not: numbers larger than F16 has them. */
static void
test_overflow (void)
{
  RdLearnedParameters *p = rd_test_parameters (HIDDEN, RD_SIDE_INFO_NONE, 1);
  static const gint32 symbols[2][4] = { {0, 0, 0, 0}, {0, 0, 1 << 22, 0} };

  for (guint i = 0; i < HIDDEN * HIDDEN; i++)
    p->set[0].synthesis[i] = 1e37f;
  g_autoptr (RdLearnedModel) model = rd_learned_model_new (p, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (symbols); i++) {
    g_autoptr (GByteArray) out = forge (model, 1, symbols[i]);
    g_autoptr (RdCoder) coder = rd_coder_new (model);
    g_autoptr (GError) error = NULL;
    RdReader reader = { out->data, out->len, 3, FALSE };
    RdRows rows = {.n = 1 };
    gfloat x[HIDDEN];
    const RdBlock block = {.rows = &rows,.n = 1,.reader = &reader,
      .length = out->len - 3,.x = x
    };

    rd_coder_set (coder, 0, 0, FALSE);
    g_assert_cmpint (rd_coder_decode (coder, &block, &error), ==, i == 0);
    if (i == 1) {
      g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);
      g_assert_nonnull (strstr (error->message, "a value is not finite"));
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/learned/damage/golden", test_golden);
  g_test_add_func ("/learned/damage/mixed-up", test_mixed_up);
  g_test_add_func ("/learned/damage/first-bytes", test_first_bytes);
  g_test_add_func ("/learned/damage/forged", test_forged);
  g_test_add_func ("/learned/damage/forged-padding", test_forged_padding);
  g_test_add_func ("/learned/damage/overflow", test_overflow);
  return g_test_run ();
}
