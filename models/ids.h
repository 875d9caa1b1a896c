/* The model id, and the list of tensor hashes behind it.
 *
 * Two devices hold different parts of one model and must know it. The model id covers the whole of it: architecture keys, tokenizer
 * and, for all tensors, name, type, shape and a hash of a few samples of the bytes. A partition file lacks most tensors, so it
 * carries the list of them all in its metadata; the id is computed from that list, and the tensors at hand are compared with it. */
#pragma once
#include <glib.h>
#include "models/gguf/gguf.h"

G_BEGIN_DECLS

#define ST_IDS_ERROR (st_ids_error_quark ())
GQuark st_ids_error_quark (void);
typedef enum
{
  ST_IDS_ERROR_IO,              /* a tensor could not be read */
  ST_IDS_ERROR_LIST,            /* the hash list of a partition is damaged, or has no full hashes to compare with */
  ST_IDS_ERROR_MISMATCH,        /* a tensor or the tokenizer is not the one in the list */
} StIdsError;

/* Metadata keys of a partition file. Tensor arrays are in ascending order of the names, and cover the whole model. */
#define ST_SPLIT_KEY_MODEL_ID "split.model_id"  /* string, hex */
#define ST_SPLIT_KEY_TOKENIZER_ID "split.tokenizer_id"  /* string, hex; "" for a model without a tokenizer */
#define ST_SPLIT_KEY_FIRST_BLOCK "split.first_block"    /* uint32 */
#define ST_SPLIT_KEY_LAST_BLOCK "split.last_block"      /* uint32, exclusive */
#define ST_SPLIT_KEY_VOCAB_SIZE "split.vocab_size"      /* uint32: rows of the token embedding, which may not be in the file */
#define ST_SPLIT_KEY_NAMES "split.tensor.names" /* strings */
#define ST_SPLIT_KEY_TYPES "split.tensor.types" /* uint32 each */
#define ST_SPLIT_KEY_SHAPES "split.tensor.shapes"       /* uint64, ST_GGUF_MAX_DIMS each */
#define ST_SPLIT_KEY_HASHES "split.tensor.hashes"       /* uint8, ST_HASH_BYTES each: of the samples */
#define ST_SPLIT_KEY_FULL_HASHES "split.tensor.full_hashes"     /* uint8, ST_HASH_BYTES each: of all bytes */

#define ST_HASH_BYTES 32        /* SHA-256 */

/** StTensorHash: one tensor of the whole model. */
typedef struct
{
  const gchar *name;
  StType type;
  guint64 ne[ST_GGUF_MAX_DIMS];
  guint8 hash[ST_HASH_BYTES];   /* of the samples */
  guint8 full_hash[ST_HASH_BYTES];      /* of all bytes, if st_model_ids_has_full() */
} StTensorHash;

typedef struct _StModelIds StModelIds;

/** st_model_ids_compute: model id and hash list of @gguf. A whole model's tensors are sampled with pread (4 x 64 bytes each, never
 * through the mapping); a partition's list is read from its metadata and checked against the id stored there.
 * @tokenizer_id: st_tokenizer_id() of the file's tokenizer; %NULL if the file has none. In a partition %NULL is always allowed;
 * another tokenizer than the stored one is an error. Keeps no reference to @gguf. Free with st_model_ids_free(). */
StModelIds *st_model_ids_compute (StGguf * gguf, const gchar * tokenizer_id, GError ** error);
void st_model_ids_free (StModelIds * ids);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (StModelIds, st_model_ids_free)

/** Model id: lower-case hex SHA-256, 64 characters; the same for the whole model and each of its partitions. */
const gchar *st_model_ids_model_id (const StModelIds * ids);
/** Tokenizer id of the whole model; "" when it has none. */
const gchar *st_model_ids_tokenizer_id (const StModelIds * ids);
/** st_model_ids_blocks: %TRUE for a partition file, with the blocks @first .. @last - 1 that it holds. */
gboolean st_model_ids_blocks (const StModelIds * ids, guint * first, guint * last);

/** The list, in ascending order of the names. */
gsize st_model_ids_n_tensors (const StModelIds * ids);
const StTensorHash *st_model_ids_tensor (const StModelIds * ids, gsize index);
/** Whether the list has hashes of all bytes: in partitions, and after st_model_ids_add_full(). */
gboolean st_model_ids_has_full (const StModelIds * ids);

/** st_model_ids_check: compares one tensor of @gguf with the list: name, type, shape and samples; with @full all of its bytes
 * (read in chunks with pread). Call it for each tensor that is used. Samples of a whole model are not read again.
 * An error names the tensor. */
gboolean st_model_ids_check (const StModelIds * ids, StGguf * gguf, const StTensor * tensor, gboolean full, GError ** error);

/** st_model_ids_add_full: hashes all bytes of every tensor of the whole model @gguf, for a partition to carry. */
gboolean st_model_ids_add_full (StModelIds * ids, StGguf * gguf, GError ** error);

G_END_DECLS
