/* A contiguous range of blocks of a model, its KV caches and its products. */
#pragma once
#include <glib.h>
#include "models/adapters.h"
#include "models/gguf/gguf.h"
#include "models/kernels/kernels.h"
#include "models/tokenizer/tokenizer.h"

G_BEGIN_DECLS

#define ST_MODEL_ERROR (st_model_error_quark ())
GQuark st_model_error_quark (void);
typedef enum
{
  ST_MODEL_ERROR_UNSUPPORTED,   /* architecture, tensor type */
  ST_MODEL_ERROR_DAMAGED,       /* shapes, missing tensors, hash list does not agree */
  ST_MODEL_ERROR_RANGE,         /* blocks that the model or this partition does not have */
  ST_MODEL_ERROR_CONTEXT,       /* KV cache full, or position beyond its end */
  ST_MODEL_ERROR_INPUT,         /* id out of range */
  ST_MODEL_ERROR_CANCELLED,
  ST_MODEL_ERROR_MEMORY,        /* an allocation or reservation failed */
} StModelError;

/** StFamily: models with the same kind of blocks (family.h). */
typedef struct _StFamily StFamily;

typedef struct
{
  const StFamily *family;
  const gchar *architecture;    /* "llama", "gpt2" */
  const gchar *name;            /* general.name, or the file name */
  guint n_blocks;               /* of the whole model */
  guint hidden_size;            /* D */
  guint n_heads, n_kv_heads, head_dim, ff_size;
  guint vocab_size;
  guint context_length;         /* trained */
  gfloat norm_eps;
  guint rope_dim;               /* of a head, rotated by position; 0: none */
  gfloat rope_base;
  gdouble rope_scale;           /* of positions */
} StModelConfig;

/** st_name_copy: as much of @name as @size bytes take, the NUL included: valid UTF-8, cut between two characters. What is not UTF-8 in
 * @name, which comes from a file, becomes U+FFFD. */
void st_name_copy (gchar * to, gsize size, const gchar * name);

typedef struct
{
  gint first_block;             /* 0 */
  gint last_block;              /* exclusive; -1 = n_blocks */
  gboolean embed;               /* needs the token embedding */
  gboolean output;              /* needs final norm and output head */
  guint threads;                /* 0 = all CPUs */
  gboolean deterministic;       /* TRUE: own kernels; FALSE: OpenBLAS allowed in prefill */
  gboolean verify_full;         /* compare the full hash of every tensor used with the list in a partition (a whole model has none) */
} StModelOptions;

typedef struct _StModel StModel;

/** st_model_open: opens @path and checks the tensors that the range needs; no other tensor's bytes are touched. */
StModel *st_model_open (const gchar * path, const StModelOptions * options, GError ** error);
StModel *st_model_ref (StModel * model);
void st_model_unref (StModel * model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (StModel, st_model_unref)

/** st_model_adapt: from now on the model runs with @adapters (referenced), which are those of the whole model; once, before it is used. Errors:
 * RANGE for an adapter of a matrix that the model does not have, DAMAGED for one of another shape. */
gboolean st_model_adapt (StModel * model, StModelAdapters * adapters, GError ** error);

const StModelConfig *st_model_config (const StModel * model);
/** Model id (design section 4), lower-case hex SHA-256, 64 characters; the same for every partition of one model. */
const gchar *st_model_id (const StModel * model);
/** Loaded with the model; %NULL in a partition file that carries no tokenizer. */
StTokenizer *st_model_tokenizer (const StModel * model);
/** The file's chat template text, or NULL. */
const gchar *st_model_chat_template (const StModel * model);
/** The open file, owned by @model. */
StGguf *st_model_gguf (const StModel * model);
/** Blocks of the range. */
guint st_model_first_block (const StModel * model);
guint st_model_n_layers (const StModel * model);
/** Positions that the model has at most: those that were learned; G_MAXUINT where they are computed, whatever it was trained for. */
guint st_model_max_positions (const StModel * model);
/** Bytes of the tensors this range uses, in the file's own types. */
guint64 st_model_used_bytes (const StModel * model);

/** StKvCache: keys and values of one session for the range's blocks; memory grows with the positions stored. */
typedef struct _StKvCache StKvCache;
/** @type ST_TYPE_F32 or ST_TYPE_F16; @context_size positions at most (0 = the model's trained context), and no more than
 * st_model_max_positions(). */
StKvCache *st_kv_cache_new (StModel * model, guint context_size, StType type, GError ** error);
void st_kv_cache_free (StKvCache * cache);
guint st_kv_cache_length (const StKvCache * cache);
guint st_kv_cache_capacity (const StKvCache * cache);
/** Bytes that one position takes in all the range's blocks. */
gsize st_kv_cache_position_bytes (const StKvCache * cache);
/** FALSE when @length is beyond the end. */
gboolean st_kv_cache_truncate (StKvCache * cache, guint length);

/** st_model_embed: x (n x D) = embeddings of @ids, whatever their positions: learned positions are added before block 0, where it is run. Error
 * on an id out of range. */
gboolean st_model_embed (StModel * model, const gint32 * ids, gsize n, float *x, GError ** error);
/** st_model_run: x (n x D, in place) through the range's blocks, at positions st_kv_cache_length() ...; appends to the cache.
 * On error or cancel the cache keeps its old length and x is undefined. @cancel: polled atomically, may be NULL. Several threads may
 * use one model: they take turns chunk by chunk, so a long prompt does not stop another session. One cache is used by one thread. */
gboolean st_model_run (StModel * model, StKvCache * cache, float *x, gsize n, StRegime regime, const gint * cancel,
    GError ** error);
/** st_model_run_gated: as st_model_run(), with a factor of the adapters for each row: @gates (n); NULL = 1. What the cache holds keeps the gate that it
 * was computed with. */
gboolean st_model_run_gated (StModel * model, StKvCache * cache, float *x, gsize n, StRegime regime, const float *gates,
    const gint * cancel, GError ** error);
/** st_model_logits: logits (n x vocab_size) of final hidden states x (n x D, not changed). */
gboolean st_model_logits (StModel * model, const float *x, gsize n, StRegime regime, float *logits, const gint * cancel,
    GError ** error);

G_END_DECLS
