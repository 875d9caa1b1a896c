/* Writes part of a model as a GGUF file of its own. */
#pragma once
#include <glib.h>
#include "models/gguf/gguf.h"
#include "models/ids.h"

G_BEGIN_DECLS

#define ST_PARTITION_ERROR (st_partition_error_quark ())
GQuark st_partition_error_quark (void);
typedef enum
{
  ST_PARTITION_ERROR_RANGE,     /* blocks that the text does not name, or the file does not hold */
  ST_PARTITION_ERROR_MODEL,     /* the file lacks a tensor or key that a partition needs */
} StPartitionError;

/** st_partition_n_blocks: number of blocks of the whole model that @gguf is, or is a part of. */
gboolean st_partition_n_blocks (StGguf * gguf, guint * n_blocks, GError ** error);

/** st_partition_parse_layers: a range as users write it: "A-B" is the blocks @first = A up to, not including, @last = B; "all" or
 * NULL is the whole model of @n_blocks. An error says what a valid range is. */
gboolean st_partition_parse_layers (const gchar * text, guint n_blocks, guint * first, guint * last, GError ** error);

/** StPartitionInfo: what st_partition_write() wrote. */
typedef struct
{
  guint64 n_tensors;
  guint64 tensor_bytes;
  gchar model_id[65];
} StPartitionInfo;

/** st_partition_write: writes the blocks @first .. @last - 1 of @gguf, a whole model or a partition that holds them, to @path:
 * all metadata (without @keep_tokenizer not the keys tokenizer.*), the list of hashes of the whole model, and
 *  - the tensors of these blocks under their own names,
 *  - the token embedding when @first is 0,
 *  - the final norm and the output matrix (the token embedding where it is tied) when @last is the model's last,
 *  - for the predictor of a codec file, the token embedding and the blocks 0 .. @predictor - 1 besides; @predictor -1: none,
 *  - tensors that every part needs (rope_freqs).
 * @tokenizer_id: as for st_model_ids_compute(). Every tensor is read once to be hashed and, if it goes along, once to be copied.
 * @info may be %NULL. */
gboolean st_partition_write (StGguf * gguf, const gchar * tokenizer_id, guint first, guint last, gint predictor,
    gboolean keep_tokenizer, const gchar * path, StPartitionInfo * info, GError ** error);

G_END_DECLS
