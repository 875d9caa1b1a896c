/* Adapters from a codec file. Errors do not name the file: the caller does. */
#include "codec/learned/parameters-private.h"

#include <string.h>

static gboolean
fail (GError ** error, const gchar * what, const gchar * name)
{
  g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT, what, name);
  return FALSE;
}

/* The floats of a matrix; NULL after an error. */
static gfloat *
read_floats (const StTensor * tensor, GError ** error)
{
  const StTypeTraits *traits = st_type_traits (tensor->type);
  gsize n = (gsize) (tensor->ne[0] * tensor->ne[1]);
  gfloat *values;

  if (!traits || (tensor->type != ST_TYPE_F32 && tensor->type != ST_TYPE_F16
          && tensor->type != ST_TYPE_Q8_0)) {
    fail (error, "tensor %s is neither F32 nor F16 nor Q8_0", tensor->name);
    return NULL;
  }
  values = g_try_malloc_n (n, sizeof (gfloat));
  if (!values)
    fail (error, "no memory for tensor %s", tensor->name);
  else
    traits->to_float (tensor->data, values, n);
  return values;
}

/* Both shapes, checked as far as they can be before anything is allocated. */
static gboolean
read_shape (const StTensor * a, const StTensor * b, guint hidden_size,
    RdLearnedAdapter * adapter, GError ** error)
{
  const StTensor *const both[] = { a, b };

  for (guint i = 0; i < 2; i++)
    if (both[i]->ne[2] != 1 || both[i]->ne[3] != 1
        || both[i]->ne[0] > RD_LEARNED_MAX_ADAPTER_WIDTH
        || both[i]->ne[1] > RD_LEARNED_MAX_ADAPTER_WIDTH)
      return fail (error, "tensor %s has no shape of an adapter",
          both[i]->name);
  if (a->ne[1] != b->ne[0])
    return fail (error, "tensor %s is of another rank than its lora_a",
        b->name);
  adapter->inputs = (guint) a->ne[0];
  adapter->rank = (guint) a->ne[1];
  adapter->outputs = (guint) b->ne[1];
  return rd_learned_adapter_check_shape (adapter, hidden_size, error);
}

static gboolean
read_adapter (const StGguf * gguf, const StTensor * a, guint hidden_size,
    RdLearnedAdapters * adapters, GError ** error)
{
  gsize length = strlen (a->name) - strlen (RD_ADAPTER_A);
  g_autofree gchar *name = g_strndup (a->name, length);
  g_autofree gchar *name_b = g_strconcat (name, RD_ADAPTER_B, NULL);
  const StTensor *b = st_gguf_find (gguf, name_b);
  RdLearnedAdapter adapter = {.name = name };

  if (!b)
    return fail (error, "tensor %s is missing", name_b);
  if (!read_shape (a, b, hidden_size, &adapter, error))
    return FALSE;
  adapter.a = read_floats (a, error);
  adapter.b = adapter.a ? read_floats (b, error) : NULL;
  if (!adapter.b) {
    g_free (adapter.a);
    return FALSE;
  }
  adapter.name = g_steal_pointer (&name);
  g_array_append_val (adapters->list, adapter);
  return TRUE;
}

static gboolean
read_numbers (const StGguf * gguf, guint n_knots, RdLearnedAdapters * adapters,
    GError ** error)
{
  gdouble value;

  if (!st_gguf_get_float (gguf, RD_KEY_ADAPTER_ALPHA, &value))
    return fail (error, "no number %s", RD_KEY_ADAPTER_ALPHA);
  adapters->alpha = (gfloat) value;
  if (st_gguf_array_length (gguf, RD_KEY_ADAPTER_GATE) != n_knots)
    return fail (error, "%s has not one number for each knot",
        RD_KEY_ADAPTER_GATE);
  for (guint i = 0; i < n_knots; i++) {
    if (!st_gguf_array_float (gguf, RD_KEY_ADAPTER_GATE, i, &value))
      return fail (error, "%s is no array of floats", RD_KEY_ADAPTER_GATE);
    adapters->gates[i] = (gfloat) value;
  }
  return TRUE;
}

static gboolean
is_adapter (const StTensor * tensor)
{
  return g_str_has_prefix (tensor->name, RD_ADAPTER_PREFIX)
      || g_str_has_suffix (tensor->name, RD_ADAPTER_A)
      || g_str_has_suffix (tensor->name, RD_ADAPTER_B);
}

gboolean
rd_learned_adapters_refuse (const StGguf * gguf, GError ** error)
{
  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++)
    if (is_adapter (st_gguf_tensor (gguf, i)))
      return fail (error, "tensor %s is an adapter, which version 1 of the"
          " format does not have", st_gguf_tensor (gguf, i)->name);
  return TRUE;
}

/* A tensor with the name of an adapter that is none: the model must not run without what the file wants it to. */
static gboolean
check_other (const StGguf * gguf, const StTensor * tensor, GError ** error)
{
  gsize length = strlen (tensor->name), suffix = strlen (RD_ADAPTER_B);
  g_autofree gchar *name = NULL, *a = NULL;

  if (!g_str_has_suffix (tensor->name, RD_ADAPTER_B))
    return fail (error, "tensor %s is no adapter", tensor->name);
  name = g_strndup (tensor->name, length - suffix);
  a = g_strconcat (name, RD_ADAPTER_A, NULL);
  return st_gguf_find (gguf, a) || fail (error, "tensor %s is missing", a);
}

RdLearnedAdapters *
rd_learned_adapters_load (const StGguf * gguf, guint hidden_size,
    guint n_knots, GError ** error)
{
  g_autoptr (RdLearnedAdapters) adapters = rd_learned_adapters_new (0, n_knots);

  if (!read_numbers (gguf, n_knots, adapters, error))
    return NULL;
  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++) {
    const StTensor *tensor = st_gguf_tensor (gguf, i);

    if (!is_adapter (tensor))
      continue;
    if (!(g_str_has_suffix (tensor->name, RD_ADAPTER_A) ?
            read_adapter (gguf, tensor, hidden_size, adapters, error) :
            check_other (gguf, tensor, error)))
      return NULL;
  }
  return g_steal_pointer (&adapters);
}
