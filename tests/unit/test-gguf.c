/* The GGUF reader: what it gives. */
#include "models/gguf/gguf.h"

#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "tests/support/gguf-bytes.h"
#include "tests/support/tiny-model.h"

static void
scalars (GByteArray * b)
{
  const gint64 low = G_MININT64;
  const gdouble pi = 3.25;
  const gfloat half = 0.5f;
  const guint8 one = 1, minus = 0xfe;

  gb_key (b, "u8", ST_GGUF_UINT8);
  gb_bytes (b, &minus, 1);
  gb_key (b, "i8", ST_GGUF_INT8);
  gb_bytes (b, &minus, 1);
  gb_key (b, "u16", ST_GGUF_UINT16);
  gb_bytes (b, "\x01\x80", 2);
  gb_key (b, "i16", ST_GGUF_INT16);
  gb_bytes (b, "\x01\x80", 2);
  gb_key_u32 (b, "u32", 0x80000001);
  gb_key (b, "i32", ST_GGUF_INT32);
  gb_u32 (b, 0x80000001);
  gb_key (b, "f32", ST_GGUF_FLOAT32);
  gb_bytes (b, &half, 4);
  gb_key (b, "bool", ST_GGUF_BOOL);
  gb_bytes (b, &one, 1);
  gb_key (b, "str", ST_GGUF_STRING);
  gb_string (b, "text");
  gb_key (b, "u64", ST_GGUF_UINT64);
  gb_u64 (b, G_MAXUINT64);
  gb_key (b, "i64", ST_GGUF_INT64);
  gb_bytes (b, &low, 8);
  gb_key (b, "f64", ST_GGUF_FLOAT64);
  gb_bytes (b, &pi, 8);
}

static void
test_scalars (void)
{
  static const struct
  {
    const gchar *key;
    gboolean fits_int, fits_uint;
    gint64 as_int;
    guint64 as_uint;
  } cases[] = {
    {"u8", TRUE, TRUE, 254, 254},
    {"i8", TRUE, FALSE, -2, 0},
    {"u16", TRUE, TRUE, 0x8001, 0x8001},
    {"i16", TRUE, FALSE, -32767, 0},
    {"u32", TRUE, TRUE, 0x80000001, 0x80000001},
    {"i32", TRUE, FALSE, -2147483647, 0},
    {"u64", FALSE, TRUE, 0, G_MAXUINT64},
    {"i64", TRUE, FALSE, G_MININT64, 0},
    {"f32", FALSE, FALSE, 0, 0},
    {"bool", FALSE, FALSE, 0, 0},
    {"str", FALSE, FALSE, 0, 0},
    {"absent", FALSE, FALSE, 0, 0},
  };
  g_autoptr (GByteArray) b = g_byte_array_new ();
  g_autoptr (StGguf) gguf = NULL;
  gboolean flag = FALSE;
  gdouble number = 0;

  gb_header (b, 2, 0, 12);
  scalars (b);
  gguf = gb_open_built (b);
  g_assert_cmpuint (st_gguf_n_entries (gguf), ==, 12);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    gint64 s = 77;
    guint64 u = 77;

    g_assert_cmpint (st_gguf_get_int (gguf, cases[i].key, &s), ==,
        cases[i].fits_int);
    g_assert_cmpint (s, ==, cases[i].fits_int ? cases[i].as_int : 77);
    g_assert_cmpint (st_gguf_get_uint (gguf, cases[i].key, &u), ==,
        cases[i].fits_uint);
    g_assert_cmpuint (u, ==, cases[i].fits_uint ? cases[i].as_uint : 77);
  }
  g_assert_true (st_gguf_get_float (gguf, "f32", &number) && number == 0.5);
  g_assert_true (st_gguf_get_float (gguf, "f64", &number) && number == 3.25);
  g_assert_false (st_gguf_get_float (gguf, "u32", &number));
  g_assert_true (st_gguf_get_bool (gguf, "bool", &flag) && flag);
  g_assert_false (st_gguf_get_bool (gguf, "u8", &flag));
  g_assert_cmpstr (st_gguf_get_string (gguf, "str"), ==, "text");
  g_assert_null (st_gguf_get_string (gguf, "u8"));
  g_assert_cmpuint (st_gguf_array_length (gguf, "str"), ==, 0);
}

static void
arrays (GByteArray * b)
{
  static const gfloat floats[] = { 1.5f, -2.0f };

  gb_header (b, 3, 0, 5);
  gb_array (b, "strings", ST_GGUF_STRING, 3);
  gb_string (b, "");
  gb_u64 (b, 3);
  gb_bytes (b, "a\0b", 3);
  gb_string (b, "last");
  gb_array (b, "ints", ST_GGUF_INT16, 2);
  gb_bytes (b, "\x01\x00\xff\xff", 4);
  gb_array (b, "floats", ST_GGUF_FLOAT32, 2);
  gb_bytes (b, floats, sizeof floats);
  gb_array (b, "empty", ST_GGUF_STRING, 0);
  gb_array (b, "empty numbers", ST_GGUF_UINT64, 0);
}

static void
test_string_arrays (void)
{
  static const struct
  {
    const gchar *text;
    gsize len;
  } strings[] = { {"", 0}, {"a\0b", 3}, {"last", 4} };
  g_autoptr (GByteArray) b = g_byte_array_new ();
  g_autoptr (StGguf) gguf = NULL;
  gint64 number = 0;
  gsize len = 0;

  arrays (b);
  gguf = gb_open_built (b);
  g_assert_cmpuint (st_gguf_array_length (gguf, "strings"), ==, 3);
  for (guint i = 0; i < G_N_ELEMENTS (strings); i++) {
    const gchar *text = st_gguf_array_string (gguf, "strings", i, &len);

    g_assert_nonnull (text);
    g_assert_cmpmem (text, len, strings[i].text, strings[i].len);
  }
  g_assert_null (st_gguf_array_string (gguf, "strings", 3, &len));
  g_assert_null (st_gguf_array_string (gguf, "ints", 0, &len));
  g_assert_null (st_gguf_array_string (gguf, "absent", 0, &len));
  g_assert_false (st_gguf_array_int (gguf, "strings", 0, &number));
  g_assert_cmpuint (st_gguf_array_length (gguf, "empty"), ==, 0);
  g_assert_null (st_gguf_array_string (gguf, "empty", 0, &len));
}

static void
test_number_arrays (void)
{
  g_autoptr (GByteArray) b = g_byte_array_new ();
  g_autoptr (StGguf) gguf = NULL;
  gint64 number = 0;
  gdouble real = 0;

  arrays (b);
  gguf = gb_open_built (b);
  g_assert_true (st_gguf_array_int (gguf, "ints", 1, &number));
  g_assert_cmpint (number, ==, -1);
  g_assert_false (st_gguf_array_int (gguf, "ints", 2, &number));
  g_assert_false (st_gguf_array_int (gguf, "floats", 0, &number));
  g_assert_true (st_gguf_array_float (gguf, "floats", 1, &real));
  g_assert_true (real == -2.0);
  g_assert_false (st_gguf_array_float (gguf, "ints", 0, &real));
  g_assert_false (st_gguf_array_int (gguf, "empty numbers", 0, &number));
}

static void
test_tensors (void)
{
  g_autoptr (GByteArray) b = g_byte_array_new ();
  g_autoptr (StGguf) gguf = NULL;
  const StTensor *t;
  guint64 start;

  /* Alignment 64; a gap between the tensors; out of order; no padding behind the last. */
  gb_header (b, 3, 2, 1);
  gb_key_u32 (b, "general.alignment", 64);
  gb_tensor (b, "second", 32, 3, ST_TYPE_Q4_1, 128);
  gb_tensor (b, "first", 5, 2, ST_TYPE_F16, 0);
  gb_zeros (b, 64 - b->len % 64);
  start = b->len;
  gb_zeros (b, 128);
  for (guint8 i = 0; i < 60; i++)
    gb_bytes (b, &i, 1);
  gguf = gb_open_built (b);

  g_assert_cmpuint (st_gguf_alignment (gguf), ==, 64);
  g_assert_cmpuint (st_gguf_n_tensors (gguf), ==, 2);
  g_assert_null (st_gguf_find (gguf, "third"));
  t = st_gguf_find (gguf, "second");
  g_assert_true (t == st_gguf_tensor (gguf, 0));
  g_assert_cmpstr (t->name, ==, "second");
  g_assert_cmpint (t->type, ==, ST_TYPE_Q4_1);
  g_assert_cmpuint (t->n_dims, ==, 2);
  g_assert_cmpuint (t->ne[0], ==, 32);
  g_assert_cmpuint (t->ne[1], ==, 3);
  g_assert_cmpuint (t->ne[2], ==, 1);
  g_assert_cmpuint (t->ne[3], ==, 1);
  g_assert_cmpuint (t->size, ==, 60);
  g_assert_cmpuint (t->offset, ==, start + 128);
  g_assert_cmpuint (t->data[59], ==, 59);
  t = st_gguf_find (gguf, "first");
  g_assert_cmpuint (t->size, ==, 20);
  g_assert_cmpuint (t->offset, ==, start);
}

/* The file is taken away while it is open: pread says so instead of returning old bytes. */
static void
test_read_truncated (void)
{
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (StGguf) gguf = st_gguf_open (path, &error);
  const StTensor *t;
  guint8 buffer[64];

  g_assert_no_error (error);
  t = st_gguf_find (gguf, "output_norm.weight");
  g_assert_true (st_gguf_read (gguf, t->offset, buffer, sizeof buffer, &error));
  g_assert_cmpmem (buffer, sizeof buffer, t->data, sizeof buffer);
  g_assert_cmpint (truncate (path, (off_t) t->offset + 8), ==, 0);
  g_assert_false (st_gguf_read (gguf, t->offset, buffer, sizeof buffer,
          &error));
  g_assert_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO);
  g_unlink (path);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gguf/scalars", test_scalars);
  g_test_add_func ("/gguf/string-arrays", test_string_arrays);
  g_test_add_func ("/gguf/number-arrays", test_number_arrays);
  g_test_add_func ("/gguf/tensors", test_tensors);
  g_test_add_func ("/gguf/read-truncated", test_read_truncated);
  return g_test_run ();
}
