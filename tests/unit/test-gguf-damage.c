/* The GGUF reader: each kind of damage is an error that says what is wrong. */
#include "models/gguf/gguf.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "tests/support/gguf-bytes.h"
#include "tests/support/tiny-model.h"

#define WRAPS G_MAXUINT64

/* The error that a file must give: its code and a part of its message. */
typedef struct
{
  const gchar *name;
  void (*build) (GByteArray * b);
  StGgufError code;
  const gchar *message;
} Damage;

static void
no_bytes (GByteArray * b)
{
  (void) b;
}

static void
short_header (GByteArray * b)
{
  gb_header (b, 3, 0, 0);
  g_byte_array_set_size (b, b->len - 1);
}

static void
wrong_magic (GByteArray * b)
{
  gb_header (b, 3, 0, 0);
  b->data[0] = 'X';
}

static void
version_1 (GByteArray * b)
{
  gb_header (b, 1, 0, 0);
}

static void
version_4 (GByteArray * b)
{
  gb_header (b, 4, 0, 0);
}

static void
big_endian (GByteArray * b)
{
  gb_header (b, GUINT32_SWAP_LE_BE (3), 0, 0);
}

static void
many_keys (GByteArray * b)
{
  gb_header (b, 3, 0, G_GUINT64_CONSTANT (1) << 60);
  gb_zeros (b, 64);
}

static void
one_key_too_many (GByteArray * b)
{
  gb_header (b, 3, 0, 2);
  gb_key_u32 (b, "a", 1);
}

static void
many_tensors (GByteArray * b)
{
  gb_header (b, 3, WRAPS / 33 + 1, 0);
  gb_zeros (b, 64);
}

static void
empty_key (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_key_u32 (b, "", 1);
}

static void
long_key (GByteArray * b)
{
  g_autofree gchar *name = g_strnfill (65536, 'k');

  gb_header (b, 3, 0, 1);
  gb_key_u32 (b, name, 1);
}

static void
key_not_utf8 (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_key_u32 (b, "a\xff", 1);
}

static void
key_with_nul (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_key_u32 (b, "aXb", 1);
  b->data[24 + 8 + 1] = 0;
}

static void
key_without_end (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_u64 (b, WRAPS - 8);
  gb_zeros (b, 64);
}

static void
key_twice (GByteArray * b)
{
  gb_header (b, 3, 0, 2);
  gb_key_u32 (b, "same", 1);
  gb_key_u32 (b, "same", 2);
}

static void
unknown_value_type (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_key (b, "k", 13);
  gb_u64 (b, 0);
}

static void
value_cut (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_key (b, "k", ST_GGUF_UINT64);
  gb_u32 (b, 0);
}

static void
string_without_end (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_key (b, "k", ST_GGUF_STRING);
  gb_u64 (b, WRAPS - 20);
  gb_zeros (b, 32);
}

static void
string_one_too_long (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_key (b, "k", ST_GGUF_STRING);
  gb_u64 (b, 33);
  gb_zeros (b, 32);
}

static void
array_cut (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_key (b, "k", ST_GGUF_ARRAY);
  gb_u64 (b, 0);
}

static void
array_of_arrays (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_array (b, "k", ST_GGUF_ARRAY, 1);
  gb_u32 (b, ST_GGUF_ARRAY);
  gb_u64 (b, 1);
}

static void
array_of_unknown (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_array (b, "k", 99, 1);
  gb_zeros (b, 32);
}

static void
array_that_wraps (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_array (b, "k", ST_GGUF_UINT64, (G_GUINT64_CONSTANT (1) << 61) + 1);
  gb_zeros (b, 32);
}

static void
array_one_too_long (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_array (b, "k", ST_GGUF_UINT16, 17);
  gb_zeros (b, 32);
}

static void
strings_too_many (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_array (b, "k", ST_GGUF_STRING, WRAPS / 8);
  gb_zeros (b, 64);
}

static void
strings_without_end (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_array (b, "k", ST_GGUF_STRING, 2);
  gb_string (b, "one");
  gb_u64 (b, WRAPS);
  gb_zeros (b, 8);
}

static void
alignment (GByteArray * b, guint32 value)
{
  gb_header (b, 3, 0, 1);
  gb_key_u32 (b, "general.alignment", value);
}

static void
alignment_0 (GByteArray * b)
{
  alignment (b, 0);
}

static void
alignment_4 (GByteArray * b)
{
  alignment (b, 4);
}

static void
alignment_48 (GByteArray * b)
{
  alignment (b, 48);
}

static void
alignment_huge (GByteArray * b)
{
  alignment (b, 1u << 31);
}

static void
alignment_string (GByteArray * b)
{
  gb_header (b, 3, 0, 1);
  gb_key (b, "general.alignment", ST_GGUF_STRING);
  gb_string (b, "32");
}

static void
shape (GByteArray * b, guint32 n_dims, guint64 dim)
{
  gb_header (b, 3, 1, 0);
  gb_string (b, "t");
  gb_u32 (b, n_dims);
  for (guint i = 0; i < n_dims; i++)
    gb_u64 (b, dim);
  gb_u32 (b, ST_TYPE_F32);
  gb_u64 (b, 0);
  gb_data (b, 256);
}

static void
no_dims (GByteArray * b)
{
  shape (b, 0, 0);
}

static void
five_dims (GByteArray * b)
{
  shape (b, 5, 1);
}

static void
million_dims (GByteArray * b)
{
  shape (b, 5, 1);
  b->data[24 + 9 + 2] = 0x10;
}

static void
zero_dim (GByteArray * b)
{
  shape (b, 2, 0);
}

static void
elements_wrap (GByteArray * b)
{
  shape (b, 4, 1u << 16);       /* 2^64 elements */
}

static void
bytes_wrap (GByteArray * b)
{
  shape (b, 2, 1u << 31);       /* 2^62 elements of 4 bytes */
}

static void
one_tensor (GByteArray * b, guint64 cols, guint32 type, guint64 offset,
    guint room)
{
  gb_header (b, 3, 1, 0);
  gb_tensor (b, "t", cols, 1, type, offset);
  gb_data (b, room);
}

static void
row_not_blocks (GByteArray * b)
{
  one_tensor (b, 48, ST_TYPE_Q4_1, 0, 256);
}

static void
foreign_type (GByteArray * b)
{
  one_tensor (b, 32, 20, 0, 256);
}

static void
unknown_type (GByteArray * b)
{
  one_tensor (b, 32, 777, 0, 256);
}

static void
offset_unaligned (GByteArray * b)
{
  one_tensor (b, 8, ST_TYPE_F32, 16, 256);
}

static void
offset_beyond (GByteArray * b)
{
  one_tensor (b, 8, ST_TYPE_F32, 1024, 256);
}

static void
offset_wraps (GByteArray * b)
{
  one_tensor (b, 16, ST_TYPE_F32, WRAPS - 31, 256);
}

static void
tensor_truncated (GByteArray * b)
{
  one_tensor (b, 64, ST_TYPE_F32, 0, 255);
}

static void
tensor_info_cut (GByteArray * b)
{
  gb_header (b, 3, 1, 0);
  gb_tensor (b, "a", 8, 1, ST_TYPE_F32, 0);
  g_byte_array_set_size (b, b->len - 1);
}

static void
no_data (GByteArray * b)
{
  gb_header (b, 3, 1, 0);
  gb_tensor (b, "a", 8, 1, ST_TYPE_F32, 0);
}

static void
empty_tensor_name (GByteArray * b)
{
  gb_header (b, 3, 1, 0);
  gb_tensor (b, "", 8, 1, ST_TYPE_F32, 0);
  gb_data (b, 256);
}

static void
tensor_twice (GByteArray * b)
{
  gb_header (b, 3, 2, 0);
  gb_tensor (b, "same", 8, 1, ST_TYPE_F32, 0);
  gb_tensor (b, "same", 8, 1, ST_TYPE_F32, 32);
  gb_data (b, 256);
}

static void
tensors_overlap (GByteArray * b)
{
  gb_header (b, 3, 2, 0);
  gb_tensor (b, "later", 8, 1, ST_TYPE_F32, 32);
  gb_tensor (b, "first", 9, 1, ST_TYPE_F32, 0);
  gb_data (b, 256);
}

static const Damage damages[] = {
  {"no-bytes", no_bytes, ST_GGUF_ERROR_FORMAT, "0 bytes long"},
  {"short-header", short_header, ST_GGUF_ERROR_FORMAT, "23 bytes long"},
  {"wrong-magic", wrong_magic, ST_GGUF_ERROR_FORMAT, "not a GGUF file"},
  {"version-1", version_1, ST_GGUF_ERROR_UNSUPPORTED, "version 1"},
  {"version-4", version_4, ST_GGUF_ERROR_UNSUPPORTED, "version 4"},
  {"big-endian", big_endian, ST_GGUF_ERROR_UNSUPPORTED, "big-endian"},
  {"many-keys", many_keys, ST_GGUF_ERROR_FORMAT, "keys do not fit"},
  {"one-key-too-many", one_key_too_many, ST_GGUF_ERROR_FORMAT, "do not fit"},
  {"many-tensors", many_tensors, ST_GGUF_ERROR_FORMAT, "tensors do not fit"},
  {"empty-key", empty_key, ST_GGUF_ERROR_FORMAT, "name of a key is 0 bytes"},
  {"long-key", long_key, ST_GGUF_ERROR_FORMAT, "is 65536 bytes"},
  {"key-not-utf8", key_not_utf8, ST_GGUF_ERROR_FORMAT, "not UTF-8"},
  {"key-with-nul", key_with_nul, ST_GGUF_ERROR_FORMAT, "not UTF-8"},
  {"key-without-end", key_without_end, ST_GGUF_ERROR_FORMAT,
      "name of a key runs over"},
  {"key-twice", key_twice, ST_GGUF_ERROR_FORMAT, "key same appears twice"},
  {"unknown-value-type", unknown_value_type, ST_GGUF_ERROR_FORMAT,
      "unknown type 13"},
  {"value-cut", value_cut, ST_GGUF_ERROR_FORMAT, "value of k runs over"},
  {"string-without-end", string_without_end, ST_GGUF_ERROR_FORMAT,
      "string k runs over"},
  {"string-one-too-long", string_one_too_long, ST_GGUF_ERROR_FORMAT,
      "string k runs over"},
  {"array-cut", array_cut, ST_GGUF_ERROR_FORMAT, "array k runs over"},
  {"array-of-arrays", array_of_arrays, ST_GGUF_ERROR_UNSUPPORTED,
      "holds arrays"},
  {"array-of-unknown", array_of_unknown, ST_GGUF_ERROR_FORMAT,
      "unknown element type 99"},
  {"array-that-wraps", array_that_wraps, ST_GGUF_ERROR_FORMAT,
      "does not fit the file"},
  {"array-one-too-long", array_one_too_long, ST_GGUF_ERROR_FORMAT,
      "does not fit the file"},
  {"strings-too-many", strings_too_many, ST_GGUF_ERROR_FORMAT,
      "strings does not fit"},
  {"strings-without-end", strings_without_end, ST_GGUF_ERROR_FORMAT,
      "string 1 of array k runs over"},
  {"alignment-0", alignment_0, ST_GGUF_ERROR_FORMAT, "general.alignment is 0"},
  {"alignment-4", alignment_4, ST_GGUF_ERROR_FORMAT, "general.alignment is 4"},
  {"alignment-48", alignment_48, ST_GGUF_ERROR_FORMAT, "is 48, must be"},
  {"alignment-huge", alignment_huge, ST_GGUF_ERROR_FORMAT, "2147483648"},
  {"alignment-string", alignment_string, ST_GGUF_ERROR_FORMAT,
      "not an unsigned integer"},
  {"no-dims", no_dims, ST_GGUF_ERROR_FORMAT, "has 0 dimensions"},
  {"five-dims", five_dims, ST_GGUF_ERROR_FORMAT, "has 5 dimensions"},
  {"million-dims", million_dims, ST_GGUF_ERROR_FORMAT, "1048581 dimensions"},
  {"zero-dim", zero_dim, ST_GGUF_ERROR_FORMAT, "must not be zero"},
  {"elements-wrap", elements_wrap, ST_GGUF_ERROR_FORMAT, "too large"},
  {"bytes-wrap", bytes_wrap, ST_GGUF_ERROR_FORMAT, "tensor t is too large"},
  {"row-not-blocks", row_not_blocks, ST_GGUF_ERROR_FORMAT,
      "48 elements long, not a multiple of the 32"},
  {"foreign-type", foreign_type, ST_GGUF_ERROR_UNSUPPORTED,
      "type 20 (IQ4_NL)"},
  {"unknown-type", unknown_type, ST_GGUF_ERROR_UNSUPPORTED,
      "type 777 (unknown)"},
  {"offset-unaligned", offset_unaligned, ST_GGUF_ERROR_FORMAT,
      "not a multiple of the alignment 32"},
  {"offset-beyond", offset_beyond, ST_GGUF_ERROR_FORMAT, "offset 1024"},
  {"offset-wraps", offset_wraps, ST_GGUF_ERROR_FORMAT, "truncated"},
  {"tensor-truncated", tensor_truncated, ST_GGUF_ERROR_FORMAT,
      "needs 256 bytes at offset 0 of the tensor data, which has 255"},
  {"tensor-info-cut", tensor_info_cut, ST_GGUF_ERROR_FORMAT,
      "tensor a is cut short"},
  {"no-data", no_data, ST_GGUF_ERROR_FORMAT, "before the tensor data"},
  {"empty-tensor-name", empty_tensor_name, ST_GGUF_ERROR_FORMAT,
      "name of a tensor is 0 bytes"},
  {"tensor-twice", tensor_twice, ST_GGUF_ERROR_FORMAT,
      "tensor same appears twice"},
  {"tensors-overlap", tensors_overlap, ST_GGUF_ERROR_FORMAT,
      "tensors first and later overlap"},
};

static void
test_damage (gconstpointer user_data)
{
  const Damage *damage = user_data;
  g_autoptr (GByteArray) b = g_byte_array_new ();
  g_autoptr (GError) error = NULL;

  damage->build (b);
  g_assert_null (gb_open_bytes (b->data, b->len, &error));
  g_assert_error (error, ST_GGUF_ERROR, (gint) damage->code);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, damage->message));
}

/* A whole model cut anywhere: its last byte is part of a tensor, so every shorter file is damaged. */
static void
test_truncated (void)
{
  g_autofree gchar *path = st_tiny_model_temp (NULL);
  g_autoptr (GError) error = NULL;
  g_autofree gchar *content = NULL;
  gsize size;

  g_file_get_contents (path, &content, &size, &error);
  g_assert_no_error (error);
  g_unlink (path);
  for (gsize n = 0; n < size; n += n < 12000 ? 61 : 20011) {
    g_assert_null (gb_open_bytes (content, n, &error));
    g_assert_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_FORMAT);
    g_clear_error (&error);
  }
}

static void
test_not_a_file (void)
{
  g_autofree gchar *directory = g_dir_make_tmp ("gguf-XXXXXX", NULL);
  g_autofree gchar *fifo = g_build_filename (directory, "fifo", NULL);
  g_autofree gchar *absent = g_build_filename (directory, "absent", NULL);
  const gchar *const paths[] = { directory, fifo, absent, "/dev/zero" };

  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_null (st_gguf_open (paths[i], &error));
    g_assert_error (error, ST_GGUF_ERROR, ST_GGUF_ERROR_IO);
    g_assert_nonnull (strstr (error->message, paths[i]));
  }
  g_unlink (fifo);
  g_rmdir (directory);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (damages); i++) {
    g_autofree gchar *path = g_strconcat ("/gguf/damage/", damages[i].name,
        NULL);
    g_test_add_data_func (path, &damages[i], test_damage);
  }
  g_test_add_func ("/gguf/damage/truncated", test_truncated);
  g_test_add_func ("/gguf/damage/not-a-file", test_not_a_file);
  return g_test_run ();
}
