/* The learned codec: hidden states under the parameters of a codec file. FORMAT.md has the bytes. */
#pragma once
#include "codec/learned/parameters.h"

G_BEGIN_DECLS

#define RD_LEARNED_MAX_ROWS 1024u       /* of one payload */
#define RD_LEARNED_SCALAR_COMPLEXITY 2u /* up to here the scalar quantiser, above it the trellis */

/** rd_learned_new: from a codec file; @hidden_size must be its own, or 0. */
RdCodec *rd_learned_new (const gchar * path, guint hidden_size, GError ** error);

/** RdLearnedModel: parameters made ready for coding; immutable, any number of threads may use it. */
typedef struct _RdLearnedModel RdLearnedModel;

/** rd_learned_model_new: takes @parameters. INPUT error for numbers out of range and bad tables. */
RdLearnedModel *rd_learned_model_new (RdLearnedParameters * parameters, GError ** error);
void rd_learned_model_free (RdLearnedModel * model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdLearnedModel, rd_learned_model_free)

/** RdSymbols: what becomes of some rows, for calibration. w = rows, padded; symbols and tables are (D + 2, w) as in FORMAT.md section 3. */
typedef struct
{
  gsize n, w;
  const gint32 *symbols;
  const guint16 *tables;
  const gint32 *shift;          /* (D, w) of networks, 1/256 octave; NULL without */
} RdSymbols;

/** RdTally: called for each block of up to 64 rows. */
typedef void (*RdTally) (const RdSymbols * symbols, gpointer user_data);

/** rd_learned_tally: quantises @rows as the encoder would and hands out the symbols with their tables instead of coding them.
 * @level 0 .. 127; @complexity as in RdSettings; rows with features need side information in @model. INPUT error for rows that are not finite,
 * or a synthesis without an inverse. */
gboolean rd_learned_tally (const RdLearnedModel * model, const RdRows * rows, const gfloat * x, guint level, guint complexity, RdTally tally,
    gpointer user_data, GError ** error);

G_END_DECLS
