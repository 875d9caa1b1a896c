/* The codec files that come with the project: they load, say what they are for, and carry rows, now and in every later version. */
#include "codec/codec.h"

#include <math.h>
#include <string.h>

#define ROWS 70
#define MAX_HIDDEN 576

static GPtrArray *
list_files (void)
{
  GPtrArray *files = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) dir = g_dir_open (CODEC_FILES, 0, NULL);
  const gchar *name;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)))
    if (g_str_has_suffix (name, ".gguf"))
      g_ptr_array_add (files, g_build_filename (CODEC_FILES, name, NULL));
  g_assert_cmpuint (files->len, >=, 2);
  return files;
}

static gdouble
distance (const gfloat * a, const gfloat * b, gsize n)
{
  gdouble sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += ((gdouble) a[i] - b[i]) * ((gdouble) a[i] - b[i]);
  return sum;
}

/* Bytes of rows at a quality, and how far they come back from what they were. */
static guint
carry (RdCodec * codec, const gfloat * x, gdouble quality, gdouble * error)
{
  const RdSettings settings = { quality, RD_COMPLEXITY_DEFAULT, FALSE };
  g_autoptr (GByteArray) out = g_byte_array_new ();
  const gsize n = (gsize) ROWS * rd_codec_info (codec)->hidden_size;
  g_autofree gfloat *y = g_new (gfloat, n);
  RdRows rows = {.n = ROWS };
  GError *failure = NULL;
  gboolean packed;

  rd_codec_set (codec, &settings);
  g_assert_true (rd_codec_encode (codec, &rows, x, TRUE, out, &packed,
          &failure));
  g_assert_no_error (failure);
  g_assert_true (rd_codec_decode (codec, &rows, out->data, out->len, packed, y,
          &failure));
  g_assert_no_error (failure);
  *error = distance (x, y, n);
  return out->len;
}

static void
test_shipped (void)
{
  g_autoptr (GPtrArray) files = list_files ();
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  g_autofree gfloat *x = g_new (gfloat, ROWS * MAX_HIDDEN);

  /* Not far outside of what states are like: a trained synthesis is no exact inverse, and leaves an error in what no state has. */
  for (gsize i = 0; i < ROWS * MAX_HIDDEN; i++)
    x[i] = (gfloat) g_rand_double_range (rand, -0.5, 0.5);
  for (guint f = 0; f < files->len; f++) {
    const gchar *path = g_ptr_array_index (files, f);
    g_autoptr (RdCodec) codec = NULL;
    GError *failure = NULL;
    gdouble coarse_error, fine_error;

    codec = rd_codec_new (path, 0, &failure);
    g_assert_no_error (failure);
    const RdCodecInfo *info = rd_codec_info (codec);
    g_assert_cmpuint (info->hidden_size, ==,
        strstr (path, "-smollm2-135m-") != NULL ? 576 : 256);
    g_autofree gchar *split = g_strdup_printf ("split%u", info->split_layer);
    g_assert_nonnull (strstr (path, split));
    g_assert_cmpint (info->side_info == RD_SIDE_INFO_EMBEDDING, ==,
        strstr (path, "-embedding") != NULL);
    g_assert_cmpint (info->side_info == RD_SIDE_INFO_BLOCKS, ==,
        strstr (path, "-blocks") != NULL);
    guint coarse = carry (codec, x, 30, &coarse_error);
    guint fine = carry (codec, x, 70, &fine_error);
    g_test_message ("%s: %u and %u bytes, errors %g and %g", path, coarse,
        fine, coarse_error, fine_error);
    g_assert_cmpuint (coarse, <, fine);
    g_assert_cmpfloat (coarse_error, >, 4 * fine_error);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/codec-files/shipped", test_shipped);
  return g_test_run ();
}
