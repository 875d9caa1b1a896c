#include "codec/training/checks.h"

#include <errno.h>
#include <unistd.h>

#include <glib/gstdio.h>

gboolean
rd_check_folder (const gchar * path, GError ** error)
{
  g_autofree gchar *folder = g_path_get_dirname (path);
  gint saved;

  if (g_access (folder, W_OK | X_OK) == 0)
    return TRUE;
  saved = errno;
  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (saved),
      "cannot write to %s: %s", folder, g_strerror (saved));
  return FALSE;
}
