/* transformertail task=score: how likely the text is. */
#include "elements/transformertail/gsttransformertail-private.h"
#include <string.h>

#define GST_CAT_DEFAULT transformertail_debug

/* Rows whose logits are computed at a time. */
#define BATCH 32

static GstStructure *
describe (const GstRdSession * session, const GstTailSession * t)
{
  GValue list = G_VALUE_INIT, value = G_VALUE_INIT;
  GstStructure *s = gst_structure_new ("transformertail-score",
      "session", G_TYPE_UINT, session->number,
      "windows", G_TYPE_UINT64, t->score.windows,
      "tokens", G_TYPE_UINT64, t->score.tokens,
      "mean-nll", G_TYPE_DOUBLE, gst_rd_score_mean (&t->score),
      "perplexity", G_TYPE_DOUBLE, gst_rd_score_perplexity (&t->score),
      "top1", G_TYPE_DOUBLE, gst_rd_score_top1 (&t->score),
      "window-tokens", G_TYPE_UINT64, t->window.tokens,
      "window-mean-nll", G_TYPE_DOUBLE, gst_rd_score_mean (&t->window), NULL);

  g_value_init (&list, GST_TYPE_ARRAY);
  g_value_init (&value, G_TYPE_DOUBLE);
  for (guint i = 0; i < t->likelihoods->len; i++) {
    g_value_set_double (&value, g_array_index (t->likelihoods, gdouble, i));
    gst_value_array_append_value (&list, &value);
  }
  gst_structure_take_value (s, "log-likelihoods", &list);
  return s;
}

/* A window is over: add it up and say so. */
static void
end_window (GstTransformerTail * self, GstRdSession * session)
{
  GstTailSession *t = session->data;

  t->has_last_row = FALSE;
  if (t->window.tokens == 0)
    return;
  t->window.windows = 1;
  gst_rd_score_add (&t->score, &t->window);
  GST_OBJECT_LOCK (self);
  gst_rd_score_add (&self->totals.score, &t->window);
  GST_OBJECT_UNLOCK (self);
  gst_element_post_message (GST_ELEMENT (self),
      gst_message_new_element (GST_OBJECT (self), describe (session, t)));
  memset (&t->window, 0, sizeof t->window);
  g_array_set_size (t->likelihoods, 0);
}

/* Scores @targets, the tokens after @n rows that begin at @position. */
static GstFlowReturn
score_rows (GstTransformerTail * self, GstRdSession * session,
    const gfloat * x, const gint32 * targets, gsize n, guint32 position,
    gboolean step)
{
  const StModelConfig *config = st_model_config (self->partition.model);
  GstTailSession *t = session->data;
  GstFlowReturn flow = GST_FLOW_OK;

  for (gsize done = 0; done < n; done += BATCH) {
    gsize m = MIN (n - done, BATCH);
    const gfloat *logits = gst_tail_logits (self, session,
        x + done * config->hidden_size, m, position + (guint32) done, step,
        &flow);

    if (!logits)
      return flow;
    for (gsize i = 0; i < m; i++) {
      gdouble ll = gst_rd_score_row (&t->window,
          logits + i * config->vocab_size, config->vocab_size,
          (guint) targets[done + i]);

      g_array_append_val (t->likelihoods, ll);
    }
  }
  return flow;
}

static GError *
check_ids (GstTransformerTail * self, const GstRdRows * rows)
{
  guint vocab = st_model_config (self->partition.model)->vocab_size;

  if (!rows->ids)
    return g_error_new (GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED,
        "task=score needs the token ids with the hidden states; set "
        "send-ids=true on tokensrc");
  for (gsize i = 0; i < rows->n; i++) {
    if (rows->ids[i] < 0 || (guint) rows->ids[i] >= vocab)
      return g_error_new (GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
          "the token id at position %u is outside the vocabulary of %u",
          rows->position + (guint) i, vocab);
  }
  return NULL;
}

GstFlowReturn
gst_tail_score (GstTransformerTail * self, GstRdSession * session,
    const GstRdRows * rows)
{
  guint hidden = st_model_config (self->partition.model)->hidden_size;
  gboolean step = (rows->flags & GST_RD_META_STEP) != 0;
  GError *error = check_ids (self, rows);
  GstTailSession *t = session->data;
  GstFlowReturn flow = GST_FLOW_OK;
  guint from;

  if (error)
    return gst_rd_fail_session (GST_ELEMENT (self), self->sinkpad,
        &self->partition, session->number, error);
  GST_OBJECT_LOCK (self);
  from = self->score_from;
  GST_OBJECT_UNLOCK (self);
  if (rows->epoch != t->last_epoch || !t->has_last_row
      || rows->position != t->last_position + 1)
    end_window (self, session);
  else if (t->last_position >= from)
    flow = score_rows (self, session, t->last_row, rows->ids, 1,
        t->last_position, t->last_step);
  gsize first = from > rows->position ? from - rows->position : 0;
  if (flow == GST_FLOW_OK && first + 1 < rows->n)
    flow = score_rows (self, session, rows->x + first * hidden,
        rows->ids + first + 1, rows->n - 1 - first,
        rows->position + (guint32) first, step);
  gst_tail_keep_last_row (self, t, rows);
  return flow;
}

void
gst_tail_end_score (GstTransformerTail * self, GstRdSession * session)
{
  end_window (self, session);
}
