#include "tests/support/test-model.h"

gchar *
st_test_model_path (void)
{
  const gchar *named = g_getenv ("ST_TEST_MODEL");
  gchar *path = named ? g_strdup (named) :
      g_build_filename (ST_SOURCE_ROOT, ".cache",
      "SmolLM2-135M-Instruct.Q4_1.gguf", NULL);

  if (!g_file_test (path, G_FILE_TEST_IS_REGULAR))
    g_clear_pointer (&path, g_free);
  return path;
}

gchar *
st_test_cache_path (const gchar * name)
{
  gchar *path = g_build_filename (ST_SOURCE_ROOT, ".cache", name, NULL);

  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    g_clear_pointer (&path, g_free);
  return path;
}

gchar *
st_test_source_path (const gchar * name)
{
  return g_build_filename (ST_SOURCE_ROOT, name, NULL);
}

gchar *
st_test_data_path (const gchar * name)
{
  return g_build_filename (ST_SOURCE_ROOT, "tests", "data", name, NULL);
}

void
st_test_file_is (const gchar * path, const gchar * expected)
{
  g_autofree gchar *content = NULL;

  g_assert_true (g_file_get_contents (path, &content, NULL, NULL));
  g_assert_cmpstr (content, ==, expected);
}
