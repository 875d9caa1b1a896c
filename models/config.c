/* Keys of a model in a GGUF file (names: GGUF specification), those that all families have. */
#include "models/family.h"

#include <math.h>
#include <string.h>

#include "models/ids.h"

#define MAX_BLOCKS 4096

static const StFamily *const families[] = { &st_family_llama, &st_family_gpt2 };

gboolean
st_model_fail (GError ** error, StModelError code, const gchar * format, ...)
{
  va_list args;

  va_start (args, format);
  if (error != NULL && *error == NULL)
    *error = g_error_new_valist (ST_MODEL_ERROR, code, format, args);
  va_end (args);
  return FALSE;
}

void
st_name_copy (gchar * to, gsize size, const gchar * name)
{
  g_autofree gchar *valid = g_utf8_make_valid (name, -1);

  if (strlen (valid) >= size)
    *g_utf8_find_prev_char (valid, valid + size) = '\0';
  g_strlcpy (to, valid, size);
}

static gchar *
full_key (const StModelConfig * config, const gchar * key)
{
  return g_strconcat (config->architecture, ".", key, NULL);
}

gboolean
st_config_uint (StGguf * gguf, const StModelConfig * config, const gchar * key,
    guint fallback, guint max, guint * value, GError ** error)
{
  g_autofree gchar *full = full_key (config, key);
  guint64 number;

  if (!st_gguf_get_uint (gguf, full, &number)) {
    if (st_gguf_array_length (gguf, full) > 0)
      return st_model_fail (error, ST_MODEL_ERROR_UNSUPPORTED,
          "%s: key %s has one value a block, which is not supported",
          st_gguf_path (gguf), full);
    if (fallback == 0)
      return st_model_fail (error, ST_MODEL_ERROR_DAMAGED,
          "%s: key %s is missing or not an unsigned integer",
          st_gguf_path (gguf), full);
    *value = fallback;
    return TRUE;
  }
  if (number == 0 || number > max)
    return st_model_fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: %s = %" G_GUINT64_FORMAT " is not in 1..%u", st_gguf_path (gguf),
        full, number, max);
  *value = (guint) number;
  return TRUE;
}

gboolean
st_config_float (StGguf * gguf, const StModelConfig * config,
    const gchar * key, gdouble fallback, gfloat * value, GError ** error)
{
  g_autofree gchar *full = full_key (config, key);
  gdouble number = fallback;

  if (!st_gguf_get_float (gguf, full, &number) && fallback <= 0)
    return st_model_fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: key %s is missing or not a number", st_gguf_path (gguf), full);
  if (!isfinite (number) || number <= 0 || number > G_MAXFLOAT)
    return st_model_fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: %s = %g is not a positive number", st_gguf_path (gguf), full,
        number);
  *value = (gfloat) number;
  return TRUE;
}

const StFamily *
st_family_find (const gchar * architecture)
{
  for (gsize i = 0; i < G_N_ELEMENTS (families); i++) {
    if (strcmp (architecture, families[i]->architecture) == 0)
      return families[i];
  }
  return NULL;
}

gchar *
st_family_names (void)
{
  const gchar *names[G_N_ELEMENTS (families) + 1] = { NULL };

  for (gsize i = 0; i < G_N_ELEMENTS (families); i++)
    names[i] = families[i]->architecture;
  return g_strjoinv (", ", (gchar **) names);
}

static gboolean
read_architecture (StGguf * gguf, StModelConfig * config, GError ** error)
{
  g_autofree gchar *supported = st_family_names ();

  config->architecture = st_gguf_get_string (gguf, "general.architecture");
  if (config->architecture == NULL)
    return st_model_fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: key general.architecture is missing", st_gguf_path (gguf));
  config->family = st_family_find (config->architecture);
  return config->family != NULL || st_model_fail (error,
      ST_MODEL_ERROR_UNSUPPORTED,
      "%s: architecture '%s' is not supported; supported: %s",
      st_gguf_path (gguf), config->architecture, supported);
}

static gboolean
check_heads (StGguf * gguf, const StModelConfig * config, guint value_dim,
    GError ** error)
{
  const gchar *path = st_gguf_path (gguf);

  if (config->n_heads % config->n_kv_heads != 0)
    return st_model_fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: %u attention heads cannot share %u key/value heads", path,
        config->n_heads, config->n_kv_heads);
  if (value_dim != config->head_dim)
    return st_model_fail (error, ST_MODEL_ERROR_UNSUPPORTED,
        "%s: heads with keys of %u and values of %u are not supported", path,
        config->head_dim, value_dim);
  if ((guint64) config->n_heads * config->head_dim > ST_MODEL_MAX_SIZE)
    return st_model_fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: %u heads of %u are too many", path, config->n_heads,
        config->head_dim);
  return TRUE;
}

static gboolean
read_heads (StGguf * gguf, StModelConfig * config, GError ** error)
{
  guint value_dim = 0, head_dim;

  if (!st_config_uint (gguf, config, "attention.head_count", 0,
          ST_MODEL_MAX_SIZE, &config->n_heads, error)
      || !st_config_uint (gguf, config, "attention.head_count_kv",
          config->n_heads, ST_MODEL_MAX_SIZE, &config->n_kv_heads, error))
    return FALSE;
  head_dim = config->hidden_size / config->n_heads;
  if (head_dim == 0 || config->hidden_size % config->n_heads != 0) {
    g_autofree gchar *key = full_key (config, "attention.key_length");
    guint64 unused;

    if (!st_gguf_get_uint (gguf, key, &unused))
      return st_model_fail (error, ST_MODEL_ERROR_DAMAGED,
          "%s: %u heads do not divide the hidden size %u", st_gguf_path (gguf),
          config->n_heads, config->hidden_size);
    head_dim = 1;
  }
  return st_config_uint (gguf, config, "attention.key_length", head_dim,
      ST_MODEL_MAX_SIZE, &config->head_dim, error)
      && st_config_uint (gguf, config, "attention.value_length",
      config->head_dim, ST_MODEL_MAX_SIZE, &value_dim, error)
      && check_heads (gguf, config, value_dim, error);
}

/* Several sources, as files of several ages have them; a middle partition may have neither embedding nor tokenizer. */
static guint
find_vocab_size (StGguf * gguf, const StModelConfig * config)
{
  const StTensor *embedding = st_gguf_find (gguf, "token_embd.weight");
  g_autofree gchar *key = full_key (config, "vocab_size");
  guint64 size = 0;

  if (embedding != NULL)
    size = embedding->ne[1];
  else if (!st_gguf_get_uint (gguf, key, &size)
      && !st_gguf_get_uint (gguf, ST_SPLIT_KEY_VOCAB_SIZE, &size))
    size = st_gguf_array_length (gguf, "tokenizer.ggml.tokens");
  return size <= G_MAXINT32 ? (guint) size : 0;
}

gboolean
st_config_read (StGguf * gguf, StModelConfig * config, GError ** error)
{
  memset (config, 0, sizeof (*config));
  if (!read_architecture (gguf, config, error)
      || !st_config_uint (gguf, config, "block_count", 0, MAX_BLOCKS,
          &config->n_blocks, error)
      || !st_config_uint (gguf, config, "embedding_length", 0,
          ST_MODEL_MAX_SIZE, &config->hidden_size, error)
      || !st_config_uint (gguf, config, "feed_forward_length", 0,
          ST_MODEL_MAX_SIZE, &config->ff_size, error)
      || !st_config_uint (gguf, config, "context_length", 0, G_MAXINT32,
          &config->context_length, error)
      || !read_heads (gguf, config, error)
      || !config->family->read_keys (gguf, config, error))
    return FALSE;
  config->vocab_size = find_vocab_size (gguf, config);
  if (config->vocab_size == 0)
    return st_model_fail (error, ST_MODEL_ERROR_DAMAGED,
        "%s: the vocabulary size is in no key and no tensor",
        st_gguf_path (gguf));
  config->name = st_gguf_get_string (gguf, "general.name");
  return TRUE;
}
