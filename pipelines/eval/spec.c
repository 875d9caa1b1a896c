/* Codecs and their settings as users write them. */
#include "pipelines/eval/spec.h"
#include <errno.h>
#include <math.h>
#include <string.h>
#include "codec/wire/frame.h"
#include "pipelines/eval/error.h"

#define MIN_STEP 1e-4

/* ---- lists of numbers ---- */

static gboolean
parse_double (const gchar * text, gdouble min, gdouble * value)
{
  gchar *end;

  *value = g_ascii_strtod (text, &end);
  return end != text && *end == '\0' && isfinite (*value) && *value >= min;
}

GArray *
eval_parse_doubles (const gchar * what, const gchar * text, gdouble min,
    GError ** error)
{
  g_autoptr (GArray) values = g_array_new (FALSE, FALSE, sizeof (gdouble));
  g_auto (GStrv) parts = g_strsplit (text, ",", -1);
  gdouble value;

  for (guint i = 0; parts[i]; i++) {
    if (!parse_double (parts[i], min, &value)) {
      g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
          "%s: \"%s\" in \"%s\" is not a number of at least %g", what, parts[i],
          text, min);
      return NULL;
    }
    g_array_append_val (values, value);
  }
  return g_steal_pointer (&values);
}

GArray *
eval_parse_counts (const gchar * what, const gchar * text, guint max,
    GError ** error)
{
  g_autoptr (GArray) values = g_array_new (FALSE, FALSE, sizeof (guint));
  g_auto (GStrv) parts = g_strsplit (text, ",", -1);

  for (guint i = 0; parts[i]; i++) {
    guint64 value;

    if (!g_ascii_string_to_unsigned (parts[i], 10, 1, max, &value, NULL)) {
      g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
          "%s: \"%s\" in \"%s\" is not an integer from 1 to %u", what, parts[i],
          text, max);
      return NULL;
    }
    guint count = (guint) value;
    g_array_append_val (values, count);
  }
  return g_steal_pointer (&values);
}

/* ---- one codec ---- */

static void
setting_free (gpointer data)
{
  EvalSetting *setting = data;

  g_free (setting->name);
  g_free (setting->value);
  g_free (setting);
}

static void
add_setting (EvalSpec * spec, const gchar * name, const gchar * value)
{
  EvalSetting *setting = g_new (EvalSetting, 1);

  setting->name = g_strdup (name);
  setting->value = g_strdup (value);
  g_ptr_array_add (spec->settings, setting);
}

void
eval_spec_free (EvalSpec * spec)
{
  g_free (spec->name);
  g_free (spec->label);
  g_array_unref (spec->ladder);
  g_array_unref (spec->frame_tokens);
  g_ptr_array_unref (spec->settings);
  g_free (spec);
}

static EvalKind
kind_of (const gchar * name)
{
  if (strcmp (name, "rounding") == 0)
    return EVAL_ROUNDING;
  return strcmp (name, "ids") == 0 ? EVAL_IDS : EVAL_ELEMENTS;
}

static EvalSpec *
spec_new (const gchar * name, const GArray * frame_tokens)
{
  EvalSpec *spec = g_new0 (EvalSpec, 1);

  spec->kind = kind_of (name);
  spec->name = g_strdup (name);
  spec->ladder = g_array_new (FALSE, FALSE, sizeof (gdouble));
  spec->frame_tokens = g_array_copy ((GArray *) frame_tokens);
  spec->settings = g_ptr_array_new_with_free_func (setting_free);
  return spec;
}

static gboolean
replace_list (GArray ** list, GArray * parsed)
{
  if (!parsed)
    return FALSE;
  g_array_unref (*list);
  *list = parsed;
  return TRUE;
}

/* TRUE also for a word that is no setting of the tool: *handled tells. */
static gboolean
take_own (EvalSpec * spec, const gchar * key, const gchar * value,
    gboolean * handled, GError ** error)
{
  const gchar *ladder = spec->kind == EVAL_ROUNDING ? "step" : "quality";

  *handled = TRUE;
  if (strcmp (key, "send-ids") == 0 && !value) {
    spec->send_ids = TRUE;
  } else if (strcmp (key, "label") == 0 && value && *value) {
    g_free (spec->label);
    spec->label = g_strdup (value);
  } else if (strcmp (key, ladder) == 0 && value) {
    return replace_list (&spec->ladder, eval_parse_doubles (key, value,
            spec->kind == EVAL_ROUNDING ? MIN_STEP : 0, error));
  } else if (strcmp (key, "frame-tokens") == 0 && value) {
    return replace_list (&spec->frame_tokens, eval_parse_counts (key, value,
            RD_MAX_FRAME_TOKENS, error));
  } else {
    *handled = FALSE;
  }
  return TRUE;
}

static gboolean
take_setting (EvalSpec * spec, const gchar * text, GError ** error)
{
  g_auto (GStrv) parts = g_strsplit (text, "=", 2);
  const gchar *key = parts[0] ? parts[0] : "", *value = *key ? parts[1] : NULL;
  gboolean handled;

  if (!take_own (spec, key, value, &handled, error))
    return FALSE;
  if (handled)
    return TRUE;
  if (strcmp (text, "pack") == 0)
    add_setting (spec, "pack", "true");
  else if (strcmp (text, "nopack") == 0)
    add_setting (spec, "pack", "false");
  else if (value && *value)
    add_setting (spec, key, value);
  else {
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
        "\"%s\" is no setting of %s: use pack, nopack, send-ids, label=TEXT, "
        "%s=LIST, frame-tokens=LIST or PROPERTY=VALUE", text, spec->name,
        spec->kind == EVAL_ROUNDING ? "step" : "quality");
    return FALSE;
  }
  return TRUE;
}

/* The text without its lists: a file's name without folder and ending, and the settings that matter to the curve. */
static gchar *
default_label (const EvalSpec * spec)
{
  g_autofree gchar *base = g_path_get_basename (spec->name);
  GString *label = g_string_new (base);

  if (g_str_has_suffix (label->str, ".gguf"))
    g_string_truncate (label, label->len - strlen (".gguf"));
  for (guint i = 0; i < spec->settings->len; i++) {
    const EvalSetting *s = g_ptr_array_index (spec->settings, i);

    if (strcmp (s->name, "pack") == 0)
      g_string_append (label, strcmp (s->value, "false") == 0 ? ":nopack" :
          ":pack");
    else
      g_string_append_printf (label, ":%s=%s", s->name, s->value);
  }
  if (spec->send_ids)
    g_string_append (label, ":send-ids");
  return g_string_free (label, FALSE);
}

/* Multiples of the hidden states' own size; KL from .01 to .5 for SmolLM2. */
static const gdouble default_steps[] = { 0.25, 0.35, 0.5, 0.75, 1.1, 1.6 };

EvalSpec *
eval_spec_parse (const gchar * text, const GArray * frame_tokens,
    GError ** error)
{
  g_auto (GStrv) parts = g_strsplit (text, ":", -1);
  g_autoptr (EvalSpec) spec = NULL;

  if (!parts[0] || *parts[0] == '\0') {
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
        "--codec needs the name of a codec or the path of a codec file");
    return NULL;
  }
  spec = spec_new (parts[0], frame_tokens);
  for (guint i = 1; parts[i]; i++)
    if (!take_setting (spec, parts[i], error)) {
      g_prefix_error (error, "--codec %s: ", text);
      return NULL;
    }
  if (spec->kind != EVAL_ELEMENTS && (spec->settings->len || spec->send_ids)) {
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
        "--codec %s: %s is computed here and has no properties", text,
        spec->name);
    return NULL;
  }
  if (spec->kind == EVAL_ROUNDING && spec->ladder->len == 0)
    g_array_append_vals (spec->ladder, default_steps,
        G_N_ELEMENTS (default_steps));
  if (!spec->label)
    spec->label = default_label (spec);
  return g_steal_pointer (&spec);
}

void
eval_spec_add_baselines (GPtrArray * specs, guint block_tokens)
{
  static const gchar *const texts[] = {
    "f16:nopack", "f16:pack", "int8:nopack", "int8:pack", "int4:nopack",
    "int4:pack", "rounding", "ids"
  };
  g_autoptr (GArray) sizes = g_array_new (FALSE, FALSE, sizeof (guint));
  const guint one = 1;

  g_array_append_val (sizes, one);
  if (block_tokens > 1)
    g_array_append_val (sizes, block_tokens);
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    g_ptr_array_add (specs, eval_spec_parse (texts[i], sizes, NULL));
}

/* ---- points ---- */

static void
variant_free (gpointer data)
{
  EvalVariant *variant = data;

  g_free (variant->curve);
  g_free (variant);
}

static void
add_variant (GPtrArray * variants, const EvalSpec * spec, gdouble value,
    guint frame_tokens, gchar * curve)
{
  EvalVariant *variant = g_new0 (EvalVariant, 1);

  variant->spec = spec;
  variant->value = value;
  variant->frame_tokens = frame_tokens;
  variant->curve = curve;
  g_ptr_array_add (variants, variant);
}

static void
expand_ids (GPtrArray * variants, const EvalSpec * spec)
{
  static const gchar *const names[EVAL_N_ID_CODES] = {
    "fixed", "counts", "model"
  };

  for (guint i = 0; i < EVAL_N_ID_CODES; i++) {
    add_variant (variants, spec, NAN, 0, g_strdup_printf ("%s/%s", spec->label,
            names[i]));
    ((EvalVariant *) g_ptr_array_index (variants, i))->id_code = (EvalIdCode) i;
  }
}

static void
expand_ladder (GPtrArray * variants, const EvalSpec * spec, guint frame_tokens)
{
  gchar *curve = frame_tokens && spec->frame_tokens->len > 1 ?
      g_strdup_printf ("%s@%u", spec->label, frame_tokens) :
      g_strdup (spec->label);

  for (guint i = 0; i < spec->ladder->len; i++)
    add_variant (variants, spec, g_array_index (spec->ladder, gdouble, i),
        frame_tokens, g_strdup (curve));
  if (spec->ladder->len == 0)
    add_variant (variants, spec, NAN, frame_tokens, g_strdup (curve));
  g_free (curve);
}

GPtrArray *
eval_spec_expand (const EvalSpec * spec)
{
  GPtrArray *variants = g_ptr_array_new_with_free_func (variant_free);

  if (spec->kind == EVAL_IDS)
    expand_ids (variants, spec);
  else if (spec->kind == EVAL_ROUNDING)
    expand_ladder (variants, spec, 0);
  for (guint i = 0; spec->kind == EVAL_ELEMENTS && i < spec->frame_tokens->len;
      i++)
    expand_ladder (variants, spec, g_array_index (spec->frame_tokens, guint,
            i));
  return variants;
}
