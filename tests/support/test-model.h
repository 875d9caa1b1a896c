/* Where tests find their files, and what is in them. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** Path of the real model: ST_TEST_MODEL, else .cache/ in the source tree; NULL if it is not there (skip the test). Free with g_free(). */
gchar *st_test_model_path (void);
/** Path of what pipelines/fetch-text has put into .cache/ in the source tree; NULL if it is not there (skip the test). Free with g_free(). */
gchar *st_test_cache_path (const gchar * name);
/** Path of a file that comes with the project, by its path in the source tree. Free with g_free(). */
gchar *st_test_source_path (const gchar * name);
/** Path of a file in tests/data. Free with g_free(). */
gchar *st_test_data_path (const gchar * name);
/** Ends the test unless the file at @path has the text @expected. */
void st_test_file_is (const gchar * path, const gchar * expected);

G_END_DECLS
