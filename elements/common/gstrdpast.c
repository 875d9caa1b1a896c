/* What is known of the tokens of one session. */
#include "elements/common/gstrdpast.h"

void
gst_rd_past_init (GstRdPast * past)
{
  past->epoch = 0;
  past->tokens = g_array_new (FALSE, FALSE, sizeof (guint32));
}

void
gst_rd_past_clear (GstRdPast * past)
{
  g_clear_pointer (&past->tokens, g_array_unref);
}

static guint32 *
token_at (const GstRdPast * past, guint32 position)
{
  return &g_array_index (past->tokens, guint32, position);
}

static void
grow (GstRdPast * past, guint32 length)
{
  const guint32 unknown = GST_RD_PAST_UNKNOWN;

  while (past->tokens->len < length)
    g_array_append_val (past->tokens, unknown);
}

void
gst_rd_past_rows (GstRdPast * past, guint32 epoch, guint32 position, gsize n,
    gboolean step, const gint32 * ids)
{
  if (epoch != past->epoch && past->tokens->len > position)
    g_array_set_size (past->tokens, position);
  past->epoch = epoch;
  grow (past, position + (guint32) n);
  for (gsize i = 0; i < n; i++) {
    guint32 *token = token_at (past, position + (guint32) i);

    if (ids)
      *token = (guint32) ids[i];
    if (*token != GST_RD_PAST_UNKNOWN)
      *token = (*token & ~GST_RD_PAST_STEP) | (step ? GST_RD_PAST_STEP : 0);
  }
}

void
gst_rd_past_tokens (GstRdPast * past, guint32 epoch, guint32 position,
    const gint32 * ids, gsize n)
{
  if (epoch != past->epoch)
    return;
  grow (past, position + (guint32) n);
  for (gsize i = 0; i < n; i++)
    *token_at (past, position + (guint32) i) =
        (guint32) ids[i] | GST_RD_PAST_STEP;
}

gboolean
gst_rd_past_ids (const GstRdPast * past, guint32 position, gsize n,
    gint32 * ids)
{
  if (position > past->tokens->len || n > past->tokens->len - position)
    return FALSE;
  for (gsize i = 0; i < n; i++) {
    guint32 token = *token_at (past, position + (guint32) i);

    if (token == GST_RD_PAST_UNKNOWN)
      return FALSE;
    ids[i] = (gint32) (token & ~GST_RD_PAST_STEP);
  }
  return TRUE;
}

gboolean
gst_rd_past_knows (const GstRdPast * past, guint32 position, gsize n,
    const gint32 * ids)
{
  g_autofree gint32 *known = g_new (gint32, n);

  if (!gst_rd_past_ids (past, position, n, known))
    return FALSE;
  for (gsize i = 0; i < n; i++)
    if (known[i] != ids[i])
      return FALSE;
  return TRUE;
}
