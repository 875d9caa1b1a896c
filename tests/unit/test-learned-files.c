/* Codec files that are wrong: each gets an error that names the file and what is wrong with it. */
#include "models/gguf/gguf-writer.h"
#include "tests/support/gguf-bytes.h"
#include "tests/support/golden-payloads.h"
#include "tests/support/learned-tools.h"
#include "tests/support/tiny-model.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HIDDEN 5
#define MAX_ARRAY 60000

typedef enum
{
  REMOVE_KEY,
  SET_TEXT,                     /* text */
  SET_NUMBER,                   /* value */
  SET_FLOAT,                    /* number */
  SET_ELEMENT,                  /* element @index of an array becomes value */
  SET_LENGTH,                   /* an array gets value elements, new ones 1 */
  AS_FLOATS,                    /* an array of integers becomes one of floats */
  FLOAT_ELEMENT,                /* element @index of an array of floats becomes number */
  REMOVE_TENSOR,
  RESIZE_TENSOR,                /* rows: index, columns: value */
  FILL_TENSOR,                  /* with number */
  RETYPE_TENSOR,                /* type value */
} Change;

typedef struct
{
  Change change;
  const gchar *name;            /* of the key or tensor */
  gint64 value;
  const gchar *message;
  gsize index;
  gdouble number;
  const gchar *text;
  gboolean unknown;             /* an UNKNOWN error; else INPUT */
} Case;

/* ---- making them ---- */

static void
change_array (StGgufWriter * writer, const StGguf * base, const Case * c)
{
  gsize n = st_gguf_array_length (base, c->name);
  g_autofree gint64 *values = g_new (gint64, MAX_ARRAY);

  g_assert_cmpuint (n, >, 0);
  for (gsize i = 0; i < MAX_ARRAY; i++)
    values[i] = 1;
  for (gsize i = 0; i < n; i++)
    g_assert_true (st_gguf_array_int (base, c->name, i, &values[i]));
  if (c->change == SET_ELEMENT)
    values[c->index] = c->value;
  else
    n = (gsize) c->value;
  st_gguf_writer_set_array (writer, c->name, ST_GGUF_INT64, values, n);
}

static void
change_float_array (StGgufWriter * writer, const StGguf * base, const Case * c)
{
  gsize n = st_gguf_array_length (base, c->name);
  g_autofree gdouble *values = g_new0 (gdouble, n);

  g_assert_cmpuint (n, >, 0);
  if (c->change == FLOAT_ELEMENT)
    values[c->index] = c->number;
  st_gguf_writer_set_array (writer, c->name, ST_GGUF_FLOAT64, values, n);
}

static void
change_key (StGgufWriter * writer, const StGguf * base, const Case * c)
{
  switch (c->change) {
    case REMOVE_KEY:
      g_assert_nonnull (st_gguf_find_entry (base, c->name));
      st_gguf_writer_remove_prefix (writer, c->name);
      break;
    case SET_TEXT:
      st_gguf_writer_set_string (writer, c->name, c->text);
      break;
    case SET_NUMBER:
      st_gguf_writer_set_int32 (writer, c->name, (gint32) c->value);
      break;
    case SET_FLOAT:
      st_gguf_writer_set_float (writer, c->name, (gfloat) c->number);
      break;
    case SET_ELEMENT:
    case SET_LENGTH:
      change_array (writer, base, c);
      break;
    default:
      change_float_array (writer, base, c);
  }
}

/* Copies the tensors, but for the one that changes; its new contents are *@data, to be kept until the file is written. */
static void
copy_tensors (StGgufWriter * writer, StGguf * base, const Case * c,
    gfloat ** data)
{
  gboolean found = c->change < REMOVE_TENSOR;

  for (guint64 i = 0; i < st_gguf_n_tensors (base); i++) {
    const StTensor *tensor = st_gguf_tensor (base, i);
    guint64 ne[2] = { tensor->ne[0], tensor->ne[1] };
    StType type = ST_TYPE_F32;

    if (c->change < REMOVE_TENSOR || strcmp (tensor->name, c->name) != 0) {
      g_assert_true (st_gguf_writer_copy_tensor (writer, base, tensor, NULL));
      continue;
    }
    found = TRUE;
    if (c->change == REMOVE_TENSOR)
      continue;
    if (c->change == RESIZE_TENSOR) {
      ne[0] = (guint64) c->value;
      ne[1] = c->index;
    } else if (c->change == RETYPE_TENSOR) {
      type = (StType) c->value;
    }
    *data = g_new0 (gfloat, ne[0] * ne[1]);
    for (guint64 k = 0; k < ne[0] * ne[1] && c->change == FILL_TENSOR; k++)
      (*data)[k] = (gfloat) c->number;
    g_assert_true (st_gguf_writer_add_tensor (writer, tensor->name, type, 2,
            ne, *data, NULL));
  }
  g_assert_true (found);
}

/* @path, changed; free and unlink. */
static gchar *
make_wrong (const gchar * path, const Case * c)
{
  g_autoptr (StGguf) base = st_gguf_open (path, NULL);
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autofree gfloat *data = NULL;
  gchar *wrong = g_strconcat (path, "-wrong.gguf", NULL);

  st_gguf_writer_copy_metadata (writer, base);
  if (c->change < REMOVE_TENSOR)
    change_key (writer, base, c);
  copy_tensors (writer, base, c, &data);
  g_assert_true (st_gguf_writer_write (writer, wrong, NULL));
  return wrong;
}

static void
assert_refused (const gchar * path, gint code, const gchar * message)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (rd_codec_new (path, 0, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, RD_CODEC_ERROR, code);
  g_assert_nonnull (strstr (error->message, path));
  if (!strstr (error->message, message))
    g_error ("'%s' does not say '%s'", error->message, message);
}

/* ---- cases ---- */

static const Case cases[] = {
  {SET_TEXT, "general.architecture", 0,
        .message =
        "architecture is 'llama', not 'rdcodec': a codec file is wanted here",
      .text = "llama",.unknown = TRUE},
  {REMOVE_KEY, "general.architecture", 0,.message =
        "architecture is ''",.unknown = TRUE},
  {SET_NUMBER, "rdcodec.version", 4,
      .message =
        "version 4 of the format, this program knows versions 1 to 3",.unknown
        = TRUE},
  {SET_NUMBER, "rdcodec.version", 3,.message =
        "rdcodec.entropy or rdcodec.networks.set is not there"},
  {SET_TEXT, "rdcodec.entropy", 0,.message =
        "it has rdcodec.entropy, which is not for version 1",.text =
        "autoregressive"},
  {SET_NUMBER, "rdcodec.version", 2,.message = "no number adapter.lora.alpha"},
  {REMOVE_KEY, "rdcodec.version", 0,.message = "version 0",.unknown = TRUE},
  {SET_TEXT, "rdcodec.version", 0,.message = "version 0",.text = "1",.unknown =
        TRUE},
  {SET_TEXT, "rdcodec.model.id", 0,.message = "64 hexadecimal digits",.text =
        "0123"},
  {SET_TEXT, "rdcodec.model.id", 0,.message = "64 hexadecimal digits",.text =
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg"},
  {REMOVE_KEY, "rdcodec.split_layer", 0,.message =
        "no number rdcodec.split_layer"},
  {SET_NUMBER, "rdcodec.split_layer", -1,.message =
        "no number rdcodec.split_layer"},
  {SET_NUMBER, "rdcodec.split_layer", 65536,
      .message = "rdcodec.split_layer is 65536, not 0 to 65535"},
  {SET_NUMBER, "rdcodec.hidden_size", 16385,
      .message = "rdcodec.hidden_size is 16385, not 1 to 16384"},
  {SET_NUMBER, "rdcodec.hidden_size", 16384,.message =
        "constants is not 2 x 16384"},
  {SET_NUMBER, "rdcodec.hidden_size", 0,.message =
        "rdcodec.hidden_size is 0, not 1 to 16384"},
  {SET_NUMBER, "rdcodec.hidden_size", 6,.message = "constants is not 2 x 6"},
  {SET_FLOAT, "rdcodec.hidden_size", 0,.message =
        "no number rdcodec.hidden_size",
      .number = 5},
  {SET_TEXT, "rdcodec.side_info", 0,
      .message = "side_info is 'all', not none, embedding or blocks",.text =
        "all"},
  {REMOVE_KEY, "rdcodec.side_info", 0,.message = "side_info is ''"},
  {REMOVE_KEY, "rdcodec.side_info.blocks", 0,
      .message = "no number rdcodec.side_info.blocks"},
  {SET_NUMBER, "rdcodec.side_info.blocks", 1025,.message = "not 0 to 1024"},
  {REMOVE_KEY, "rdcodec.level.coarsest", 0,.message =
        "no number rdcodec.level.coarsest"},
  {SET_NUMBER, "rdcodec.level.coarsest", 8193,.message = "coarsest step"},
  {SET_NUMBER, "rdcodec.level.coarsest", -8193,.message = "coarsest step"},
  {REMOVE_KEY, "rdcodec.trellis.lambda", 0,.message =
        "no number rdcodec.trellis.lambda"},
  {SET_FLOAT, "rdcodec.trellis.lambda", 0,.message = "trellis.lambda",.number =
        NAN},
  {SET_FLOAT, "rdcodec.trellis.lambda", 0,.message = "trellis.lambda",.number =
        -0.1},
  {SET_FLOAT, "rdcodec.trellis.lambda", 0,.message = "trellis.lambda",.number =
        1.1},
  {REMOVE_KEY, "rdcodec.knots", 0,.message =
        "rdcodec.knots has 0 numbers, not 2 to 16"},
  {SET_LENGTH, "rdcodec.knots", 0,.message =
        "rdcodec.knots has 0 numbers, not 2 to 16"},
  {SET_LENGTH, "rdcodec.knots", 17,.message =
        "rdcodec.knots has 17 numbers, not 2 to 16"},
  {SET_LENGTH, "rdcodec.knots", 2,.message =
        "set.0.steps has 15 numbers instead of 10"},
  {SET_ELEMENT, "rdcodec.knots", 1,.message =
        "the knots do not begin with 0",.index = 0},
  {SET_ELEMENT, "rdcodec.knots", 126,.message = "and end with 127",.index = 2},
  {SET_ELEMENT, "rdcodec.knots", 127,.message = "ascending",.index = 1},
  {SET_ELEMENT, "rdcodec.knots", 0,.message = "ascending",.index = 1},
  {AS_FLOATS, "rdcodec.knots", 0,.message = "not an integer"},
  {SET_ELEMENT, "rdcodec.set.0.scale", 8193,
        .message =
        "set.0.scale has 8193 as number 3, which is not between -8192 and 8192",
      .index = 3},
  {SET_ELEMENT, "rdcodec.set.1.scale", -8193,.message =
        "set.1.scale has -8193 as number" " 4",.index = 4},
  {SET_ELEMENT, "rdcodec.set.0.scale", G_MAXINT64,
      .message =
        "number 0 of rdcodec.set.0.scale is not an integer of 32 bits"},
  {SET_LENGTH, "rdcodec.set.0.scale", 4,.message =
        "has 4 numbers instead of 5"},
  {REMOVE_KEY, "rdcodec.set.0.scale", 0,.message =
        "has 0 numbers instead of 5"},
  {AS_FLOATS, "rdcodec.set.0.scale", 0,.message = "not an integer"},
  {SET_ELEMENT, "rdcodec.set.0.steps", 2049,.message = "set.0.steps has 2049",
      .index = 14},
  {SET_ELEMENT, "rdcodec.set.1.steps", -2049,.message =
        "set.1.steps has -2049"},
  {SET_ELEMENT, "rdcodec.set.0.weights", 128,.message =
        "set.0.weights has 128"},
  {SET_ELEMENT, "rdcodec.set.0.weights", -129,.message =
        "set.0.weights has -129",
      .index = 9},
  {SET_LENGTH, "rdcodec.set.0.weights", 11,.message =
        "has 11 numbers instead of 10"},
  {REMOVE_KEY, "rdcodec.set.1.weights", 0,.message =
        "has 0 numbers instead of 10"},
  {REMOVE_KEY, "rdcodec.set.0.token_step.strength", 0,
      .message = "set.0.token_step.strength is missing"},
  {FLOAT_ELEMENT, "rdcodec.set.0.token_step.strength", 0,
      .message = "set.0.token_step.strength holds NaN or infinity",.index =
        2,.number = INFINITY},
  {FLOAT_ELEMENT, "rdcodec.set.0.token_step.strength", 0,
      .message = "set.0.token_step.strength holds NaN or infinity",.number =
        1e300},
  {SET_LENGTH, "rdcodec.tables.min", 338,.message =
        "has 338 numbers instead of 339"},
  {SET_ELEMENT, "rdcodec.tables.min", -8193,.message =
        "entropy table 7: the smallest",
      .index = 7},
  {SET_ELEMENT, "rdcodec.tables.min", 8191,.message =
        "entropy table 338: the smallest",
      .index = 338},
  {SET_ELEMENT, "rdcodec.tables.count", 0,.message =
        "table 5 has 0 values",.index = 5},
  {SET_ELEMENT, "rdcodec.tables.count", -1,.message =
        "table 5 has -1 values",.index = 5},
  {SET_ELEMENT, "rdcodec.tables.count", 900,.message =
        "table 338 has 900 values",.index = 338},
  {SET_ELEMENT, "rdcodec.tables.count", 899,.message =
        "table 338 has no frequency",
      .index = 338},
  {SET_ELEMENT, "rdcodec.tables.count", 2,.message =
        "more numbers than the 9934",.index = 0},
  {SET_ELEMENT, "rdcodec.tables.golomb", 13,.message =
        "entropy table 9: the escape's" " Golomb order is above 12",.index = 9},
  {SET_ELEMENT, "rdcodec.tables.golomb", -1,.message =
        "entropy table 9: the escape's",.index = 9},
  {REMOVE_KEY, "rdcodec.tables.golomb", 0,.message =
        "has 0 numbers instead of 339"},
  {SET_ELEMENT, "rdcodec.tables.cumulative", 1,
      .message =
        "entropy table 0: the cumulative frequencies do not begin with 0"},
  {SET_ELEMENT, "rdcodec.tables.cumulative", 0,
      .message = "entropy table 0: a symbol has frequency zero",.index = 1},
  {SET_ELEMENT, "rdcodec.tables.cumulative", 16384,
      .message =
        "entropy table 0: the cumulative frequencies descend",.index = 1},
  {SET_ELEMENT, "rdcodec.tables.cumulative", 16383,
      .message =
        "entropy table 335: the frequencies do not sum to 16384",.index = 9859},
  {SET_ELEMENT, "rdcodec.tables.cumulative", 16385,
      .message = "table 0 has no frequency of 0 to 16384 in place 2",.index =
        2},
  {SET_ELEMENT, "rdcodec.tables.cumulative", -1,.message =
        "table 0 has no frequency"},
  {SET_LENGTH, "rdcodec.tables.cumulative", 100,.message = "has no frequency"},
  {SET_LENGTH, "rdcodec.tables.cumulative", MAX_ARRAY,.message =
        "more numbers than"},
  {REMOVE_KEY, "rdcodec.tables.cumulative", 0,.message =
        "table 0 has no frequency"},
  {SET_ELEMENT, "rdcodec.tables.magnitude", 4081,.message =
        "mean magnitude",.index = 223},
  {SET_ELEMENT, "rdcodec.tables.magnitude", -1,.message = "mean magnitude"},
  {SET_LENGTH, "rdcodec.tables.magnitude", 223,.message = "instead of 224"},
  {REMOVE_TENSOR, "set.0.mean", 0,.message = "set.0.mean is missing"},
  {RESIZE_TENSOR, "set.0.mean", HIDDEN,.message =
        "tensor set.0.mean is not 1 x 5",
      .index = 2},
  {RESIZE_TENSOR, "set.0.mean", HIDDEN - 1,.message =
        "tensor set.0.mean is not 1 x 5",
      .index = 1},
  {FILL_TENSOR, "set.1.mean", 0,.message =
        "set.1.mean holds NaN or infinity",.number = NAN},
  {RETYPE_TENSOR, "set.0.mean", ST_TYPE_BF16,.message = "neither F32 nor F16"},
  {REMOVE_TENSOR, "set.0.synthesis", 0,.message = "set.0.synthesis is missing"},
  {RESIZE_TENSOR, "set.1.synthesis", HIDDEN,
      .message = "tensor set.1.synthesis is not 5 x 5",.index = 4},
  {FILL_TENSOR, "set.0.synthesis", 0,.message =
        "set.0.synthesis holds NaN or infinity",
      .number = -INFINITY},
  {REMOVE_TENSOR, "set.1.readout", 0,.message = "set.1.readout is missing"},
  {FILL_TENSOR, "set.1.readout", 0,.message = "set.1.readout holds",.number =
        NAN},
  {RESIZE_TENSOR, "set.1.token_step", HIDDEN,.message =
        "set.1.token_step is not 1 x 7",
      .index = 1},
  {FILL_TENSOR, "set.0.token_step", 0,.message =
        "set.0.token_step holds NaN",.number = NAN},
  {RESIZE_TENSOR, "constants", HIDDEN,.message =
        "more than 8 constants",.index = 9},
  {RESIZE_TENSOR, "constants", HIDDEN + 1, "tensor constants is not 2 x 5",
      .index = 2},
  {FILL_TENSOR, "constants", 0,.message =
        "constants hold NaN or infinity",.number = INFINITY},
};

static gchar *
make_base (void)
{
  g_autoptr (RdLearnedParameters) p =
      rd_test_parameters (HIDDEN, RD_SIDE_INFO_BLOCKS, 2);

  return rd_test_save (p);
}

static void
test_wrong (void)
{
  g_autofree gchar *base = make_base ();

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    const Case *c = &cases[i];
    g_autofree gchar *path = make_wrong (base, c);

    assert_refused (path, c->unknown ? RD_CODEC_ERROR_UNKNOWN :
        RD_CODEC_ERROR_INPUT, c->message);
    g_unlink (path);
  }
  g_unlink (base);
}

/* What a later writer may add does not matter. */
static void
test_additions (void)
{
  static const Case additions[] = {
    {SET_TEXT, "rdcodec.more", 0,.message = "",.text = "x"},
    {SET_NUMBER, "general.quantization_version", 2,.message = ""},
    {SET_TEXT, "rdcodec.provenance.tool", 0,.message = "",.text = "none"},
  };
  g_autofree gchar *base = make_base ();

  for (guint i = 0; i < G_N_ELEMENTS (additions); i++) {
    g_autofree gchar *path = make_wrong (base, &additions[i]);
    g_autoptr (RdCodec) codec = rd_codec_new (path, HIDDEN, NULL);

    g_assert_nonnull (codec);
    g_unlink (path);
  }
  g_unlink (base);
}

/* Decoders do without an inverse; encoders say that there is none. */
static void
test_no_inverse (void)
{
  static const Case flat = { FILL_TENSOR, "set.0.synthesis", 0, "",.number = 1
  };
  g_autofree gchar *base = make_base ();
  g_autofree gchar *path = make_wrong (base, &flat);
  g_autoptr (RdCodec) good = rd_codec_new (base, HIDDEN, NULL);
  g_autoptr (RdCodec) codec = rd_codec_new (path, HIDDEN, NULL);
  g_autofree gfloat *x = rd_test_rows (9, HIDDEN, 1);
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  RdRows rows = {.n = 9 };
  gboolean packed;

  g_assert_true (rd_codec_encode (good, &rows, x, FALSE, out, &packed, NULL));
  g_assert_true (rd_codec_decode (codec, &rows, out->data, out->len, FALSE, x,
          NULL));
  for (guint i = 0; i < 2; i++) {
    g_byte_array_set_size (out, 0);
    g_clear_error (&error);
    g_assert_false (rd_codec_encode (codec, &rows, x, FALSE, out, &packed,
            &error));
    g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
    g_assert_nonnull (strstr (error->message, "set.0.synthesis"));
    g_assert_cmpuint (out->len, ==, 0);
  }
  g_unlink (base);
  g_unlink (path);
}

static void
test_other_files (void)
{
  g_autofree gchar *model = st_tiny_model_temp (NULL);
  g_autofree gchar *empty = gb_write_temp ("", 0);
  g_autofree gchar *text = gb_write_temp ("This is no codec file, but a text.",
      34);
  g_autofree gchar *base = make_base ();
  g_autoptr (GError) error = NULL;

  assert_refused (model, RD_CODEC_ERROR_UNKNOWN, "architecture is 'llama'");
  assert_refused (empty, RD_CODEC_ERROR_UNKNOWN, "not a GGUF file");
  assert_refused (text, RD_CODEC_ERROR_UNKNOWN, "not a GGUF file");
  assert_refused ("/nowhere/a.gguf", RD_CODEC_ERROR_UNKNOWN, "cannot open");
  assert_refused (g_get_tmp_dir (), RD_CODEC_ERROR_UNKNOWN,
      "not a regular file");
  g_assert_null (rd_codec_new (base, HIDDEN + 1, &error));
  g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
  g_assert_nonnull (strstr (error->message,
          "is for hidden states of 5 values, not of 6"));
  g_unlink (model);
  g_unlink (empty);
  g_unlink (text);
  g_unlink (base);
}

/* ---- damage ---- */

/* An error of the codec's own, or a codec that works. */
static gboolean
survive (const gchar * path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RdCodec) codec = rd_codec_new (path, 0, &error);
  static const gfloat x[3 * 16] = { 1, -2, 3 };
  g_autoptr (GByteArray) out = g_byte_array_new ();
  gboolean packed;
  gfloat y[3 * 16];
  RdRows rows = {.n = 3 };

  if (!codec) {
    g_assert_cmpint (error->domain, ==, RD_CODEC_ERROR);
    g_assert_nonnull (strstr (error->message, path));
    return FALSE;
  }
  g_assert_cmpuint (rd_codec_info (codec)->hidden_size, <=, 16);
  if (rd_codec_encode (codec, &rows, x, FALSE, out, &packed, &error)) {
    if (!rd_codec_decode (codec, &rows, out->data, out->len, packed, y, &error))
      g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD);
  } else {
    g_assert_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT);
  }
  return TRUE;
}

/* The same for @n bytes as the contents of a file in memory. */
static gboolean
survive_bytes (gconstpointer bytes, gsize n)
{
  gint fd = memfd_create ("codec", MFD_CLOEXEC);
  g_autofree gchar *path = g_strdup_printf ("/proc/self/fd/%d", fd);
  gboolean opened;

  g_assert_cmpint (write (fd, bytes, n), ==, (gssize) n);
  opened = survive (path);
  close (fd);
  return opened;
}

static void
test_truncated (void)
{
  g_autofree gchar *golden = rd_golden_codec_path ("d1");
  g_autofree gchar *bytes = NULL;
  gsize size;

  g_assert_true (g_file_get_contents (golden, &bytes, &size, NULL));
  for (gsize n = 0; n < size; n++)
    g_assert_false (survive_bytes (bytes, n));
  g_assert_true (survive_bytes (bytes, size));
}

/* Every bit, but of numbers of tables only some. */
static void
test_flipped (void)
{
  g_autofree gchar *golden = rd_golden_codec_path ("d1");
  g_autofree gchar *bytes = NULL;
  guint refused = 0, tried = 0;
  gsize size;

  g_assert_true (g_file_get_contents (golden, &bytes, &size, NULL));
  gsize from = (gsize) ((gchar *) memmem (bytes, size, "rdcodec.tables.min",
          18) - bytes);
  gsize to = (gsize) ((gchar *) memmem (bytes, size, "rdcodec.set.0.scale",
          19) - bytes);
  for (gsize bit = 0; bit < 8 * size; bit++, tried++) {
    if (bit / 8 > from + 64 && bit / 8 < to - 64)
      bit += 30;
    bytes[bit / 8] ^= (gchar) (1u << bit % 8);
    refused += !survive_bytes (bytes, size);
    bytes[bit / 8] ^= (gchar) (1u << bit % 8);
  }
  g_test_message ("%u of %u flipped bits refused", refused, tried);
  g_assert_cmpuint (refused, >, tried / 4);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/learned/files/wrong", test_wrong);
  g_test_add_func ("/learned/files/additions", test_additions);
  g_test_add_func ("/learned/files/no-inverse", test_no_inverse);
  g_test_add_func ("/learned/files/other-files", test_other_files);
  g_test_add_func ("/learned/files/truncated", test_truncated);
  g_test_add_func ("/learned/files/flipped", test_flipped);
  return g_test_run ();
}
