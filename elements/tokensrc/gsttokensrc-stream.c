/* tokensrc: what is sent when. */
#include "elements/tokensrc/gsttokensrc-private.h"
#include "elements/common/gstrdcaps.h"
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdmeta.h"
#include "elements/common/gstrdprocess.h"
#include <string.h>

#define GST_CAT_DEFAULT tokensrc_debug

/* Session numbers are the process's, so that several sources can share elements. 0 is the session of streams without meta. */
static gint last_session;

/* After an error was posted the stream ends in order: the far side is told, and no second error is posted. */
#define FAILED GST_FLOW_EOS

static GstFlowReturn
fail (GstTokenSrc * self, GError * error)
{
  gst_rd_post_error (GST_ELEMENT (self), error);
  g_error_free (error);
  return FAILED;
}

/* ---- text to be sent ---- */

/* The text of `prompt` or `location`; NULL without an error: there is none. */
static gchar *
read_text (GstTokenSrc * self, gsize * size, GError ** error)
{
  const GstTokenSrcSettings *s = &self->running;
  g_autoptr (GError) reason = NULL;
  gchar *text = NULL;

  *size = 0;
  if (s->prompt && s->location) {
    g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "both prompt and location are set; set one of them");
    return NULL;
  }
  if (s->location) {
    if (!g_file_get_contents (s->location, &text, size, &reason)) {
      g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ,
          "location: %s", reason->message);
      return NULL;
    }
  } else if (s->prompt) {
    text = g_strdup (s->prompt);
    *size = strlen (text);
  }
  return text;
}

static gboolean
start_turn (GstTokenSrc * self, const gchar * text, gsize size,
    gboolean trusted, GError ** error)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  gint32 end = gst_rd_prompt_end_of_turn (&self->prompt);
  GstRdConversation *c = &self->conversation;

  if (size == 0 && self->prompt.chat) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "the prompt is empty; set prompt or location, or link the text pad");
    return FALSE;
  }
  if (!gst_rd_prompt_turn (&self->prompt, text, size, self->first_turn,
          trusted, self->running.system, self->running.add_bos, ids, error)) {
    g_prefix_error (error, "the prompt cannot be sent: ");
    return FALSE;
  }
  if (ids->len == 0) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "the prompt is empty; set prompt or location, link the text pad, or "
        "set add-bos=true to begin with that token");
    return FALSE;
  }
  guint64 end_position = (guint64) c->position + ids->len
      + gst_rd_conversation_owed (c, end);
  if (end_position > self->prompt.context_length) {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
        "a prompt of %u tokens at position %u does not fit the context of %u "
        "that %s was trained for; shorten it", ids->len, c->position,
        self->prompt.context_length, self->prompt.model_name);
    return FALSE;
  }
  GST_DEBUG_OBJECT (self, "turn of %u tokens at position %u", ids->len,
      c->position);
  gst_rd_conversation_turn (c, (const gint32 *) ids->data, ids->len, end);
  self->first_turn = FALSE;
  return TRUE;
}

/* ---- windows ---- */

static gboolean
load_windows (GstTokenSrc * self, GError ** error)
{
  gsize size;
  g_autoptr (GError) inner = NULL;
  g_autofree gchar *text = read_text (self, &size, &inner);

  if (inner) {
    g_propagate_error (error, g_steal_pointer (&inner));
    return FALSE;
  }
  self->window_ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  if (text && !st_tokenizer_encode (self->prompt.tokenizer, text, size, FALSE,
          self->window_ids, error))
    return FALSE;
  if (self->window_ids->len == 0) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "there is no text to make windows of; set location or prompt");
    return FALSE;
  }
  return TRUE;
}

/* Whole windows only, as llama.cpp's perplexity tool has them; a text shorter than one is one. FALSE at the end. */
static gboolean
next_window (GstTokenSrc * self, GError ** error)
{
  const GstTokenSrcSettings *s = &self->running;
  guint n = MIN (s->window_tokens, self->window_ids->len);
  gint32 bos, *ids;

  if (self->window_start > self->window_ids->len - n
      || !gst_rd_prompt_bos (&self->prompt, s->add_bos, &bos, error))
    return FALSE;
  ids = g_memdup2 (&g_array_index (self->window_ids, gint32,
          self->window_start), sizeof (gint32) * n);
  if (bos >= 0)
    ids[0] = bos;
  gst_rd_conversation_window (&self->conversation, ids, n);
  g_free (ids);
  self->window_start += s->window_stride ? s->window_stride : n;
  return TRUE;
}

/* ---- the answer ---- */

static void
push_answer (GstTokenSrc * self, GstRdOutput * output, const GString * text)
{
  GstBuffer *buffer;

  if (text->len == 0)
    return;
  buffer = gst_buffer_new_memdup (text->str, text->len);
  gst_buffer_add_rd_meta (buffer, self->session, self->conversation.epoch,
      self->conversation.complete, 0, 0, NULL);
  gst_rd_output_push (output, GST_MINI_OBJECT (buffer));
}

static void
answer_tokens (GstTokenSrc * self, const gint32 * ids, guint n, RdFinish finish)
{
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (GstRdOutput) output =
      gst_rd_output_get (GST_ELEMENT (self), &self->answer);
  gboolean stopped = FALSE;

  if (!output)
    return;
  if (!self->text)
    self->text = gst_rd_text_new (self->prompt.tokenizer, self->stop);
  for (guint i = 0; i < n && !stopped; i++)
    stopped = gst_rd_text_push (self->text, ids[i], out);
  if (finish == RD_FINISH_STOP)
    gst_rd_text_drop (self->text);
  else if (finish != RD_FINISH_NONE)
    gst_rd_text_flush (self->text, out);
  if (finish != RD_FINISH_NONE && self->text_pad) {
    g_autofree gchar *end = gst_rd_unescape (self->running.turn_delimiter);

    g_string_append (out, end);
  }
  push_answer (self, output, out);
}

static void
post_turn (GstTokenSrc * self)
{
  const GstRdConversation *c = &self->conversation;
  gint64 time = c->last_time - c->first_time;
  gdouble rate = c->answer_tokens > 1 && time > 0 ?
      (c->answer_tokens - 1) * (gdouble) G_USEC_PER_SEC / (gdouble) time : 0;

  gst_element_post_message (GST_ELEMENT (self),
      gst_message_new_element (GST_OBJECT (self),
          gst_structure_new ("tokensrc-turn",
              "session", G_TYPE_UINT, self->session,
              "prompt-tokens", G_TYPE_UINT, c->prompt_tokens,
              "tokens", G_TYPE_UINT, c->answer_tokens,
              "tokens-per-second", G_TYPE_DOUBLE, rate,
              "finish", G_TYPE_STRING, gst_rd_finish_name (c->finish), NULL)));
}

/* The context was full before the prompt was through: an error at the first turn, the end of a conversation later. */
static GstFlowReturn
prompt_did_not_fit (GstTokenSrc * self, guint32 position)
{
  guint n = self->conversation.prompt_tokens;

  if (self->conversation.turn_start > 0) {
    GST_ELEMENT_WARNING (self, RESOURCE, NO_SPACE_LEFT,
        ("The context is full: a turn of %u tokens does not fit behind the "
            "%u of the conversation, which ends here.", n,
            self->conversation.turn_start), (NULL));
    return GST_FLOW_EOS;
  }
  GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT,
      ("A prompt of %u tokens does not fit the context of the model's "
          "elements; shorten it, or raise context-size if their model has "
          "more positions.", n), ("full at position %u", position));
  return FAILED;
}

static GstFlowReturn
receive (GstTokenSrc * self, GstEvent * event)
{
  guint32 session, epoch, position;
  const gint32 *ids;
  RdFinish finish;
  guint n, fresh;

  if (!gst_rd_event_parse_tokens (event, &session, &epoch, &position, &ids, &n,
          &finish))
    return GST_FLOW_OK;
  switch (gst_rd_conversation_receive (&self->conversation, epoch, position,
          ids, n, finish, g_get_monotonic_time (), &fresh)) {
    case GST_RD_RECEIVED_NOTHING:
      break;
    case GST_RD_RECEIVED_TOKENS:
      answer_tokens (self, ids + (n - fresh), fresh, finish);
      break;
    case GST_RD_RECEIVED_FINISH:
      answer_tokens (self, ids + (n - fresh), fresh, finish);
      if (finish == RD_FINISH_CONTEXT && self->conversation.answer_tokens == 0)
        return prompt_did_not_fit (self, position);
      post_turn (self);
      break;
    case GST_RD_RECEIVED_GAP:
      GST_ELEMENT_ERROR (self, STREAM, FAILED,
          ("Tokens were lost on the way back: position %u came after %u.",
              position, self->conversation.position), (NULL));
      return FAILED;
  }
  return GST_FLOW_OK;
}

static GstFlowReturn
receive_all (GstTokenSrc * self)
{
  GstFlowReturn flow = GST_FLOW_OK;
  GstEvent *event;

  do {
    g_mutex_lock (&self->lock);
    event = g_queue_pop_head (&self->received);
    g_mutex_unlock (&self->lock);
    if (event) {
      flow = receive (self, event);
      gst_event_unref (event);
    }
  } while (event && flow == GST_FLOW_OK);
  return flow;
}

/* ---- the stream ---- */

static void
announce (GstTokenSrc * self)
{
  RdWishes wishes;

  GST_OBJECT_LOCK (self);
  gst_rd_sampling_wishes (&self->sampling, &wishes);
  GST_OBJECT_UNLOCK (self);
  /* A second announcement of the session repeats the first. */
  if (self->announced)
    wishes.seed = self->seed;
  self->seed = wishes.seed;
  self->announced = TRUE;
  gst_pad_push_event (self->srcpad,
      gst_rd_event_new_session (self->session,
          st_tokenizer_id (self->prompt.tokenizer), &wishes));
  rd_wishes_clear (&wishes);
}

static void
rewind_after_flush (GstTokenSrc * self)
{
  GstRdConversation *c = &self->conversation;

  gst_rd_conversation_rewind (c);
  if (self->text)
    gst_rd_text_drop (self->text);
  announce (self);
  gst_pad_push_event (self->srcpad,
      gst_rd_event_new_cancel (self->session, c->epoch, c->position));
  GST_DEBUG_OBJECT (self, "flushed: epoch %u begins at position %u", c->epoch,
      c->position);
}

static GstFlowReturn
make_buffer (GstTokenSrc * self, const GstRdChunk * chunk, GstBuffer ** buffer)
{
  GstRdMetaFlags flags = 0;
  GstMapInfo map;

  *buffer = gst_buffer_new_allocate (NULL, sizeof (gint32) * chunk->n, NULL);
  if (!gst_buffer_map (*buffer, &map, GST_MAP_WRITE)) {
    gst_clear_buffer (buffer);
    return GST_FLOW_ERROR;
  }
  for (guint i = 0; i < chunk->n; i++)
    GST_WRITE_UINT32_LE (map.data + 4 * i, (guint32) chunk->ids[i]);
  gst_buffer_unmap (*buffer, &map);
  if (chunk->step)
    flags |= GST_RD_META_STEP;
  if (chunk->sample)
    flags |= GST_RD_META_SAMPLE;
  if (self->running.send_ids)
    flags |= GST_RD_META_SEND_IDS;
  gst_buffer_add_rd_meta (*buffer, self->session, chunk->epoch,
      chunk->position, chunk->n, flags, chunk->ids);
  GST_LOG_OBJECT (self, "epoch %u, positions %u to %u, flags 0x%x",
      chunk->epoch, chunk->position, chunk->position + chunk->n - 1, flags);
  return GST_FLOW_OK;
}

static gboolean
ask_for_way_back (GstTokenSrc * self)
{
  GstQuery *query = gst_rd_query_new_way_back ();

  self->way_back = gst_pad_peer_query (self->srcpad, query);
  gst_query_unref (query);
  if (!self->way_back)
    GST_INFO_OBJECT (self, "nobody downstream answers: the session ends with "
        "its prompt");
  return self->way_back;
}

/* With the lock. */
static gboolean
is_interrupted (const GstTokenSrc * self)
{
  return self->flushing || self->eos_wanted || self->peer_error;
}

/* Waits until something has come in. FALSE: wait for the answer no longer. */
static gboolean
wait_for_answer (GstTokenSrc * self)
{
  g_mutex_lock (&self->lock);
  gboolean any = !g_queue_is_empty (&self->received);
  g_mutex_unlock (&self->lock);
  if (!any && !self->way_back && !ask_for_way_back (self))
    return FALSE;
  g_mutex_lock (&self->lock);
  while (!is_interrupted (self) && g_queue_is_empty (&self->received))
    g_cond_wait (&self->changed, &self->lock);
  g_mutex_unlock (&self->lock);
  return TRUE;
}

static GString *
wait_for_text (GstTokenSrc * self)
{
  GString *turn = NULL;

  g_mutex_lock (&self->lock);
  while (!is_interrupted (self)
      && !(turn = gst_rd_turns_pop (&self->turns)) && !self->text_eos)
    g_cond_wait (&self->changed, &self->lock);
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  return turn;
}

/* A turn from the text pad. EOS when there are no more. */
static GstFlowReturn
text_turn (GstTokenSrc * self)
{
  GString *turn = wait_for_text (self);
  GError *error = NULL;

  if (!turn) {
    g_mutex_lock (&self->lock);
    gboolean interrupted = is_interrupted (self);
    g_mutex_unlock (&self->lock);
    return interrupted ? GST_FLOW_OK : GST_FLOW_EOS;
  }
  if (!g_utf8_validate_len (turn->str, turn->len, NULL)) {
    gchar *valid = g_utf8_make_valid (turn->str, (gssize) turn->len);

    GST_ELEMENT_WARNING (self, STREAM, DECODE,
        ("A turn is not UTF-8; its bad bytes are replaced."), (NULL));
    g_string_assign (turn, valid);
    g_free (valid);
  }
  gboolean first = self->first_turn;
  gboolean good = start_turn (self, turn->str, turn->len, FALSE, &error);
  g_string_free (turn, TRUE);
  if (good)
    return GST_FLOW_OK;
  if (first || !g_error_matches (error, GST_RESOURCE_ERROR,
          GST_RESOURCE_ERROR_NO_SPACE_LEFT))
    return fail (self, error);
  GST_ELEMENT_WARNING (self, RESOURCE, NO_SPACE_LEFT,
      ("The conversation ends here: %s", error->message), (NULL));
  g_error_free (error);
  return GST_FLOW_EOS;
}

/* Nothing is left to be sent or waited for: what comes next? OK = look again. */
static GstFlowReturn
begin_next (GstTokenSrc * self)
{
  GError *error = NULL;
  gsize size;

  if (self->window_ids) {
    if (next_window (self, &error))
      return GST_FLOW_OK;
    return error ? fail (self, error) : GST_FLOW_EOS;
  }
  if (!self->announced) {
    announce (self);
    if (self->running.window_tokens)
      return load_windows (self, &error) ? GST_FLOW_OK : fail (self, error);
    g_autofree gchar *text = read_text (self, &size, &error);
    if (error)
      return fail (self, error);
    if ((text && size) || !self->text_pad)
      return start_turn (self, text ? text : "", size, TRUE, &error) ?
          GST_FLOW_OK : fail (self, error);
  }
  return self->text_pad ? text_turn (self) : GST_FLOW_EOS;
}

/* TRUE if there is a reason to leave; *flow says which. */
static gboolean
interrupted (GstTokenSrc * self, GstFlowReturn * flow)
{
  g_autofree gchar *error = NULL;
  gboolean rewind;

  g_mutex_lock (&self->lock);
  if (self->flushing) {
    g_mutex_unlock (&self->lock);
    *flow = GST_FLOW_FLUSHING;
    return TRUE;
  }
  if (self->eos_wanted) {
    g_mutex_unlock (&self->lock);
    *flow = GST_FLOW_EOS;
    return TRUE;
  }
  rewind = self->rewind;
  self->rewind = FALSE;
  error = g_steal_pointer (&self->peer_error);
  g_mutex_unlock (&self->lock);
  if (error) {
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("The far side ended the session: %s", error), (NULL));
    *flow = FAILED;
    return TRUE;
  }
  if (rewind && self->announced)
    rewind_after_flush (self);
  return FALSE;
}

GstFlowReturn
gst_token_src_stream_create (GstTokenSrc * self, GstBuffer ** buffer)
{
  GstFlowReturn flow;
  GstRdChunk chunk;

  for (;;) {
    if (interrupted (self, &flow))
      return flow;
    flow = receive_all (self);
    if (flow == GST_FLOW_OK
        && gst_rd_conversation_next (&self->conversation, &chunk))
      return make_buffer (self, &chunk, buffer);
    if (flow == GST_FLOW_OK && self->conversation.open) {
      if (!wait_for_answer (self))
        flow = GST_FLOW_EOS;
    } else if (flow == GST_FLOW_OK) {
      flow = begin_next (self);
    }
    if (flow != GST_FLOW_OK)
      return flow;
  }
}

gboolean
gst_token_src_stream_start (GstTokenSrc * self)
{
  GError *error = NULL;

  gst_token_src_stream_stop (self);
  GST_OBJECT_LOCK (self);
  gst_token_src_settings_copy (&self->running, &self->settings);
  self->stop = g_strdupv (self->sampling.values.stop);
  GST_OBJECT_UNLOCK (self);
  if (!gst_rd_prompt_set_chat (&self->prompt, self->running.chat_template,
          self->text_pad != NULL, &error)) {
    fail (self, error);
    return FALSE;
  }
  if (self->running.system && *self->running.system && !self->prompt.chat) {
    GST_ELEMENT_ERROR (self, LIBRARY, SETTINGS,
        ("A system text needs a chat format; set chat-template=auto."), (NULL));
    return FALSE;
  }
  g_autofree gchar *delimiter = gst_rd_unescape (self->running.turn_delimiter);
  gst_rd_conversation_init (&self->conversation, self->running.chunk_tokens);
  self->session = (guint32) g_atomic_int_add (&last_session, 1) + 1;
  self->announced = self->way_back = FALSE;
  self->begun = self->segment_sent = FALSE;
  self->buffers_left = self->running.num_buffers;
  self->first_turn = TRUE;
  self->window_start = 0;
  g_mutex_lock (&self->lock);
  self->rewind = self->text_eos = self->eos_wanted = FALSE;
  gst_rd_turns_set_delimiter (&self->turns, delimiter);
  g_mutex_unlock (&self->lock);
  return TRUE;
}

void
gst_token_src_stream_stop (GstTokenSrc * self)
{
  gst_rd_conversation_clear (&self->conversation);
  gst_token_src_settings_clear (&self->running);
  g_clear_pointer (&self->stop, g_strfreev);
  g_clear_pointer (&self->window_ids, g_array_unref);
  g_clear_pointer (&self->text, gst_rd_text_free);
  g_mutex_lock (&self->lock);
  g_queue_clear_full (&self->received, (GDestroyNotify) gst_event_unref);
  gst_rd_turns_flush (&self->turns);
  g_clear_pointer (&self->peer_error, g_free);
  g_mutex_unlock (&self->lock);
}
