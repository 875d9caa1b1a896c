#include "codec/training/settings-text.h"

#include <string.h>

/* Digits that are enough to read any double back. */
#define MAX_DIGITS 17

void
rd_settings_append_number (GString * text, double value)
{
  gchar digits[G_ASCII_DTOSTR_BUF_SIZE];

  for (int n = 1; n <= MAX_DIGITS; n++) {
    gchar format[] = "%.00g";

    format[2] = (gchar) ('0' + n / 10);
    format[3] = (gchar) ('0' + n % 10);
    g_ascii_formatd (digits, sizeof (digits), format, value);
    if (g_ascii_strtod (digits, NULL) == value)
      break;
  }
  g_string_append (text, digits);
}

/* ---- what differs ---- */

#define LIST ", "

/* Options that are not called what the settings call them. */
static const struct
{
  const gchar *key, *option;
} options[] = {
  {"codec", "entropy-model"},
  {"set", "side-info"},
  {"noise", "rounding"},
  {"matrices", "adapters"},
  {"first-block", "adapter-blocks"},
  {"last-block", "adapter-blocks"},
  {"grown from", "grow"},
};

typedef struct
{
  gchar **found, **wanted;      /* items */
  GString *has, *needs;         /* those that differ, of either */
  GPtrArray *options;           /* names, each once */
} Difference;

static gchar *
key_of (const gchar * item)
{
  const gchar *end = strchr (item, '=');

  if (g_str_has_suffix (item, " family"))
    return g_strdup ("family");
  if (end == NULL)
    end = strrchr (item, ' ');
  return end != NULL ? g_strndup (item, (gsize) (end - item)) : g_strdup (item);
}

static const gchar *
find_item (gchar ** items, const gchar * key)
{
  for (; *items != NULL; items++) {
    g_autofree gchar *other = key_of (*items);

    if (strcmp (key, other) == 0)
      return *items;
  }
  return NULL;
}

static void
add_option (Difference * d, const gchar * key)
{
  const gchar *name = key;

  for (guint i = 0; i < G_N_ELEMENTS (options); i++) {
    if (strcmp (key, options[i].key) == 0)
      name = options[i].option;
  }
  if (!g_ptr_array_find_with_equal_func (d->options, name, g_str_equal, NULL))
    g_ptr_array_add (d->options, g_strdup (name));
}

static void
append_item (GString * text, const gchar * item, const gchar * key)
{
  g_string_append (text, text->len > 0 ? LIST : "");
  if (item != NULL)
    g_string_append (text, item);
  else
    g_string_append_printf (text, "no %s", key);
}

static void
compare (Difference * d, const gchar * key)
{
  const gchar *has = find_item (d->found, key);
  const gchar *needs = find_item (d->wanted, key);

  if (g_strcmp0 (has, needs) == 0)
    return;
  append_item (d->has, has, key);
  append_item (d->needs, needs, key);
  add_option (d, key);
}

static void
compare_all (Difference * d)
{
  for (gchar ** item = d->found; *item != NULL; item++) {
    g_autofree gchar *key = key_of (*item);

    compare (d, key);
  }
  for (gchar ** item = d->wanted; *item != NULL; item++) {
    g_autofree gchar *key = key_of (*item);

    if (find_item (d->found, key) == NULL)
      compare (d, key);
  }
}

static gchar *
tell (const Difference * d)
{
  g_autoptr (GString) text = g_string_new (NULL);

  g_string_append_printf (text, "it has %s where this one has %s; ",
      d->has->str, d->needs->str);
  for (guint i = 0; i < d->options->len; i++)
    g_string_append_printf (text, "%s--%s", i > 0 ? LIST : "",
        (const gchar *) g_ptr_array_index (d->options, i));
  g_string_append (text, " must be what it began with");
  return g_string_free (g_steal_pointer (&text), FALSE);
}

gchar *
rd_settings_difference (const gchar * found, const gchar * wanted)
{
  const gboolean list = strstr (found, LIST) != NULL;
  Difference d;
  gchar *text;

  if ((strstr (wanted, LIST) != NULL) != list)
    return NULL;
  d = (Difference) {
  g_strsplit (found, list ? LIST : " ", -1),
        g_strsplit (wanted, list ? LIST : " ", -1), g_string_new (NULL),
        g_string_new (NULL), g_ptr_array_new_with_free_func (g_free)};
  compare_all (&d);
  text = d.options->len > 0 ? tell (&d) : NULL;
  g_strfreev (d.found);
  g_strfreev (d.wanted);
  g_string_free (d.has, TRUE);
  g_string_free (d.needs, TRUE);
  g_ptr_array_unref (d.options);
  return text;
}
