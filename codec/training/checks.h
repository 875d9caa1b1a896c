/* What is checked before something takes hours. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** rd_check_folder: whether files can be made in the folder of @path. Error G_FILE_ERROR names it. */
gboolean rd_check_folder (const gchar * path, GError ** error);

G_END_DECLS
