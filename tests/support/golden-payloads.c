#include "tests/support/golden-payloads.h"
#include "codec/float-bits.h"
#include "tests/support/test-model.h"

#include <string.h>

#define HEADER_BYTES 12

static guint32
read_u32 (const guint8 * p)
{
  return p[0] | (guint32) p[1] << 8 | (guint32) p[2] << 16
      | (guint32) p[3] << 24;
}

gchar *
rd_golden_codec_path (const gchar * name)
{
  g_autofree gchar *file = g_strdup_printf ("learned/%s.gguf", name);

  return st_test_data_path (file);
}

gfloat *
rd_golden_features (gsize n, guint hidden_size)
{
  gfloat *features = g_new (gfloat, n * hidden_size);

  for (gsize t = 0; t < n; t++)
    for (gsize f = 0; f < hidden_size; f++)
      features[t * hidden_size + f] =
          (gfloat) ((gint) ((31 * t + 17 * f) % 257) - 128) / 64;
  return features;
}

static void
golden_free (gpointer data)
{
  RdGolden *golden = data;

  g_free (golden->name);
  g_free (golden->codec_path);
  g_free (golden->features);
  g_free (golden->payload);
  g_free (golden->rows);
  g_free (golden);
}

static RdGolden *
load (const gchar * directory, const gchar * name)
{
  RdGolden *golden = g_new0 (RdGolden, 1);
  g_autofree gchar *path = g_build_filename (directory, name, NULL);
  g_autofree gchar *codec = g_strndup (name, strcspn (name, "-"));
  g_autofree gchar *bytes = NULL;
  gsize size;

  g_assert_true (g_file_get_contents (path, &bytes, &size, NULL));
  const guint8 *p = (const guint8 *) bytes;
  golden->name = g_strdup (name);
  golden->codec_path = rd_golden_codec_path (codec);
  golden->n = read_u32 (p);
  golden->size = read_u32 (p + 8);
  golden->payload = g_memdup2 (p + HEADER_BYTES, golden->size);
  gsize n_floats = (size - HEADER_BYTES - golden->size) / sizeof (gfloat);
  golden->hidden_size = (guint) (n_floats / golden->n);
  if (read_u32 (p + 4))
    golden->features = rd_golden_features (golden->n, golden->hidden_size);
  golden->rows = g_new (gfloat, n_floats);
  for (gsize i = 0; i < n_floats; i++)
    golden->rows[i] = rd_float_from_bits (read_u32 (p + HEADER_BYTES
            + golden->size + 4 * i));
  return golden;
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  const RdGolden *const *x = a;
  const RdGolden *const *y = b;

  return strcmp ((*x)->name, (*y)->name);
}

GPtrArray *
rd_golden_load_all (void)
{
  g_autofree gchar *directory = st_test_data_path ("learned");
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  GPtrArray *all = g_ptr_array_new_with_free_func (golden_free);
  const gchar *name;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)))
    if (!g_str_has_suffix (name, ".gguf"))
      g_ptr_array_add (all, load (directory, name));
  g_assert_cmpuint (all->len, >=, 67);
  g_ptr_array_sort (all, compare_names);
  return all;
}
