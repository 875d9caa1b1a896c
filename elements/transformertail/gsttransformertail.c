/**
 * SECTION:element-transformertail
 * @title: transformertail
 * @short_description: runs the last blocks of a language model and writes text
 *
 * Takes the hidden states of `transformerhead` (the caps say where the model
 * was cut), or token ids with `layers=all`, runs the remaining blocks and the
 * output head, and writes the text of the tokens it samples. Each token also
 * goes upstream as an event, to the source that sends it into the model.
 *
 * With `task=score` nothing is sampled: the likelihood of the text that comes
 * in is measured. After every window and at the end, an element message
 * `transformertail-score` has the perplexity so far, the mean negative
 * log-likelihood in nats, the fraction of tokens that were the most likely
 * ones, and each token's log-likelihood; the property `stats` has the sums.
 * `transformertail-turn` tells the end of an answer and why it ended.
 *
 * The request pad `tokens` gives the ids that are sampled, the request pad
 * `logits` the logits they are sampled from.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 -q tokensrc model=m.gguf prompt="Once upon a time" ! transformerhead model=m.gguf split-layer=10 ! transformertail model=m.gguf ! fdsink
 * ]|
 * Continues a text.
 * |[
 * gst-launch-1.0 -m tokensrc model=m.gguf location=text.txt window-tokens=512 add-bos=false send-ids=true is-live=false ! transformerhead model=m.gguf split-layer=10 ! transformertail model=m.gguf task=score score-from=256 ! fakesink
 * ]|
 * Measures the perplexity of a file, the second half of each window counted.
 *
 * Since: 0.1
 */
#include "elements/transformertail/gsttransformertail-private.h"
#include <string.h>

GST_DEBUG_CATEGORY (transformertail_debug);
#define GST_CAT_DEFAULT transformertail_debug

#define DEFAULT_TASK GST_TRANSFORMER_TAIL_GENERATE
#define DEFAULT_ALLOW_CLIENT_SAMPLING TRUE
#define DEFAULT_SCORE_FROM 0
#define DEFAULT_TURN_DELIMITER ""

enum
{
  PROP_TASK = GST_RD_SETTINGS_END,
  PROP_ALLOW_CLIENT_SAMPLING,
  PROP_SCORE_FROM,
  PROP_TURN_DELIMITER,
  PROP_STATS,
  PROP_SAMPLING,                /* the first of GST_RD_SAMPLING_COUNT */
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS (GST_RD_HIDDEN_STATES_CAPS "; " GST_RD_TENSORS_CAPS "; "
        GST_RD_TOKEN_IDS_CAPS));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_RD_TEXT_CAPS));
static GstStaticPadTemplate tokens_template =
GST_STATIC_PAD_TEMPLATE ("tokens", GST_PAD_SRC, GST_PAD_REQUEST,
    GST_STATIC_CAPS (GST_RD_TOKEN_IDS_CAPS));
static GstStaticPadTemplate logits_template =
GST_STATIC_PAD_TEMPLATE ("logits", GST_PAD_SRC, GST_PAD_REQUEST,
    GST_STATIC_CAPS ("other/tensors, format = (string) static, "
        "num_tensors = (int) 1, types = (string) float32"));

#define gst_transformer_tail_parent_class parent_class
/* *INDENT-OFF* */
G_DEFINE_TYPE (GstTransformerTail, gst_transformer_tail, GST_TYPE_ELEMENT)
GST_ELEMENT_REGISTER_DEFINE (transformertail, "transformertail", GST_RANK_NONE,
    GST_TYPE_TRANSFORMER_TAIL)
/* *INDENT-ON* */

#define GST_TYPE_TRANSFORMER_TAIL_TASK (gst_transformer_tail_task_get_type ())
static GType
gst_transformer_tail_task_get_type (void)
{
  static const GEnumValue values[] = {
    {GST_TRANSFORMER_TAIL_GENERATE, "Write text", "generate"},
    {GST_TRANSFORMER_TAIL_SCORE, "Measure how likely the text is", "score"},
    {0, NULL, NULL}
  };
  static GType type;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type,
        g_enum_register_static ("GstTransformerTailTask", values));
  return type;
}

/* ---- request pads ---- */

static GstPad *
request_new_pad (GstElement * element, GstPadTemplate * template,
    const gchar * name, const GstCaps * caps)
{
  GstTransformerTail *self = GST_TRANSFORMER_TAIL (element);
  const gchar *kind = GST_PAD_TEMPLATE_NAME_TEMPLATE (template);
  GstRdOutput **slot = &self->outputs[strcmp (kind, "tokens") == 0 ?
      GST_TAIL_TOKENS : GST_TAIL_LOGITS];
  GstPad *pad;

  (void) name;
  (void) caps;
  if (*slot) {
    GST_WARNING_OBJECT (self, "there is one pad %s already", kind);
    return NULL;
  }
  pad = gst_pad_new_from_template (template, kind);
  gst_rd_output_put (element, slot, gst_rd_output_new (pad, NULL));
  gst_element_add_pad (element, pad);
  if (self->input.configured)
    gst_tail_set_output_caps (self);
  return pad;
}

static void
release_pad (GstElement * element, GstPad * pad)
{
  GstTransformerTail *self = GST_TRANSFORMER_TAIL (element);

  for (guint i = GST_TAIL_TOKENS; i < GST_TAIL_N_OUTPUTS; i++) {
    g_autoptr (GstRdOutput) output = gst_tail_output (self, i);

    if (!output || output->pad != pad)
      continue;
    gst_rd_output_put (element, &self->outputs[i], NULL);
    gst_pad_set_active (pad, FALSE);
    gst_element_remove_pad (element, pad);
    return;
  }
}

/* ---- states ---- */

static GstStateChangeReturn
gst_transformer_tail_change_state (GstElement * element,
    GstStateChange transition)
{
  GstTransformerTail *self = GST_TRANSFORMER_TAIL (element);
  GstStateChangeReturn result;
  gboolean dirty;

  GST_OBJECT_LOCK (self);
  dirty = self->dirty;
  GST_OBJECT_UNLOCK (self);
  if (transition == GST_STATE_CHANGE_NULL_TO_READY
      || (transition == GST_STATE_CHANGE_READY_TO_PAUSED && dirty)) {
    if (!gst_tail_open_model (self))
      return GST_STATE_CHANGE_FAILURE;
  }
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED) {
    gst_rd_partition_cancel (&self->partition, FALSE);
    GST_OBJECT_LOCK (self);
    memset (&self->totals, 0, sizeof self->totals);
    GST_OBJECT_UNLOCK (self);
  } else if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) {
    gst_rd_partition_cancel (&self->partition, TRUE);
  }
  result = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) {
    gst_rd_partition_end_all (&self->partition);
    gst_rd_input_reset (&self->input);
  } else if (transition == GST_STATE_CHANGE_READY_TO_NULL) {
    gst_rd_partition_close (&self->partition);
    g_clear_pointer (&self->sampler, st_sampler_free);
    g_clear_pointer (&self->row_logits, g_free);
    self->row_logits_size = 0;
  }
  return result;
}

/* ---- object ---- */

static GstStructure *
get_stats (GstTransformerTail * self)
{
  GstStructure *stats = gst_structure_new_empty ("transformertail-stats");
  GstTailTotals t;

  gst_rd_partition_stats (&self->partition, stats);
  GST_OBJECT_LOCK (self);
  t = self->totals;
  GST_OBJECT_UNLOCK (self);
  gst_structure_set (stats, "answers", G_TYPE_UINT64, t.answers,
      "answer-tokens", G_TYPE_UINT64, t.tokens,
      "answer-tokens-per-second", G_TYPE_DOUBLE, t.time > 0 ?
      (gdouble) t.steps * G_USEC_PER_SEC / (gdouble) t.time : 0.0,
      "scored-tokens", G_TYPE_UINT64, t.score.tokens,
      "windows", G_TYPE_UINT64, t.score.windows,
      "mean-nll", G_TYPE_DOUBLE, gst_rd_score_mean (&t.score),
      "perplexity", G_TYPE_DOUBLE, gst_rd_score_perplexity (&t.score),
      "top1", G_TYPE_DOUBLE, gst_rd_score_top1 (&t.score), NULL);
  return stats;
}

static void
set_own_property (GstTransformerTail * self, guint id, const GValue * value,
    GParamSpec * pspec)
{
  switch (id) {
    case PROP_TASK:
      self->task = g_value_get_enum (value);
      break;
    case PROP_ALLOW_CLIENT_SAMPLING:
      self->allow_client_sampling = g_value_get_boolean (value);
      break;
    case PROP_SCORE_FROM:
      self->score_from = g_value_get_uint (value);
      break;
    case PROP_TURN_DELIMITER:
      g_free (self->turn_delimiter);
      self->turn_delimiter = g_value_dup_string (value);
      break;
    default:
      if (gst_rd_settings_set (&self->settings, id, value))
        self->dirty = TRUE;
      else if (!gst_rd_sampling_set (&self->sampling, PROP_SAMPLING, id, value))
        G_OBJECT_WARN_INVALID_PROPERTY_ID (self, id, pspec);
      break;
  }
}

static void
gst_transformer_tail_set_property (GObject * object, guint id,
    const GValue * value, GParamSpec * pspec)
{
  GstTransformerTail *self = GST_TRANSFORMER_TAIL (object);

  if (!gst_rd_property_settable (GST_ELEMENT (self), pspec))
    return;
  GST_OBJECT_LOCK (self);
  set_own_property (self, id, value, pspec);
  GST_OBJECT_UNLOCK (self);
}

static void
gst_transformer_tail_get_property (GObject * object, guint id,
    GValue * value, GParamSpec * pspec)
{
  GstTransformerTail *self = GST_TRANSFORMER_TAIL (object);

  if (id == PROP_STATS) {
    g_value_take_boxed (value, get_stats (self));
    return;
  }
  GST_OBJECT_LOCK (self);
  if (id == PROP_TASK)
    g_value_set_enum (value, self->task);
  else if (id == PROP_ALLOW_CLIENT_SAMPLING)
    g_value_set_boolean (value, self->allow_client_sampling);
  else if (id == PROP_SCORE_FROM)
    g_value_set_uint (value, self->score_from);
  else if (id == PROP_TURN_DELIMITER)
    g_value_set_string (value, self->turn_delimiter);
  else if (!gst_rd_settings_get (&self->settings, id, value)
      && !gst_rd_sampling_get (&self->sampling, PROP_SAMPLING, id, value))
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  GST_OBJECT_UNLOCK (self);
}

static void
gst_transformer_tail_finalize (GObject * object)
{
  GstTransformerTail *self = GST_TRANSFORMER_TAIL (object);

  gst_rd_partition_clear (&self->partition);
  gst_rd_input_clear (&self->input);
  gst_rd_settings_clear (&self->settings);
  gst_rd_sampling_clear (&self->sampling);
  for (guint i = 0; i < GST_TAIL_N_OUTPUTS; i++)
    g_clear_pointer (&self->outputs[i], gst_rd_output_unref);
  g_clear_pointer (&self->sampler, st_sampler_free);
  g_array_unref (self->end_ids);
  g_free (self->row_logits);
  g_free (self->turn_delimiter);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
install_properties (GObjectClass * klass)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS;

  gst_rd_settings_install (klass);
  g_object_class_install_property (klass, PROP_TASK,
      g_param_spec_enum ("task", "Task", "What is done with the logits",
          GST_TYPE_TRANSFORMER_TAIL_TASK, DEFAULT_TASK,
          flags | GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (klass, PROP_ALLOW_CLIENT_SAMPLING,
      g_param_spec_boolean ("allow-client-sampling", "Allow client sampling",
          "Let the source's sampling wishes override the properties here",
          DEFAULT_ALLOW_CLIENT_SAMPLING, flags | GST_PARAM_MUTABLE_PLAYING));
  g_object_class_install_property (klass, PROP_SCORE_FROM,
      g_param_spec_uint ("score-from", "Score from",
          "task=score: index in a window of the first token that serves as "
          "context of a scored one", 0, G_MAXINT, DEFAULT_SCORE_FROM,
          flags | GST_PARAM_MUTABLE_PLAYING));
  g_object_class_install_property (klass, PROP_TURN_DELIMITER,
      g_param_spec_string ("turn-delimiter", "Turn delimiter",
          "Text that is written behind each answer; \\n, \\t and \\\\ are "
          "understood", DEFAULT_TURN_DELIMITER,
          flags | GST_PARAM_MUTABLE_PLAYING));
  g_object_class_install_property (klass, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Tokens run and written and their speed; with task=score, how "
          "likely they were", GST_TYPE_STRUCTURE,
          G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
  gst_rd_sampling_install (klass, PROP_SAMPLING, FALSE);
  gst_type_mark_as_plugin_api (GST_TYPE_TRANSFORMER_TAIL_TASK, 0);
}

static void
gst_transformer_tail_class_init (GstTransformerTailClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (transformertail_debug, "transformertail", 0,
      "Last blocks of a language model");
  object_class->set_property = gst_transformer_tail_set_property;
  object_class->get_property = gst_transformer_tail_get_property;
  object_class->finalize = gst_transformer_tail_finalize;
  element_class->change_state = gst_transformer_tail_change_state;
  element_class->request_new_pad = request_new_pad;
  element_class->release_pad = release_pad;

  install_properties (object_class);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_add_static_pad_template (element_class, &tokens_template);
  gst_element_class_add_static_pad_template (element_class, &logits_template);
  gst_element_class_set_static_metadata (element_class, "Transformer tail",
      "Filter/Converter/Text", "Runs the last blocks of a language model, "
      "samples tokens and writes text", "gst-split-transformer");
}

static void
gst_transformer_tail_init (GstTransformerTail * self)
{
  GstPad *pad;

  gst_rd_settings_init (&self->settings);
  gst_rd_sampling_init (&self->sampling);
  self->task = DEFAULT_TASK;
  self->allow_client_sampling = DEFAULT_ALLOW_CLIENT_SAMPLING;
  self->score_from = DEFAULT_SCORE_FROM;
  self->turn_delimiter = g_strdup (DEFAULT_TURN_DELIMITER);
  self->end_ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  gst_rd_partition_init (&self->partition, gst_tail_session_free);
  gst_rd_input_init (&self->input);

  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, gst_tail_chain);
  gst_pad_set_event_function (self->sinkpad, gst_tail_sink_event);
  gst_pad_set_query_function (self->sinkpad, gst_tail_sink_query);
  gst_element_add_pad (GST_ELEMENT (self), self->sinkpad);
  pad = gst_pad_new_from_static_template (&src_template, "src");
  self->outputs[GST_TAIL_TEXT] =
      gst_rd_output_new (pad, gst_caps_from_string (GST_RD_TEXT_CAPS));
  gst_element_add_pad (GST_ELEMENT (self), pad);
}
