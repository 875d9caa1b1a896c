/* Adapters in memory: release, copies, and checks that hold wherever they come from. */
#include "codec/learned/parameters-private.h"
#include "codec/float-bits.h"

#include <math.h>
#include <string.h>

#define MAX_BLOCK_DIGITS 5

static void
clear_adapter (gpointer data)
{
  RdLearnedAdapter *adapter = data;

  g_free (adapter->name);
  g_free (adapter->a);
  g_free (adapter->b);
}

RdLearnedAdapters *
rd_learned_adapters_new (gfloat alpha, guint n_knots)
{
  RdLearnedAdapters *adapters = g_new0 (RdLearnedAdapters, 1);

  adapters->alpha = alpha;
  adapters->gates = g_new (gfloat, n_knots);
  for (guint i = 0; i < n_knots; i++)
    adapters->gates[i] = 1;
  adapters->list = g_array_new (FALSE, TRUE, sizeof (RdLearnedAdapter));
  g_array_set_clear_func (adapters->list, clear_adapter);
  return adapters;
}

void
rd_learned_adapters_free (RdLearnedAdapters * adapters)
{
  if (!adapters)
    return;
  g_free (adapters->gates);
  g_array_unref (adapters->list);
  g_free (adapters);
}

void
rd_learned_adapters_add (RdLearnedAdapters * adapters, const gchar * name,
    guint inputs, guint outputs, guint rank, const gfloat * a, const gfloat * b)
{
  RdLearnedAdapter adapter = {
    .name = g_strdup (name),
    .inputs = inputs,
    .outputs = outputs,
    .rank = rank,
    .a = g_memdup2 (a, (gsize) rank * inputs * sizeof (gfloat)),
    .b = g_memdup2 (b, (gsize) outputs * rank * sizeof (gfloat)),
  };

  g_array_append_val (adapters->list, adapter);
}

RdLearnedAdapters *
rd_learned_adapters_copy (const RdLearnedAdapters * adapters, guint n_knots)
{
  RdLearnedAdapters *copy;

  if (!adapters)
    return NULL;
  copy = rd_learned_adapters_new (adapters->alpha, n_knots);
  memcpy (copy->gates, adapters->gates, n_knots * sizeof (gfloat));
  for (guint i = 0; i < adapters->list->len; i++) {
    const RdLearnedAdapter *from = rd_learned_adapters_get (adapters, i);

    rd_learned_adapters_add (copy, from->name, from->inputs, from->outputs,
        from->rank, from->a, from->b);
  }
  return copy;
}

/* Matrices of a block, and which of their sides is the hidden size. */
typedef struct
{
  const gchar *name;
  gboolean inputs, outputs;
} Matrix;

static const Matrix matrices[] = {
  {"attn_q", TRUE, FALSE},
  {"attn_k", TRUE, FALSE},
  {"attn_v", TRUE, FALSE},
  {"attn_output", FALSE, TRUE},
  {"ffn_gate", TRUE, FALSE},
  {"ffn_up", TRUE, FALSE},
  {"ffn_down", FALSE, TRUE},
};

/* The matrix of "blk.N.MATRIX.weight", N a number without zeros before it; NULL if @name has another form. */
static const Matrix *
find_matrix (const gchar * name)
{
  const gchar *at = name + strlen (RD_ADAPTER_PREFIX), *end;
  gsize digits;

  if (!g_str_has_prefix (name, RD_ADAPTER_PREFIX))
    return NULL;
  digits = strspn (at, "0123456789");
  end = at + digits;
  if (digits < 1 || digits > MAX_BLOCK_DIGITS || (digits > 1 && *at == '0')
      || *end != '.')
    return NULL;
  for (guint i = 0; i < G_N_ELEMENTS (matrices); i++) {
    gsize length = strlen (matrices[i].name);

    if (strncmp (end + 1, matrices[i].name, length) == 0
        && strcmp (end + 1 + length, ".weight") == 0)
      return &matrices[i];
  }
  return NULL;
}

gboolean
rd_learned_adapter_check_shape (const RdLearnedAdapter * adapter,
    guint hidden_size, GError ** error)
{
  const Matrix *matrix = find_matrix (adapter->name);

  if (!matrix) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
        "tensor %s.lora_a belongs to no matrix that can have an adapter",
        adapter->name);
    return FALSE;
  }
  if (adapter->rank < 1 || adapter->rank > hidden_size) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
        "the adapter of %s has rank %u, not 1 to %u", adapter->name,
        adapter->rank, hidden_size);
    return FALSE;
  }
  if (adapter->inputs < 1 || adapter->inputs > RD_LEARNED_MAX_ADAPTER_WIDTH
      || adapter->outputs < 1
      || adapter->outputs > RD_LEARNED_MAX_ADAPTER_WIDTH
      || (matrix->inputs && adapter->inputs != hidden_size)
      || (matrix->outputs && adapter->outputs != hidden_size)) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
        "the adapter of %s is for %u inputs and %u outputs, which does not go"
        " with a hidden size of %u", adapter->name, adapter->inputs,
        adapter->outputs, hidden_size);
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_values (const RdLearnedAdapter * adapter, const gchar * what,
    const gfloat * values, gsize n, GError ** error)
{
  if (values && rd_float_max_abs_bits (values, n) < RD_FLOAT_INFINITY_BITS)
    return TRUE;
  g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
      values ? "%s.%s holds NaN or infinity" : "%s.%s is missing",
      adapter->name, what);
  return FALSE;
}

static gboolean
check_numbers (const RdLearnedAdapters * adapters, guint n_knots,
    GError ** error)
{
  if (!(adapters->alpha > 0) || !isfinite (adapters->alpha)) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
        "%s is not a number above 0", RD_KEY_ADAPTER_ALPHA);
    return FALSE;
  }
  if (rd_float_max_abs_bits (adapters->gates,
          n_knots) >= RD_FLOAT_INFINITY_BITS) {
    g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
        "%s holds NaN or infinity", RD_KEY_ADAPTER_GATE);
    return FALSE;
  }
  if (adapters->list->len > 0)
    return TRUE;
  g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
      "there are no adapters, which version %d is for",
      RD_LEARNED_VERSION_ADAPTERS);
  return FALSE;
}

gboolean
rd_learned_adapters_check (const RdLearnedAdapters * adapters,
    guint hidden_size, guint n_knots, GError ** error)
{
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);

  if (!check_numbers (adapters, n_knots, error))
    return FALSE;
  for (guint i = 0; i < adapters->list->len; i++) {
    const RdLearnedAdapter *adapter = rd_learned_adapters_get (adapters, i);

    if (!g_hash_table_add (names, adapter->name)) {
      g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
          "%s has two adapters", adapter->name);
      return FALSE;
    }
    if (!rd_learned_adapter_check_shape (adapter, hidden_size, error)
        || !check_values (adapter, "lora_a", adapter->a,
            (gsize) adapter->rank * adapter->inputs, error)
        || !check_values (adapter, "lora_b", adapter->b,
            (gsize) adapter->outputs * adapter->rank, error))
      return FALSE;
  }
  return TRUE;
}

gfloat
rd_learned_adapters_gate (const RdLearnedAdapters * adapters,
    const gint32 * knots, guint n_knots, guint level)
{
  const gfloat *gates = adapters->gates;
  guint k = 1;

  while (k + 1 < n_knots && level > (guint) knots[k])
    k++;
  return gates[k - 1] + (gates[k] - gates[k - 1])
      * (gfloat) ((gint32) level - knots[k - 1])
      / (gfloat) (knots[k] - knots[k - 1]);
}
