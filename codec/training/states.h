/* Hidden states at a split of a model, and what they are predicted from, for sequences of ids. D = hidden size. */
#pragma once
#include "codec/codec.h"
#include "models/model.h"

G_BEGIN_DECLS

/** RdStatesOptions: which states. */
typedef struct
{
  guint split_layer;            /* states before this block, 1 .. blocks - 1 */
  RdSideInfo side_info;
  guint n_blocks;               /* of RD_SIDE_INFO_BLOCKS, 1 .. split_layer - 1 */
  gsize max_tokens;             /* of a sequence */
  guint threads;                /* 0 = all CPUs */
} RdStatesOptions;

typedef struct _RdStates RdStates;

/** rd_states_new: opens the model's first blocks. Errors: ST_MODEL_ERROR; RANGE names the model's blocks. */
RdStates *rd_states_new (const gchar * path, const RdStatesOptions * options, GError ** error);
void rd_states_free (RdStates * states);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdStates, rd_states_free)

/** rd_states_model: the first blocks, with embedding; owned by @states. */
StModel *rd_states_model (const RdStates * states);

/** rd_states_run: x (n, D) and, with side information, features (n, D; NULL: not wanted) of a sequence that begins with ids[0]. One
 * id alone runs as a generated token does, several as a prompt. The same bits for any number of threads. */
gboolean rd_states_run (RdStates * states, const gint32 * ids, gsize n, float *x, float *features, const gint * cancel, GError ** error);

G_END_DECLS
