/* tokensrc: the request pads text (turns in) and answer (text out). */
#include "elements/tokensrc/gsttokensrc-private.h"
#include "elements/common/gstrdcaps.h"
#include <string.h>

#define GST_CAT_DEFAULT tokensrc_debug

/* Turns that wait while an answer is written. */
#define MAX_WAITING_BYTES (1u << 20)

static GstFlowReturn
text_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstTokenSrc *self = GST_TOKEN_SRC (parent);
  GstFlowReturn flow = GST_FLOW_OK;
  GstMapInfo map;

  (void) pad;
  if (!gst_buffer_map (buffer, &map, GST_MAP_READ)) {
    gst_buffer_unref (buffer);
    return GST_FLOW_ERROR;
  }
  g_mutex_lock (&self->lock);
  while (!self->text_flushing && self->turns.bytes > MAX_WAITING_BYTES)
    g_cond_wait (&self->changed, &self->lock);
  if (self->text_flushing)
    flow = GST_FLOW_FLUSHING;
  else if (self->text_eos)
    flow = GST_FLOW_EOS;
  else if (!gst_rd_turns_push (&self->turns, (gchar *) map.data, map.size))
    flow = GST_FLOW_ERROR;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  gst_buffer_unmap (buffer, &map);
  gst_buffer_unref (buffer);
  if (flow == GST_FLOW_ERROR)
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("A turn of more than %u bytes came without turn-delimiter.",
            GST_RD_MAX_TURN_BYTES), (NULL));
  return flow;
}

void
gst_token_src_set_text_flushing (GstTokenSrc * self, gboolean flushing)
{
  g_mutex_lock (&self->lock);
  self->text_flushing = flushing;
  if (flushing)
    gst_rd_turns_flush (&self->turns);
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

/* The text is an input of its own: nothing of its stream goes on to the ids. */
static gboolean
text_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstTokenSrc *self = GST_TOKEN_SRC (parent);

  (void) pad;
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_EOS:
      g_mutex_lock (&self->lock);
      gst_rd_turns_end (&self->turns);
      self->text_eos = TRUE;
      g_cond_broadcast (&self->changed);
      g_mutex_unlock (&self->lock);
      break;
    case GST_EVENT_FLUSH_START:
      gst_token_src_set_text_flushing (self, TRUE);
      break;
    case GST_EVENT_FLUSH_STOP:
      gst_token_src_set_text_flushing (self, FALSE);
      g_mutex_lock (&self->lock);
      self->text_eos = FALSE;
      g_mutex_unlock (&self->lock);
      break;
    default:
      break;
  }
  gst_event_unref (event);
  return TRUE;
}

static GstIterator *
no_links (GstPad * pad, GstObject * parent)
{
  (void) pad;
  (void) parent;
  return NULL;
}

GstPad *
gst_token_src_request_pad (GstElement * element, GstPadTemplate * template,
    const gchar * name, const GstCaps * caps)
{
  GstTokenSrc *self = GST_TOKEN_SRC (element);
  gboolean text =
      strcmp (GST_PAD_TEMPLATE_NAME_TEMPLATE (template), "text") == 0;
  GstPad *pad;

  (void) name;
  (void) caps;
  if (text ? self->text_pad != NULL : self->answer != NULL) {
    GST_WARNING_OBJECT (self, "there is one pad %s already",
        text ? "text" : "answer");
    return NULL;
  }
  pad = gst_pad_new_from_template (template, text ? "text" : "answer");
  gst_pad_set_iterate_internal_links_function (pad, no_links);
  if (text) {
    gst_pad_set_chain_function (pad, text_chain);
    gst_pad_set_event_function (pad, text_event);
    self->text_pad = pad;
  } else {
    gst_rd_output_put (element, &self->answer, gst_rd_output_new (pad,
            gst_caps_from_string (GST_RD_TEXT_CAPS)));
  }
  gst_element_add_pad (element, pad);
  return pad;
}

void
gst_token_src_release_pad (GstElement * element, GstPad * pad)
{
  GstTokenSrc *self = GST_TOKEN_SRC (element);
  g_autoptr (GstRdOutput) answer = gst_rd_output_get (element, &self->answer);

  if (pad == self->text_pad) {
    gst_token_src_set_text_flushing (self, TRUE);
    g_mutex_lock (&self->lock);
    self->text_eos = TRUE;
    g_cond_broadcast (&self->changed);
    g_mutex_unlock (&self->lock);
    self->text_pad = NULL;
  } else if (answer && pad == answer->pad) {
    gst_rd_output_put (element, &self->answer, NULL);
  }
  gst_pad_set_active (pad, FALSE);
  gst_element_remove_pad (element, pad);
}
