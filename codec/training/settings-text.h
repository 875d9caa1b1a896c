/* Settings as text, "key=value key=value" or "key value, key value": the same in all locales, and exact. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** rd_settings_append_number: the fewest digits that give @value back, with a point whatever the locale. */
void rd_settings_append_number (GString * text, double value);
/** rd_settings_difference: in words, what @found has where @wanted has something else, and which options that comes of; freed by the caller. NULL if no key
 * differs, or they are written in different ways: then they are of different commands. */
gchar *rd_settings_difference (const gchar * found, const gchar * wanted);

G_END_DECLS
