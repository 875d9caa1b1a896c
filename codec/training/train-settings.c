/* The settings of a training as the text that its checkpoint holds: "key=value key=value ..." */
#include <string.h>

#include "codec/training/settings-text.h"
#include "codec/training/train-private.h"

typedef enum
{
  KIND_BYTE,
  KIND_UINT,
  KIND_SIZE,
  KIND_UINT64,
  KIND_BOOLEAN,
  KIND_CHOICE,                  /* a boolean that is named only if it is true: younger than the oldest checkpoints */
  KIND_FLOAT,
  KIND_DOUBLE,
} Kind;

/* What is neither a path nor without influence on the result. */
static const struct
{
  const gchar *key;
  Kind kind;
  gsize offset;
} fields[] = {
  {"set", KIND_UINT, G_STRUCT_OFFSET (RdTrainOptions, set)},
  {"noise", KIND_BOOLEAN, G_STRUCT_OFFSET (RdTrainOptions, noise)},
  {"frame", KIND_SIZE, G_STRUCT_OFFSET (RdTrainOptions, frame)},
  {"matrices", KIND_BYTE, G_STRUCT_OFFSET (RdTrainOptions, matrices)},
  {"first-block", KIND_UINT, G_STRUCT_OFFSET (RdTrainOptions, first_block)},
  {"last-block", KIND_UINT, G_STRUCT_OFFSET (RdTrainOptions, last_block)},
  {"full-weights", KIND_CHOICE, G_STRUCT_OFFSET (RdTrainOptions,
          full_weights)},
  {"rank", KIND_UINT, G_STRUCT_OFFSET (RdTrainOptions, rank)},
  {"alpha", KIND_FLOAT, G_STRUCT_OFFSET (RdTrainOptions, alpha)},
  {"steps", KIND_UINT64, G_STRUCT_OFFSET (RdTrainOptions, steps)},
  {"warmup", KIND_UINT64, G_STRUCT_OFFSET (RdTrainOptions, warmup)},
  {"batch", KIND_SIZE, G_STRUCT_OFFSET (RdTrainOptions, batch)},
  {"length", KIND_SIZE, G_STRUCT_OFFSET (RdTrainOptions, length)},
  {"held-out", KIND_SIZE, G_STRUCT_OFFSET (RdTrainOptions, held_out)},
  {"lambda-min", KIND_DOUBLE, G_STRUCT_OFFSET (RdTrainOptions, lambda_min)},
  {"lambda-max", KIND_DOUBLE, G_STRUCT_OFFSET (RdTrainOptions, lambda_max)},
  {"label-weight", KIND_DOUBLE, G_STRUCT_OFFSET (RdTrainOptions, label_weight)},
  {"rate", KIND_DOUBLE, G_STRUCT_OFFSET (RdTrainOptions, rate)},
  {"codec-rate", KIND_DOUBLE, G_STRUCT_OFFSET (RdTrainOptions, codec_rate)},
  {"seed", KIND_UINT64, G_STRUCT_OFFSET (RdTrainOptions, seed)},
};

static guint64
get_whole (const RdTrainOptions * options, guint i)
{
  switch (fields[i].kind) {
    case KIND_BYTE:
      return G_STRUCT_MEMBER (guint8, options, fields[i].offset);
    case KIND_UINT:
      return G_STRUCT_MEMBER (guint, options, fields[i].offset);
    case KIND_SIZE:
      return G_STRUCT_MEMBER (gsize, options, fields[i].offset);
    case KIND_BOOLEAN:
    case KIND_CHOICE:
      return G_STRUCT_MEMBER (gboolean, options, fields[i].offset) ? 1 : 0;
    default:
      return G_STRUCT_MEMBER (guint64, options, fields[i].offset);
  }
}

static void
set_whole (RdTrainOptions * options, guint i, guint64 value)
{
  switch (fields[i].kind) {
    case KIND_BYTE:
      G_STRUCT_MEMBER (guint8, options, fields[i].offset) = (guint8) value;
      break;
    case KIND_UINT:
      G_STRUCT_MEMBER (guint, options, fields[i].offset) = (guint) value;
      break;
    case KIND_SIZE:
      G_STRUCT_MEMBER (gsize, options, fields[i].offset) = (gsize) value;
      break;
    case KIND_BOOLEAN:
    case KIND_CHOICE:
      G_STRUCT_MEMBER (gboolean, options, fields[i].offset) = value != 0;
      break;
    default:
      G_STRUCT_MEMBER (guint64, options, fields[i].offset) = value;
  }
}

static gboolean
is_whole (guint i)
{
  return fields[i].kind != KIND_FLOAT && fields[i].kind != KIND_DOUBLE;
}

static double
get_number (const RdTrainOptions * options, guint i)
{
  return fields[i].kind == KIND_FLOAT ?
      (double) G_STRUCT_MEMBER (float, options, fields[i].offset) :
      G_STRUCT_MEMBER (double, options, fields[i].offset);
}

static void
set_number (RdTrainOptions * options, guint i, double value)
{
  if (fields[i].kind == KIND_FLOAT)
    G_STRUCT_MEMBER (float, options, fields[i].offset) = (float) value;
  else
    G_STRUCT_MEMBER (double, options, fields[i].offset) = value;
}

gchar *
rd_train_settings (const RdTraining * t)
{
  g_autoptr (GString) text = g_string_new (NULL);

  g_string_append_printf (text, "model=%s start=%s text=%s codec=%s",
      st_model_id (rd_states_model (t->states)), t->start->id,
      rd_corpus_id (t->corpus), t->codec->klass->name);
  for (guint i = 0; i < G_N_ELEMENTS (fields); i++) {
    if (fields[i].kind == KIND_CHOICE && get_whole (t->options, i) == 0)
      continue;
    g_string_append_printf (text, " %s=", fields[i].key);
    if (is_whole (i))
      g_string_append_printf (text, "%" G_GUINT64_FORMAT,
          get_whole (t->options, i));
    else
      rd_settings_append_number (text, get_number (t->options, i));
  }
  /* Checkpoints of before there was a choice are of the same settings. */
  if (t->options->products != RD_PRODUCTS_F32)
    g_string_append_printf (text, " products=%s",
        rd_products_name (t->options->products));
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* Value of @key in @words; NULL if there is none. */
static const gchar *
find_value (gchar ** words, const gchar * key)
{
  const gsize n = strlen (key);

  for (; *words != NULL; words++) {
    if (strncmp (*words, key, n) == 0 && (*words)[n] == '=')
      return *words + n + 1;
  }
  return NULL;
}

gboolean
rd_train_options_read (RdTrainOptions * options, const gchar * path,
    gchar ** codec, GError ** error)
{
  g_autofree gchar *text = rd_train_state_settings (path, error);
  g_auto (GStrv) words = NULL;
  const gchar *value;
  gboolean known;

  if (text == NULL)
    return FALSE;
  words = g_strsplit (text, " ", -1);
  for (guint i = 0; i < G_N_ELEMENTS (fields); i++) {
    value = find_value (words, fields[i].key);
    if (value == NULL && fields[i].kind == KIND_CHOICE)
      value = "0";
    if (value == NULL)
      break;
    if (is_whole (i))
      set_whole (options, i, g_ascii_strtoull (value, NULL, 10));
    else
      set_number (options, i, g_ascii_strtod (value, NULL));
  }
  value = find_value (words, "products");
  options->products = RD_PRODUCTS_F32;
  known = value == NULL || rd_products_by_name (value, &options->products);
  value = find_value (words, "codec");
  if (value != NULL && known && find_value (words, "seed") != NULL) {
    *codec = g_strdup (value);
    return TRUE;
  }
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER,
      "%s is not of a training with a codec; its settings are\n  %s", path,
      text);
  return FALSE;
}
