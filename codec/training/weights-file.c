#include "codec/training/weights-file.h"

#include <string.h>

#include "models/gguf/gguf-writer.h"

#define FILE_TYPE "general.file_type"
/* Keys of a part of a model, which speak of the original's tensors. */
#define PART_KEYS "split."

typedef struct
{
  const RdWeights *weights;
  RdParameters parameters;      /* theirs */
  StGgufWriter *writer;
  StType type;                  /* of matrices */
  GPtrArray *blobs;             /* tensors' bytes, until the file is written */
} Writing;

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

static gboolean
add_values (const Writing * w, const StTensor * tensor, const float *values,
    GError ** error)
{
  const StType type = tensor->n_dims == 1 ? ST_TYPE_F32 : w->type;
  const gsize cols = tensor->ne[0];
  const gsize rows = tensor->n_dims == 1 ? 1 : tensor->ne[1];
  const guint block = st_type_traits (type)->block_size;
  gsize row_bytes;
  guint8 *data;

  if (cols % block != 0) {
    g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OPTIONS,
        "%s has rows of %" G_GSIZE_FORMAT " values: type %s needs multiples of "
        "%u", tensor->name, cols, st_type_traits (type)->name, block);
    return FALSE;
  }
  row_bytes = st_type_row_bytes (type, cols);
  data = g_malloc_n (rows, row_bytes);
  g_ptr_array_add (w->blobs, data);
  for (gsize row = 0; row < rows; row++)
    st_type_from_float (type, values + row * cols, data + row * row_bytes,
        cols);
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
    const float *values = find_values (w, tensor->name);

    if (values != NULL ? !add_values (w, tensor, values, error) :
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
