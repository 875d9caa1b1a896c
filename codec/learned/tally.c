/* Symbols for calibration. */
#include "codec/learned/coder.h"
#include "codec/float-bits.h"

gboolean
rd_learned_tally (const RdLearnedModel * model, const RdRows * rows,
    const gfloat * x, guint level, guint complexity, RdTally tally,
    gpointer user_data, GError ** error)
{
  g_autoptr (RdCoder) coder = rd_coder_new (model);

  if (level >= RD_LEARNED_LEVELS
      || rd_float_max_abs_bits (x, rows->n * model->p->hidden_size) >=
      RD_FLOAT_INFINITY_BITS) {
    g_set_error_literal (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
        "rows that are not finite, or a level above 127");
    return FALSE;
  }
  if (!rd_coder_set_encoder (coder, rows->features ? 1 : 0, level,
          complexity <= RD_LEARNED_SCALAR_COMPLEXITY, error))
    return FALSE;
  for (gsize t = 0; t < rows->n; t += RD_BLOCK_ROWS) {
    gsize n = MIN (RD_BLOCK_ROWS, rows->n - t);

    rd_coder_quantise (coder, rows, x, t, n, NULL);
    RdSymbols symbols = { n, coder->context.n, coder->symbols, coder->tables,
      coder->context.shift
    };
    tally (&symbols, user_data);
  }
  return TRUE;
}
