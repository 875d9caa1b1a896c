#include "codec/training/weights-file.h"

#include <string.h>

#include "models/family.h"
#include "models/gguf/gguf-writer.h"

#define FILE_TYPE "general.file_type"
/* Keys of a part of a model, which speak of the original's tensors. */
#define PART_KEYS "split."
#define POSITIONS "position_embd.weight"

typedef struct
{
  const RdWeights *weights;
  RdParameters parameters;      /* theirs */
  StGgufWriter *writer;
  StType type;                  /* of matrices */
  GPtrArray *blobs;             /* tensors' bytes, until the file is written */
} Writing;

/* Part of a tensor. */
typedef struct
{
  const float *values;
  gsize n;
} Part;

static const float *
find_values (const Writing * w, const gchar * name)
{
  for (guint i = 0; i < rd_parameters_count (&w->parameters); i++) {
    const RdParameter *p = rd_parameters_get (&w->parameters, i);

    if (strcmp (p->name, name) == 0)
      return p->values;
  }
  return NULL;
}

/* @suffix: "weight" or "bias". */
static guint
find_fused (const Writing * w, const gchar * block, const gchar * suffix,
    Part * parts)
{
  const gboolean vector = strcmp (suffix, "bias") == 0;
  guint n = 0;

  for (guint m = RD_MATRIX_Q; m <= RD_MATRIX_V; m++) {
    g_autofree gchar *name = g_strdup_printf ("blk.%s.%s.%s", block,
        rd_matrix_name (m), suffix);
    gsize outputs, inputs;

    rd_matrix_shape (&w->weights->config, m, &outputs, &inputs);
    parts[n].values = find_values (w, name);
    parts[n].n = vector ? outputs : outputs * inputs;
    if (parts[n++].values == NULL)
      return 0;
  }
  return n;
}

/* What @tensor holds of the weights, one after the other; returns how many parts, 0 if it is not trained. */
static guint
find_parts (const Writing * w, const StTensor * tensor, Part * parts)
{
  const gchar *fused = w->weights->config.family->fused_qkv;
  g_auto (GStrv) words = g_strsplit (tensor->name, ".", 0);

  if (fused != NULL && g_strv_length (words) == 4
      && strcmp (words[2], fused) == 0)
    return find_fused (w, words[1], words[3], parts);
  parts[0].values = find_values (w, tensor->name);
  parts[0].n = tensor->ne[0] * tensor->ne[1];
  return parts[0].values != NULL ? 1 : 0;
}

/* Vectors and learned positions stay as exact as they are. */
static StType
type_of (const Writing * w, const StTensor * tensor)
{
  return tensor->n_dims == 1 || strcmp (tensor->name, POSITIONS) == 0 ?
      ST_TYPE_F32 : w->type;
}

static gboolean
add_values (const Writing * w, const StTensor * tensor, const Part * parts,
    guint n_parts, GError ** error)
{
  const StType type = type_of (w, tensor);
  const gsize cols = tensor->ne[0];
  const guint block = st_type_traits (type)->block_size;
  guint8 *data, *at;

  if (cols % block != 0) {
    g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
        "%s has rows of %" G_GSIZE_FORMAT " values: type %s needs multiples of "
        "%u", tensor->name, cols, st_type_traits (type)->name, block);
    return FALSE;
  }
  at = data = g_malloc (st_type_row_bytes (type, cols * tensor->ne[1]));
  g_ptr_array_add (w->blobs, data);
  for (guint i = 0; i < n_parts; i++) {
    st_type_from_float (type, parts[i].values, at, parts[i].n);
    at += st_type_row_bytes (type, parts[i].n);
  }
  return st_gguf_writer_add_tensor (w->writer, tensor->name, type,
      tensor->n_dims, tensor->ne, data, error);
}

/* In the original's order. */
static gboolean
add_tensors (const Writing * w, GError ** error)
{
  StGguf *gguf = st_model_gguf (w->weights->model);

  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++) {
    const StTensor *tensor = st_gguf_tensor (gguf, i);
    Part parts[RD_GROUP_MAX];
    const guint n = find_parts (w, tensor, parts);

    if (n > 0 ? !add_values (w, tensor, parts, n, error) :
        !st_gguf_writer_copy_tensor (w->writer, gguf, tensor, error))
      return FALSE;
  }
  return TRUE;
}

/* Of llama.cpp's enumeration llama_ftype. */
static guint32
file_type (StType type)
{
  if (type == ST_TYPE_F32)
    return 0;
  return type == ST_TYPE_F16 ? 1 : 7;
}

static void
set_metadata (const Writing * w, const gchar * const *notes)
{
  const StGguf *gguf = st_model_gguf (w->weights->model);

  st_gguf_writer_copy_metadata (w->writer, gguf);
  st_gguf_writer_remove_prefix (w->writer, PART_KEYS);
  if (st_gguf_find_entry (gguf, FILE_TYPE) != NULL)
    st_gguf_writer_set_uint32 (w->writer, FILE_TYPE, file_type (w->type));
  for (; *notes != NULL; notes += 2)
    st_gguf_writer_set_string (w->writer, notes[0], notes[1]);
}

gboolean
rd_weights_save (const RdWeights * weights, StType type,
    const gchar * const *notes, const gchar * path, GError ** error)
{
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  g_autoptr (GPtrArray) blobs = g_ptr_array_new_with_free_func (g_free);
  Writing w = {.weights = weights,.writer = writer,.type = type,.blobs = blobs
  };
  gboolean ok;

  rd_weights_parameters (weights, &w.parameters);
  set_metadata (&w, notes);
  ok = add_tensors (&w, error) && st_gguf_writer_write (writer, path, error);
  rd_parameters_clear (&w.parameters);
  return ok;
}

gboolean
rd_weights_reload (RdWeights * weights, StModel * model, GError ** error)
{
  g_autoptr (RdWeights) rounded =
      rd_weights_new (model, weights->max_tokens, error);

  if (rounded == NULL)
    return FALSE;
  g_return_val_if_fail (rounded->n_values == weights->n_values, FALSE);
  memcpy (weights->arena.memory, rounded->arena.memory,
      weights->n_values * sizeof (float));
  return TRUE;
}
