/* Settings as text: the same in all locales, and exact. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** rd_settings_append_number: the fewest digits that give @value back, with a point whatever the locale. */
void rd_settings_append_number (GString * text, double value);

G_END_DECLS
