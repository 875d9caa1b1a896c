/* transformertail task=generate: one token after the other, as text. */
#include "elements/transformertail/gsttransformertail-private.h"
#include "elements/common/gstrdevents.h"
#include <math.h>
#include <string.h>

#define GST_CAT_DEFAULT transformertail_debug

/* Where a token stands. */
typedef struct
{
  guint32 epoch, position;
  GstClockTime pts;
  gboolean given;               /* sampled before a restart */
  gboolean final;               /* nobody runs it: the end of a stream without requests */
} Place;

static void
get_terms (GstTransformerTail * self, const GstTailSession * t,
    GstRdTerms * terms)
{
  GST_OBJECT_LOCK (self);
  gst_rd_sampling_terms (&self->sampling,
      self->allow_client_sampling ? &t->wishes : NULL, t->seed, terms);
  GST_OBJECT_UNLOCK (self);
}

/* ---- ids ---- */

static void
set_history (GstTailSession * t, guint32 position, gint32 id)
{
  const gint32 unknown = -1;

  while (t->history->len <= position)
    g_array_append_val (t->history, unknown);
  g_array_index (t->history, gint32, position) = id;
}

/* What the rows say about the ids. A prompt's count only where they may travel, so that the text does not depend on the transport. */
static void
remember_ids (GstTailSession * t, const GstRdRows * rows)
{
  gboolean step = (rows->flags & GST_RD_META_STEP) != 0;
  gboolean known = rows->ids && (step || (rows->flags & GST_RD_META_SEND_IDS));
  guint end = rows->position + (guint) rows->n;

  for (guint i = 0; i < rows->n; i++) {
    guint position = rows->position + i;

    if (known)
      set_history (t, position, rows->ids[i]);
    else if (!step || position >= t->history->len)
      set_history (t, position, -1);
  }
  if (t->history->len > end)
    g_array_set_size (t->history, end);
}

/* ---- text ---- */

static GstFlowReturn
emit_text (GstTransformerTail * self, GstRdSession * session,
    const GString * text, const Place * place)
{
  GstTailSession *t = session->data;
  GstBuffer *buffer;

  g_string_append_len (t->given_text, text->str, (gssize) text->len);
  if (place->given || t->given_text->len == 0)
    return GST_FLOW_OK;
  buffer = gst_buffer_new_memdup (t->given_text->str, t->given_text->len);
  g_string_truncate (t->given_text, 0);
  GST_BUFFER_PTS (buffer) = place->pts;
  gst_buffer_add_rd_meta (buffer, session->number, place->epoch,
      place->position, 0, 0, NULL);
  return gst_tail_push (self, GST_TAIL_TEXT, buffer);
}

static void
append_delimiter (GstTransformerTail * self, GString * text)
{
  g_autofree gchar *delimiter = NULL;

  GST_OBJECT_LOCK (self);
  delimiter = gst_rd_unescape (self->turn_delimiter);
  GST_OBJECT_UNLOCK (self);
  g_string_append (text, delimiter);
}

static GstFlowReturn
emit_id (GstTransformerTail * self, GstRdSession * session, gint32 id,
    const Place * place)
{
  GstBuffer *buffer;
  guint32 le = GUINT32_TO_LE ((guint32) id);

  if (place->given)
    return GST_FLOW_OK;
  buffer = gst_buffer_new_memdup (&le, sizeof le);
  GST_BUFFER_PTS (buffer) = place->pts;
  gst_buffer_add_rd_meta (buffer, session->number, place->epoch,
      place->position, 1, GST_RD_META_STEP, &id);
  return gst_tail_push (self, GST_TAIL_TOKENS, buffer);
}

/* ---- answers ---- */

static void
open_answer (GstTransformerTail * self, GstTailSession * t)
{
  GstRdTerms terms;

  get_terms (self, t, &terms);
  gst_rd_text_free (t->text);
  t->text = gst_rd_text_new (st_model_tokenizer (self->partition.model),
      terms.stop);
  t->max_tokens = terms.max_tokens;
  t->answer_tokens = 0;
  t->first_time = t->last_time = g_get_monotonic_time ();
  t->open = TRUE;
  gst_rd_terms_clear (&terms);
}

static void
close_answer (GstTransformerTail * self, GstRdSession * session,
    RdFinish finish)
{
  GstTailSession *t = session->data;
  gint64 time = t->last_time - t->first_time;
  gdouble rate = t->answer_tokens > 1 && time > 0 ?
      (t->answer_tokens - 1) * (gdouble) G_USEC_PER_SEC / (gdouble) time : 0;

  t->open = FALSE;
  GST_OBJECT_LOCK (self);
  self->totals.answers++;
  if (t->answer_tokens > 1) {
    self->totals.steps += t->answer_tokens - 1;
    self->totals.time += time;
  }
  GST_OBJECT_UNLOCK (self);
  gst_element_post_message (GST_ELEMENT (self),
      gst_message_new_element (GST_OBJECT (self),
          gst_structure_new ("transformertail-turn",
              "session", G_TYPE_UINT, session->number,
              "prompt-tokens", G_TYPE_UINT, t->prompt_tokens,
              "tokens", G_TYPE_UINT, t->answer_tokens,
              "tokens-per-second", G_TYPE_DOUBLE, rate,
              "finish", G_TYPE_STRING, gst_rd_finish_name (finish), NULL)));
  t->prompt_tokens = 0;
}

/* Tells the head. Somebody must take it, or the answer would stop without a word. */
static GstFlowReturn
send_upstream (GstTransformerTail * self, GstRdSession * session,
    const gint32 * id, const Place * place, RdFinish finish)
{
  if (place->given)
    return GST_FLOW_OK;
  if (gst_pad_push_event (self->sinkpad,
          gst_rd_event_new_tokens (session->number, place->epoch,
              place->position, id, id ? 1 : 0, finish))
      || finish != RD_FINISH_NONE)
    return GST_FLOW_OK;
  if (gst_rd_partition_cancelled (&self->partition))
    return GST_FLOW_FLUSHING;
  GST_ELEMENT_ERROR (self, STREAM, FAILED,
      ("Nobody takes the token that was sampled, so there can be no next "
          "one: link rddecoder's feedback pad to a transport back to the "
          "feedback pad of the head's rdencoder, or use tokensrc in the same "
          "pipeline; task=score needs no way back."), (NULL));
  return GST_FLOW_ERROR;
}

static RdFinish
judge (GstTransformerTail * self, GstTailSession * t, gint32 id,
    gboolean ignore_eos, GString * out)
{
  StTokenizer *tokenizer = st_model_tokenizer (self->partition.model);

  if (!ignore_eos && st_tokenizer_is_eog (tokenizer, id))
    return RD_FINISH_EOS;
  if (gst_rd_text_push (t->text, id, out))
    return RD_FINISH_STOP;
  return t->answer_tokens >= t->max_tokens ? RD_FINISH_LENGTH : RD_FINISH_NONE;
}

static GstFlowReturn
worse (GstFlowReturn a, GstFlowReturn b)
{
  return a != GST_FLOW_OK ? a : b;
}

/* A token of the answer, sampled or given. */
static GstFlowReturn
accept_token (GstTransformerTail * self, GstRdSession * session, gint32 id,
    gboolean ignore_eos, const Place * place)
{
  g_autoptr (GString) out = g_string_new (NULL);
  GstTailSession *t = session->data;
  GstFlowReturn flow;
  RdFinish finish;

  set_history (t, place->position, id);
  t->last_time = g_get_monotonic_time ();
  if (t->answer_tokens++ == 0)
    t->first_time = t->last_time;
  GST_OBJECT_LOCK (self);
  self->totals.tokens++;
  GST_OBJECT_UNLOCK (self);
  finish = judge (self, t, id, ignore_eos, out);
  if (place->final && finish == RD_FINISH_NONE)
    finish = RD_FINISH_LENGTH;
  if (finish == RD_FINISH_EOS || finish == RD_FINISH_LENGTH)
    gst_rd_text_flush (t->text, out);
  if (finish != RD_FINISH_NONE)
    append_delimiter (self, out);
  flow = emit_text (self, session, out, place);
  flow = worse (flow, emit_id (self, session, id, place));
  flow = worse (flow, send_upstream (self, session, &id, place, finish));
  if (finish != RD_FINISH_NONE)
    close_answer (self, session, finish);
  return flow;
}

static GstFlowReturn
sample (GstTransformerTail * self, GstRdSession * session,
    const gfloat * row, gboolean step, const Place * place)
{
  guint vocab = st_model_config (self->partition.model)->vocab_size;
  GstTailSession *t = session->data;
  GstFlowReturn flow = GST_FLOW_OK;
  gfloat *logits = (gfloat *) gst_tail_logits (self, session, row, 1,
      place->position - 1, step, &flow);
  GstRdTerms terms;
  gint32 id;

  if (!logits)
    return flow;
  get_terms (self, t, &terms);
  for (guint i = 0; terms.ignore_eos && i < self->end_ids->len; i++) {
    gint32 end = g_array_index (self->end_ids, gint32, i);

    if ((guint) end < vocab)
      logits[end] = -INFINITY;
  }
  id = st_sampler_sample (self->sampler, &terms.params, logits,
      (const gint32 *) t->history->data, t->history->len, place->position);
  gboolean ignore_eos = terms.ignore_eos;
  gst_rd_terms_clear (&terms);
  if (id < 0)
    return gst_rd_fail_session (GST_ELEMENT (self), self->sinkpad,
        &self->partition, session->number,
        g_error_new (GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED,
            "the logits at position %u are not numbers: the hidden states or "
            "the model are damaged", place->position - 1));
  return worse (flow, accept_token (self, session, id, ignore_eos, place));
}

static GstFlowReturn
answer (GstTransformerTail * self, GstRdSession * session,
    const GstRdRows * rows)
{
  guint hidden = st_model_config (self->partition.model)->hidden_size;
  GstTailSession *t = session->data;
  Place place = { rows->epoch, rows->position + (guint32) rows->n, rows->pts,
    (rows->flags & GST_RD_META_GIVEN) != 0, FALSE
  };

  t->sampled = TRUE;
  if (!t->open)
    open_answer (self, t);
  if (place.given) {
    GstRdTerms terms;
    gboolean ignore_eos;

    if (rows->given_id < 0)
      return GST_FLOW_OK;
    get_terms (self, t, &terms);
    ignore_eos = terms.ignore_eos;
    gst_rd_terms_clear (&terms);
    return accept_token (self, session, rows->given_id, ignore_eos, &place);
  }
  if (t->max_tokens == 0) {
    GstFlowReturn flow = send_upstream (self, session, NULL, &place,
        RD_FINISH_LENGTH);

    close_answer (self, session, RD_FINISH_LENGTH);
    return flow;
  }
  return sample (self, session, rows->x + (rows->n - 1) * hidden,
      (rows->flags & GST_RD_META_STEP) != 0, &place);
}

GstFlowReturn
gst_tail_generate (GstTransformerTail * self, GstRdSession * session,
    const GstRdRows * rows)
{
  GstTailSession *t = session->data;
  GstFlowReturn flow = GST_FLOW_OK;

  if (!(rows->flags & GST_RD_META_STEP)) {
    /* A new prompt: what was given before belongs to an answer that was read long ago. */
    if (t->open)
      flow = gst_tail_break_answer (self, session, RD_FINISH_NONE);
    g_string_truncate (t->given_text, 0);
    t->prompt_tokens += (guint) rows->n;
  }
  remember_ids (t, rows);
  if (flow != GST_FLOW_OK || (rows->flags & GST_RD_META_SAMPLE))
    return flow != GST_FLOW_OK ? flow : answer (self, session, rows);
  gst_tail_keep_last_row (self, t, rows);
  return GST_FLOW_OK;
}

GstFlowReturn
gst_tail_break_answer (GstTransformerTail * self, GstRdSession * session,
    RdFinish finish)
{
  g_autoptr (GString) out = g_string_new (NULL);
  GstTailSession *t = session->data;
  Place place = { session->epoch, t->history->len, GST_CLOCK_TIME_NONE, FALSE,
    FALSE
  };

  if (!t->open)
    return GST_FLOW_OK;
  gst_rd_text_flush (t->text, out);
  append_delimiter (self, out);
  close_answer (self, session, finish);
  return emit_text (self, session, out, &place);
}

GstFlowReturn
gst_tail_end_generate (GstTransformerTail * self, GstRdSession * session)
{
  g_autoptr (GString) nothing = g_string_new (NULL);
  GstTailSession *t = session->data;
  Place place = { t->last_epoch, t->last_position + 1, GST_CLOCK_TIME_NONE,
    FALSE, TRUE
  };

  /* a prompt that was interrupted asks for nothing */
  if (!t->sampled && !t->announced && t->has_last_row && !session->failed) {
    open_answer (self, t);
    return sample (self, session, t->last_row, t->last_step, &place);
  }
  if (t->open)
    return gst_tail_break_answer (self, session, RD_FINISH_NONE);
  return emit_text (self, session, nothing, &place);
}

void
gst_tail_drop_answer (GstTailSession * t)
{
  t->open = FALSE;
  g_string_truncate (t->given_text, 0);
}
