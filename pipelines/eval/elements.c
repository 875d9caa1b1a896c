/* The real elements between two ends of this process. */
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <math.h>
#include <string.h>
#include "codec/codec.h"
#include "elements/common/gstrdcaps.h"
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdframes.h"
#include "elements/common/gstrdmeta.h"
#include "elements/rddecoder/gstrddecoder.h"
#include "elements/rdencoder/gstrdencoder.h"
#include "pipelines/eval/error.h"
#include "pipelines/eval/link.h"

#define POLL (50 * GST_MSECOND)
/* Long enough for any codec's frame on any machine, short enough to notice that rows were lost. */
#define PATIENCE (600 * G_TIME_SPAN_SECOND)

/* What has crossed from encoder to decoder, in bytes, and what the encoder says of it. */
typedef struct
{
  guint64 states, payload, header, control;
  guint64 ids;
  gdouble ideal_bits;           /* of the payloads */
} Traffic;

typedef struct
{
  EvalLink link;
  GstElement *pipeline, *encoder, *decoder;
  GstAppSrc *source;
  GstAppSink *sink;
  GstBus *bus;
  GstRdStateInfo info;
  gchar tokenizer_id[65];
  const gint *cancel;
  guint frame_tokens;
  gboolean send_ids;
  guint32 session;              /* next number */
  GMutex lock;                  /* traffic */
  Traffic traffic;
  RdCodec *codec;               /* tells ideal code lengths */
  gint level;                   /* atomic: that the encoder told last, -1 = none */
  GArray *levels;               /* gint8: of the last text's rows */
} Elements;

/* ---- the wire ---- */

static void
count_frame (const RdFrame * frame, gpointer user_data)
{
  Elements *self = user_data;
  Traffic *traffic = &self->traffic;

  if (frame->type == RD_FRAME_HEADER) {
    traffic->header += frame->size;
  } else if (frame->type == RD_FRAME_STATES) {
    traffic->states += frame->size;
    traffic->payload += frame->payload_size;
    RdRows rows = {.n = frame->count,.position = frame->position };
    traffic->ideal_bits += rd_codec_ideal_bits (self->codec, &rows,
        frame->payload, frame->payload_size);
  } else {
    traffic->control += frame->size;
  }
}

static void
count_buffer (Elements * self, GstBuffer * buffer)
{
  GstMapInfo map;

  if (!gst_buffer_map (buffer, &map, GST_MAP_READ))
    return;
  g_mutex_lock (&self->lock);
  gsize rest = gst_rd_frames_foreach (map.data, map.size,
      RD_WIRE_DEFAULT_MAX_FRAME, count_frame, self);
  /* what is no frame was sent all the same */
  self->traffic.control += rest;
  g_mutex_unlock (&self->lock);
  gst_buffer_unmap (buffer, &map);
}

static GstPadProbeReturn
on_upstream (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  Elements *self = user_data;
  guint level;

  (void) pad;
  if (gst_rd_event_parse_level (gst_pad_probe_info_get_event (info), &level))
    g_atomic_int_set (&self->level, (gint) level);
  return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn
on_wire (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  (void) pad;
  if (info->type & GST_PAD_PROBE_TYPE_BUFFER) {
    count_buffer (user_data, gst_pad_probe_info_get_buffer (info));
  } else {
    GstBufferList *list = gst_pad_probe_info_get_buffer_list (info);

    for (guint i = 0; i < gst_buffer_list_length (list); i++)
      count_buffer (user_data, gst_buffer_list_get (list, i));
  }
  return GST_PAD_PROBE_OK;
}

static Traffic
traffic_now (Elements * self)
{
  GstStructure *stats = NULL;
  Traffic traffic;

  g_object_get (self->encoder, "stats", &stats, NULL);
  g_mutex_lock (&self->lock);
  traffic = self->traffic;
  g_mutex_unlock (&self->lock);
  gst_structure_get_uint64 (stats, "id-bytes", &traffic.ids);
  gst_structure_free (stats);
  return traffic;
}

/* ---- waiting ---- */

/* FALSE once an element has failed. Warnings are passed on. */
static gboolean
check_bus (Elements * self, GError ** error)
{
  GstMessage *message;
  gboolean good = TRUE;

  while (good && (message = gst_bus_pop_filtered (self->bus,
              GST_MESSAGE_ERROR | GST_MESSAGE_WARNING))) {
    g_autoptr (GError) said = NULL;

    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
      gst_message_parse_error (message, &said, NULL);
      g_set_error (error, EVAL_ERROR, EVAL_ERROR_STREAM, "%s", said->message);
      good = FALSE;
    } else {
      gst_message_parse_warning (message, &said, NULL);
      g_printerr ("rdeval: %s\n", said->message);
    }
    gst_message_unref (message);
  }
  return good;
}

/* The next sample or event that comes out. */
static GstMiniObject *
pull (Elements * self, GError ** error)
{
  gint64 until = g_get_monotonic_time () + PATIENCE;

  while (check_bus (self, error)) {
    GstMiniObject *object = gst_app_sink_try_pull_object (self->sink, POLL);

    if (object)
      return object;
    if (g_atomic_int_get (self->cancel)) {
      g_set_error (error, EVAL_ERROR, EVAL_ERROR_CANCELLED, "interrupted");
      return NULL;
    }
    if (g_get_monotonic_time () > until || gst_app_sink_is_eos (self->sink)) {
      /* an element that fails says so before it ends the stream */
      if (check_bus (self, error))
        g_set_error (error, EVAL_ERROR, EVAL_ERROR_STREAM,
            "rows that went into rdencoder did not come out of rddecoder");
      return NULL;
    }
  }
  return NULL;
}

/* ---- rows ---- */

static gboolean
push_rows (Elements * self, guint32 session, const EvalText * text, gsize from,
    gsize n, const float *x, GError ** error)
{
  const gsize hidden = self->info.hidden_size;
  GstBuffer *buffer = gst_rd_state_info_write (&self->info, x + from * hidden,
      n, (guint) hidden);

  if (!buffer) {
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_STREAM, "no memory for rows");
    return FALSE;
  }
  gst_buffer_add_rd_meta (buffer, session, 0, (guint32) from, (guint32) n,
      self->send_ids ? GST_RD_META_SEND_IDS : 0, text->ids + from);
  return gst_app_src_push_buffer (self->source, buffer) == GST_FLOW_OK
      || check_bus (self, error);
}

/* Copies the rows of @sample behind the first *done of y. */
static gboolean
take_rows (Elements * self, GstSample * sample, gsize n, float *y,
    gsize * done, GError ** error)
{
  GstBuffer *buffer = gst_sample_get_buffer (sample);
  GstRdMeta *meta = gst_buffer_get_rd_meta (buffer);
  const gsize hidden = self->info.hidden_size;
  g_autofree gfloat *rows = NULL;
  GstRdStateInfo info;
  gsize count;

  if (!gst_rd_state_info_from_caps (&info, gst_sample_get_caps (sample), error))
    return FALSE;
  rows = gst_rd_state_info_read (&info, buffer, (guint) hidden, &count, error);
  if (!rows)
    return FALSE;
  if (!meta || meta->position != *done || count > n - *done) {
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_STREAM,
        "rddecoder gave %" G_GSIZE_FORMAT " rows at position %u, position %"
        G_GSIZE_FORMAT " was expected", count, meta ? meta->position : 0,
        *done);
    return FALSE;
  }
  memcpy (y + *done * hidden, rows, count * hidden * sizeof *y);
  if (meta->levels)
    g_array_append_vals (self->levels, meta->levels, (guint) count);
  *done += count;
  return TRUE;
}

static gboolean
pull_rows (Elements * self, gsize end, float *y, gsize * done, GError ** error)
{
  while (*done < end) {
    GstMiniObject *object = pull (self, error);
    gboolean good = object != NULL;

    if (good && GST_IS_SAMPLE (object))
      good = take_rows (self, (GstSample *) object, end, y, done, error);
    if (object)
      gst_mini_object_unref (object);
    if (!good)
      return FALSE;
  }
  return TRUE;
}

static void
spread (Elements * self, const Traffic * before, EvalSum * sums, gsize from,
    gsize n)
{
  Traffic now = traffic_now (self);

  for (gsize p = from; p < from + n; p++) {
    sums[p].frame_bits = 8.0 * (gdouble) (now.states - before->states) / n;
    sums[p].payload_bits = 8.0 * (gdouble) (now.payload - before->payload) / n;
    sums[p].id_bits = 8.0 * (gdouble) (now.ids - before->ids) / n;
    sums[p].ideal_bits = (now.ideal_bits - before->ideal_bits) / n;
  }
}

/* ---- sessions ---- */

static gboolean
begin_session (Elements * self)
{
  const RdWishes wishes = { 0, };

  return gst_element_send_event (GST_ELEMENT (self->source),
      gst_rd_event_new_session (self->session, self->tokenizer_id, &wishes));
}

/* Ends it and waits until its end has come out. */
static gboolean
end_session (Elements * self, GError ** error)
{
  guint32 number;

  gst_element_send_event (GST_ELEMENT (self->source),
      gst_rd_event_new_session_end (self->session));
  for (gboolean over = FALSE; !over;) {
    GstMiniObject *object = pull (self, error);

    if (!object)
      return FALSE;
    over = GST_IS_EVENT (object)
        && gst_rd_event_parse_session_end ((GstEvent *) object, &number);
    gst_mini_object_unref (object);
  }
  return TRUE;
}

static gboolean
elements_send (EvalLink * link, const EvalText * text, const float *x,
    float *y, EvalSum * sums, GError ** error)
{
  Elements *self = (Elements *) link;
  Traffic start = traffic_now (self);
  gsize done = 0;

  g_array_set_size (self->levels, 0);
  begin_session (self);
  for (gsize from = 0; from < text->n;) {
    /* the first position stands alone: what it costs is told apart */
    gsize n = from == 0 ? 1 : MIN (self->frame_tokens, text->n - from);
    Traffic before = traffic_now (self);

    if (!push_rows (self, self->session, text, from, n, x, error)
        || !pull_rows (self, from + n, y, &done, error))
      return FALSE;
    spread (self, &before, sums, from, n);
    from += n;
  }
  if (!end_session (self, error))
    return FALSE;
  self->session++;
  Traffic end = traffic_now (self);
  for (gsize p = 1; p < text->n; p++) {
    sums[p].header_bits =
        8.0 * (gdouble) (end.header - start.header) / (text->n - 1);
    sums[p].control_bits =
        8.0 * (gdouble) (end.control - start.control) / (text->n - 1);
  }
  return TRUE;
}

/* What the encoder told; before it has, what it answers. */
static gint
elements_level (EvalLink * link)
{
  Elements *self = (Elements *) link;
  gint level = g_atomic_int_get (&self->level);
  GstQuery *query = gst_rd_query_new_level ();
  g_autoptr (GstPad) pad = gst_element_get_static_pad (self->encoder, "sink");
  guint answer;

  if (level < 0 && gst_pad_query (pad, query)
      && gst_rd_query_parse_level (query, &answer))
    level = (gint) answer;
  gst_query_unref (query);
  return level;
}

static const gint8 *
elements_levels (EvalLink * link)
{
  Elements *self = (Elements *) link;

  return self->levels->len ? (const gint8 *) self->levels->data : NULL;
}

static guint64
stat_times_tokens (GstElement * element, guint64 * tokens)
{
  GstStructure *stats = NULL;
  guint64 ns = 0;

  *tokens = 0;
  g_object_get (element, "stats", &stats, NULL);
  gst_structure_get (stats, "tokens", G_TYPE_UINT64, tokens, "ns-per-token",
      G_TYPE_UINT64, &ns, NULL);
  gst_structure_free (stats);
  return ns * *tokens;
}

static void
elements_times (EvalLink * link, EvalTimes * times)
{
  Elements *self = (Elements *) link;

  times->encode_ns =
      (gdouble) stat_times_tokens (self->encoder, &times->tokens);
  times->decode_ns =
      (gdouble) stat_times_tokens (self->decoder, &times->tokens);
}

static void
elements_free (EvalLink * link)
{
  Elements *self = (Elements *) link;

  if (self->pipeline) {
    gst_element_set_state (self->pipeline, GST_STATE_NULL);
    gst_object_unref (self->bus);
    gst_object_unref (self->pipeline);
  }
  rd_codec_free (self->codec);
  g_array_unref (self->levels);
  g_mutex_clear (&self->lock);
  g_free (self);
}

/* ---- set-up ---- */

/* Whether @element has the property; if so it is set, or *error says why not. */
static gboolean
try_property (GstElement * element, const gchar * name, const gchar * text,
    GError ** error)
{
  GParamSpec *spec =
      g_object_class_find_property (G_OBJECT_GET_CLASS (element), name);
  GValue value = G_VALUE_INIT;

  if (!spec || !(spec->flags & G_PARAM_WRITABLE))
    return FALSE;
  g_value_init (&value, spec->value_type);
  if (!gst_value_deserialize (&value, text)
      || g_param_value_validate (spec, &value))
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_OPTION,
        "\"%s\" is no value of the property %s of %s", text, name,
        GST_OBJECT_NAME (element));
  else
    g_object_set_property (G_OBJECT (element), name, &value);
  g_value_unset (&value);
  return TRUE;
}

/* A property of the encoder, the decoder or both. */
static gboolean
set_property (Elements * self, const gchar * name, const gchar * text,
    GError ** error)
{
  GError *problem = NULL;
  gboolean known = try_property (self->encoder, name, text, &problem);

  if (!problem)
    known |= try_property (self->decoder, name, text, &problem);
  if (!known)
    g_set_error (&problem, EVAL_ERROR, EVAL_ERROR_OPTION,
        "neither rdencoder nor rddecoder has a property \"%s\"", name);
  if (problem)
    g_propagate_error (error, problem);
  return !problem;
}

static gboolean
set_properties (Elements * self, const EvalVariant * variant, guint threads,
    GError ** error)
{
  const EvalSpec *spec = variant->spec;
  gchar text[G_ASCII_DTOSTR_BUF_SIZE];

  g_object_set (self->encoder, "codec", spec->name, "frame-tokens",
      variant->frame_tokens, "max-payload-size", 0, NULL);
  if (!rd_codec_is_builtin (spec->name))
    g_object_set (self->decoder, "codec", spec->name, NULL);
  if (!isnan (variant->value) && !set_property (self, "quality",
          g_ascii_dtostr (text, sizeof text, variant->value), error))
    return FALSE;
  for (guint i = 0; i < spec->settings->len; i++) {
    const EvalSetting *s = g_ptr_array_index (spec->settings, i);

    if (!set_property (self, s->name, s->value, error))
      return FALSE;
  }
  if (threads) {
    g_autofree gchar *number = g_strdup_printf ("%u", threads);

    try_property (self->encoder, "threads", number, NULL);
    try_property (self->decoder, "threads", number, NULL);
  }
  return TRUE;
}

static void
fill_info (Elements * self, const EvalModel * model)
{
  StTokenizer *tokenizer = st_model_tokenizer (model->head);
  GstRdStateInfo *info = &self->info;

  info->layout = GST_RD_LAYOUT_HIDDEN_STATES;
  info->format = GST_RD_F32;
  info->hidden_size = model->config->hidden_size;
  info->vocab_size = model->config->vocab_size;
  info->split_layer = (gint) model->split;
  g_strlcpy (info->model_id, st_model_id (model->head), sizeof info->model_id);
  st_name_copy (info->model_name, sizeof info->model_name, model->config->name);
  if (model->adapters)
    g_strlcpy (info->adapters, model->adapters->id, sizeof info->adapters);
  if (tokenizer)
    g_strlcpy (self->tokenizer_id, st_tokenizer_id (tokenizer),
        sizeof self->tokenizer_id);
}

static GstElement *
make (const gchar * factory, const gchar * package, GError ** error)
{
  GstElement *element = gst_element_factory_make (factory, NULL);

  if (!element)
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_STREAM,
        "no element %s: install %s", factory, package);
  return element;
}

static gboolean
build (Elements * self, GError ** error)
{
  static const gchar package[] = "gstreamer1.0-plugins-base";
  GstElement *source = make ("appsrc", package, error);
  GstElement *sink = source ? make ("appsink", package, error) : NULL;

  if (!sink) {
    gst_clear_object (&source);
    return FALSE;
  }
  /* those of this program, whatever plugins there are */
  self->encoder = g_object_new (GST_TYPE_RD_ENCODER, "name", "rdencoder", NULL);
  self->decoder = g_object_new (GST_TYPE_RD_DECODER, "name", "rddecoder", NULL);
  self->pipeline = gst_pipeline_new (NULL);
  self->bus = gst_element_get_bus (self->pipeline);
  gst_bin_add_many (GST_BIN (self->pipeline), source, self->encoder,
      self->decoder, sink, NULL);
  self->source = GST_APP_SRC (source);
  self->sink = GST_APP_SINK (sink);
  g_autoptr (GstCaps) caps = gst_rd_state_info_to_caps (&self->info);
  g_object_set (source, "caps", caps, "format", GST_FORMAT_TIME, NULL);
  g_object_set (sink, "sync", FALSE, "async", FALSE, NULL);
  g_autoptr (GstPad) pad = gst_element_get_static_pad (self->encoder, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER |
      GST_PAD_PROBE_TYPE_BUFFER_LIST, on_wire, self, NULL);
  g_autoptr (GstPad) rows = gst_element_get_static_pad (self->encoder, "sink");
  gst_pad_add_probe (rows, GST_PAD_PROBE_TYPE_EVENT_UPSTREAM, on_upstream,
      self, NULL);
  if (gst_element_link_many (source, self->encoder, self->decoder, sink, NULL))
    return TRUE;
  g_set_error (error, EVAL_ERROR, EVAL_ERROR_STREAM,
      "the elements cannot be linked");
  return FALSE;
}

static gboolean
play (Elements * self, GError ** error)
{
  if (gst_element_set_state (self->pipeline, GST_STATE_PLAYING)
      != GST_STATE_CHANGE_FAILURE)
    return TRUE;
  if (check_bus (self, error))
    g_set_error (error, EVAL_ERROR, EVAL_ERROR_STREAM,
        "the elements do not start");
  return FALSE;
}

EvalLink *
eval_elements_new (const EvalVariant * variant, const EvalModel * model,
    guint threads, GError ** error)
{
  static const EvalLinkClass klass = {.send = elements_send,
    .times = elements_times,.level = elements_level,.levels = elements_levels,
    .free = elements_free
  };
  Elements *self = g_new0 (Elements, 1);

  self->link.klass = &klass;
  g_mutex_init (&self->lock);
  self->cancel = model->cancel;
  self->level = -1;
  self->levels = g_array_new (FALSE, FALSE, sizeof (gint8));
  self->frame_tokens = variant->frame_tokens;
  self->send_ids = variant->spec->send_ids;
  fill_info (self, model);
  self->codec = rd_codec_new (variant->spec->name, self->info.hidden_size,
      error);
  if (self->codec && build (self, error)
      && set_properties (self, variant, threads, error)
      && play (self, error))
    return &self->link;
  g_prefix_error (error, "%s: ", variant->curve);
  elements_free (&self->link);
  return NULL;
}
