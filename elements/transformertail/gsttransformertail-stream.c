/* transformertail: the stream through it, its model and its sessions. */
#include "elements/transformertail/gsttransformertail-private.h"
#include "elements/common/gstrdevents.h"
#include <string.h>

#define GST_CAT_DEFAULT transformertail_debug

static GstTransformerTailTask
get_task (GstTransformerTail * self)
{
  GstTransformerTailTask task;

  GST_OBJECT_LOCK (self);
  task = self->task;
  GST_OBJECT_UNLOCK (self);
  return task;
}

/* ---- sessions ---- */

GstTailSession *
gst_tail_session (GstTransformerTail * self, GstRdSession * session)
{
  GstTailSession *t = session->data;

  (void) self;
  if (!t) {
    t = session->data = g_new0 (GstTailSession, 1);
    t->seed = ((guint64) g_random_int () << 32) | g_random_int ();
    t->history = g_array_new (FALSE, FALSE, sizeof (gint32));
    t->given_text = g_string_new (NULL);
    t->likelihoods = g_array_new (FALSE, FALSE, sizeof (gdouble));
  }
  return t;
}

void
gst_tail_session_free (gpointer data)
{
  GstTailSession *t = data;

  rd_wishes_clear (&t->wishes);
  g_array_unref (t->history);
  g_array_unref (t->likelihoods);
  g_string_free (t->given_text, TRUE);
  gst_rd_text_free (t->text);
  g_free (t->last_row);
  g_free (t);
}

void
gst_tail_keep_last_row (GstTransformerTail * self, GstTailSession * t,
    const GstRdRows * rows)
{
  gsize hidden = st_model_config (self->partition.model)->hidden_size;

  t->last_row = g_realloc_n (t->last_row, hidden, sizeof (gfloat));
  memcpy (t->last_row, rows->x + (rows->n - 1) * hidden,
      hidden * sizeof (gfloat));
  t->has_last_row = TRUE;
  t->last_epoch = rows->epoch;
  t->last_position = rows->position + (guint32) rows->n - 1;
  t->last_step = (rows->flags & GST_RD_META_STEP) != 0;
}

static GstFlowReturn
end_session (GstTransformerTail * self, GstRdSession * session)
{
  if (!session->data)
    return GST_FLOW_OK;
  if (get_task (self) == GST_TRANSFORMER_TAIL_GENERATE)
    return self->partition.model ? gst_tail_end_generate (self, session) :
        GST_FLOW_OK;
  gst_tail_end_score (self, session);
  return GST_FLOW_OK;
}

static void
for_all_sessions (GstTransformerTail * self, gboolean end)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->partition.sessions);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    GstRdSession *session = value;

    if (end)
      end_session (self, session);
    else if (session->data)
      gst_tail_drop_answer (session->data);
  }
}

static void
begin_session (GstTransformerTail * self, GstEvent * event)
{
  StTokenizer *tokenizer = self->partition.model ?
      st_model_tokenizer (self->partition.model) : NULL;
  const gchar *id, *own = tokenizer ? st_tokenizer_id (tokenizer) : "";
  GstRdSession *session;
  GError *error = NULL;
  RdWishes wishes;
  guint32 number;

  gst_rd_event_parse_session (event, &number, &id, &wishes);
  session = gst_rd_partition_session (&self->partition, number, &error);
  if (session && *id && *own && strcmp (id, own) != 0
      && self->partition.settings.model_check == GST_RD_MODEL_CHECK_STRICT)
    g_set_error (&error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "the session was begun with tokenizer %.12s, this side's %s has "
        "tokenizer %.12s; give both sides the same model", id,
        st_model_config (self->partition.model)->name, own);
  if (!session || error) {
    rd_wishes_clear (&wishes);
    gst_rd_fail_session (GST_ELEMENT (self), self->sinkpad, &self->partition,
        number, error);
    return;
  }
  GstTailSession *t = gst_tail_session (self, session);
  rd_wishes_clear (&t->wishes);
  t->wishes = wishes;
  t->announced = *id != '\0';
}

/* ---- outputs ---- */

GstRdOutput *
gst_tail_output (GstTransformerTail * self, guint which)
{
  return gst_rd_output_get (GST_ELEMENT (self), &self->outputs[which]);
}

static gboolean
was_released (GstTransformerTail * self, guint which,
    const GstRdOutput * output)
{
  g_autoptr (GstRdOutput) now = gst_tail_output (self, which);

  return now != output;
}

GstFlowReturn
gst_tail_push (GstTransformerTail * self, guint which, GstBuffer * buffer)
{
  g_autoptr (GstRdOutput) output = gst_tail_output (self, which);
  GstFlowReturn flow = GST_FLOW_OK;

  if (output)
    flow = gst_rd_output_push (output, GST_MINI_OBJECT (buffer));
  else
    gst_buffer_unref (buffer);
  if (flow == GST_FLOW_FLUSHING && was_released (self, which, output))
    flow = GST_FLOW_OK;
  for (guint i = 0; flow == GST_FLOW_NOT_LINKED && i < GST_TAIL_N_OUTPUTS; i++) {
    g_autoptr (GstRdOutput) other = gst_tail_output (self, i);

    if (other && gst_pad_is_linked (other->pad))
      flow = GST_FLOW_OK;
  }
  return flow;
}

static void
start_outputs (GstTransformerTail * self, const GstSegment * segment)
{
  for (guint i = 0; i < GST_TAIL_N_OUTPUTS; i++) {
    g_autoptr (GstRdOutput) output = gst_tail_output (self, i);

    if (output)
      gst_rd_output_start (output, segment);
  }
}

/* EOS behind what is queued, a flush at once. */
static void
send_outputs (GstTransformerTail * self, GstEvent * event)
{
  for (guint i = 0; i < GST_TAIL_N_OUTPUTS; i++) {
    g_autoptr (GstRdOutput) output = gst_tail_output (self, i);

    if (output && GST_EVENT_TYPE (event) == GST_EVENT_EOS)
      gst_rd_output_eos (output);
    else if (output)
      gst_rd_output_flush (output, gst_event_ref (event));
  }
}

static GstFlowReturn
push_logits (GstTransformerTail * self, const GstRdSession * session,
    gsize n, guint32 position)
{
  gsize vocab = st_model_config (self->partition.model)->vocab_size;
  GstFlowReturn flow = GST_FLOW_OK;

  for (gsize i = 0; i < n && flow == GST_FLOW_OK; i++) {
    GstBuffer *buffer = gst_buffer_new_memdup (self->row_logits + i * vocab,
        vocab * sizeof (gfloat));

    gst_buffer_add_rd_meta (buffer, session->number, session->epoch,
        position + (guint32) i, 1, 0, NULL);
    flow = gst_tail_push (self, GST_TAIL_LOGITS, buffer);
  }
  return flow;
}

const gfloat *
gst_tail_logits (GstTransformerTail * self, GstRdSession * session,
    const gfloat * x, gsize n, guint32 position, gboolean step,
    GstFlowReturn * flow)
{
  gsize size = n * st_model_config (self->partition.model)->vocab_size;
  g_autoptr (GstRdOutput) logits = gst_tail_output (self, GST_TAIL_LOGITS);
  GError *error = NULL;

  if (self->row_logits_size < size) {
    g_free (self->row_logits);
    self->row_logits = g_new (gfloat, size);
    self->row_logits_size = size;
  }
  if (!st_model_logits (self->partition.model, x, n,
          step ? ST_REGIME_STEP : ST_REGIME_PREFILL, self->row_logits,
          &self->partition.cancel, &error)) {
    if (g_error_matches (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED)) {
      g_clear_error (&error);
      *flow = GST_FLOW_FLUSHING;
    } else {
      *flow = gst_rd_fail_session (GST_ELEMENT (self), self->sinkpad,
          &self->partition, session->number, error);
    }
    return NULL;
  }
  *flow = logits ? push_logits (self, session, n, position) : GST_FLOW_OK;
  return *flow == GST_FLOW_OK ? self->row_logits : NULL;
}

static GstCaps *
logits_caps (GstTransformerTail * self)
{
  g_autofree gchar *dimensions = g_strdup_printf ("%u:1",
      st_model_config (self->partition.model)->vocab_size);

  return gst_caps_new_simple (GST_RD_TENSORS_MEDIA,
      "format", G_TYPE_STRING, "static", "num_tensors", G_TYPE_INT, 1,
      "framerate", GST_TYPE_FRACTION, 0, 1,
      "dimensions", G_TYPE_STRING, dimensions,
      "types", G_TYPE_STRING, "float32", NULL);
}

void
gst_tail_set_output_caps (GstTransformerTail * self)
{
  StTokenizer *tokenizer = st_model_tokenizer (self->partition.model);
  guint vocab = st_model_config (self->partition.model)->vocab_size;
  g_autoptr (GstRdOutput) tokens = gst_tail_output (self, GST_TAIL_TOKENS);
  g_autoptr (GstRdOutput) logits = gst_tail_output (self, GST_TAIL_LOGITS);

  if (logits)
    gst_rd_output_set_caps (logits, logits_caps (self));
  if (tokens)
    gst_rd_output_set_caps (tokens, gst_rd_token_ids_caps (vocab,
            tokenizer ? st_tokenizer_id (tokenizer) : ""));
}

/* ---- the model ---- */

/* What goes with an open model. */
static gboolean
prepare_model (GstTransformerTail * self, GError ** error)
{
  const StModelConfig *config = st_model_config (self->partition.model);
  StTokenizer *tokenizer = st_model_tokenizer (self->partition.model);

  if (self->partition.last != (gint) config->n_blocks) {
    g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "layers=%d-%d: the tail runs to the last block of %s, layers=%d-%u",
        self->partition.first, self->partition.last, config->name,
        self->partition.first, config->n_blocks);
    return FALSE;
  }
  if (!tokenizer && get_task (self) == GST_TRANSFORMER_TAIL_GENERATE) {
    g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "%s has no tokenizer to write text with",
        self->partition.settings.model);
    return FALSE;
  }
  g_clear_pointer (&self->sampler, st_sampler_free);
  self->sampler = st_sampler_new (config->vocab_size);
  g_array_set_size (self->end_ids, 0);
  for (gint32 id = 0; tokenizer && (guint) id < config->vocab_size; id++) {
    if (st_tokenizer_is_eog (tokenizer, id))
      g_array_append_val (self->end_ids, id);
  }
  return TRUE;
}

static gboolean
check_file (const gchar * path, GError ** error)
{
  g_autoptr (StGguf) gguf = st_gguf_open (path, error);

  return gguf != NULL;
}

/* The file is looked at in READY; which blocks are needed is known there only if `layers` says so. */
gboolean
gst_tail_open_model (GstTransformerTail * self)
{
  g_autoptr (GError) error = NULL;
  GstRdSettings settings;
  gint first, last;
  gboolean good;

  gst_rd_partition_close (&self->partition);
  GST_OBJECT_LOCK (self);
  gst_rd_settings_copy (&settings, &self->settings);
  self->dirty = FALSE;
  GST_OBJECT_UNLOCK (self);
  gst_rd_settings_clear (&self->partition.settings);
  gst_rd_settings_copy (&self->partition.settings, &settings);
  good = gst_rd_settings_have_model (&settings, &error);
  if (good && settings.layers)
    good = gst_rd_parse_layers (settings.layers, &first, &last, &error)
        && gst_rd_partition_open (&self->partition, &settings, first, last,
        first == 0, TRUE, &error) && prepare_model (self, &error);
  else if (good)
    good = check_file (settings.model, &error);
  gst_rd_settings_clear (&settings);
  if (!good)
    gst_rd_post_error (GST_ELEMENT (self), error);
  return good;
}

/* The stream says which blocks are needed. */
static gboolean
open_for_stream (GstTransformerTail * self, GError ** error)
{
  GstRdPartition *p = &self->partition;
  gint first = self->input.ids ? 0 : self->input.info.split_layer;

  if (p->settings.layers)
    return TRUE;
  if (first < 0) {
    g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "the caps do not say before which block the model was cut; set "
        "layers=a-b");
    return FALSE;
  }
  if (p->model && p->first == first && p->embed == self->input.ids)
    return TRUE;
  return gst_rd_partition_open (p, &p->settings, first, -1, self->input.ids,
      TRUE, error) && prepare_model (self, error);
}

static gboolean
set_caps (GstTransformerTail * self, GstPad * pad, GstEvent * event)
{
  GError *error = NULL;
  GstCaps *caps;

  gst_event_parse_caps (event, &caps);
  if (!gst_rd_input_set_caps (&self->input, caps, &error)
      || !open_for_stream (self, &error)
      || !gst_rd_partition_check (&self->partition, &self->input, &error)) {
    gst_rd_refuse_caps (GST_ELEMENT (self), pad, &self->input, error);
    return FALSE;
  }
  gst_tail_set_output_caps (self);
  return TRUE;
}

/* ---- the sink pad ---- */

GstFlowReturn
gst_tail_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstTransformerTail *self = GST_TRANSFORMER_TAIL (parent);
  g_autoptr (GstBuffer) owned = buffer;
  GstRdSession *session = NULL;
  GstFlowReturn flow = GST_FLOW_OK;
  GstRdRows rows;

  switch (gst_rd_process (GST_ELEMENT (self), pad, &self->partition,
          &self->input, owned, &session, &rows, &flow)) {
    case GST_RD_RAN:
      gst_tail_session (self, session);
      if (get_task (self) == GST_TRANSFORMER_TAIL_SCORE)
        flow = gst_tail_score (self, session, &rows);
      else
        flow = gst_tail_generate (self, session, &rows);
      gst_rd_rows_clear (&rows);
      break;
    case GST_RD_CONTEXT_FULL:
      gst_tail_session (self, session);
      flow = gst_tail_break_answer (self, session, RD_FINISH_CONTEXT);
      break;
    case GST_RD_DROPPED:
      break;
  }
  return flow;
}

static void
cancel_answer (GstTransformerTail * self, GstEvent * event)
{
  guint32 number, epoch, position;
  GstRdSession *session;

  gst_rd_event_parse_cancel (event, &number, &epoch, &position);
  session = gst_rd_partition_find (&self->partition, number);
  if (!session)
    return;
  gst_rd_partition_truncate (session, epoch, position);
  if (session->data)
    gst_tail_break_answer (self, session, RD_FINISH_NONE);
}

static void
custom_event (GstTransformerTail * self, GstEvent * event)
{
  guint32 number, epoch, position;

  if (gst_rd_event_parse_session (event, &number, NULL, NULL)) {
    begin_session (self, event);
  } else if (gst_rd_event_parse_session_end (event, &number)) {
    GstRdSession *session = gst_rd_partition_find (&self->partition, number);

    if (session)
      end_session (self, session);
    gst_rd_partition_end (&self->partition, number);
  } else if (gst_rd_event_parse_cancel (event, &number, &epoch, &position)) {
    cancel_answer (self, event);
  }
}

static void
end_stream (GstTransformerTail * self, GstEvent * event)
{
  gsize rest = gst_rd_input_flush (&self->input);

  if (rest)
    GST_ELEMENT_WARNING (self, STREAM, FORMAT,
        ("The stream ended inside a row: its last %" G_GSIZE_FORMAT
            " bytes were dropped.", rest), (NULL));
  for_all_sessions (self, TRUE);
  send_outputs (self, event);
}

gboolean
gst_tail_sink_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstTransformerTail *self = GST_TRANSFORMER_TAIL (parent);
  const GstSegment *segment;
  gboolean good = TRUE;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_CAPS:
      good = set_caps (self, pad, event);
      break;
    case GST_EVENT_SEGMENT:
      event = gst_rd_time_segment (event);
      gst_event_parse_segment (event, &segment);
      start_outputs (self, segment);
      break;
    case GST_EVENT_FLUSH_START:
      gst_rd_partition_cancel (&self->partition, TRUE);
      send_outputs (self, event);
      break;
    case GST_EVENT_FLUSH_STOP:
      send_outputs (self, event);
      gst_rd_partition_cancel (&self->partition, FALSE);
      gst_rd_input_flush (&self->input);
      for_all_sessions (self, FALSE);
      break;
    case GST_EVENT_EOS:
      end_stream (self, event);
      break;
    case GST_EVENT_CUSTOM_DOWNSTREAM:
      custom_event (self, event);
      break;
    default:
      if (!GST_EVENT_IS_SERIALIZED (event))
        return gst_pad_event_default (pad, parent, event);
      break;
  }
  gst_event_unref (event);
  return good;
}

gboolean
gst_tail_sink_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  GstTransformerTail *self = GST_TRANSFORMER_TAIL (parent);

  if (gst_rd_query_is_way_back (query))
    return get_task (self) == GST_TRANSFORMER_TAIL_GENERATE;
  return gst_pad_query_default (pad, parent, query);
}
