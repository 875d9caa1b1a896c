/* The plugin entry: registers every element, and nothing else. */
#include <gst/gst.h>

static gboolean
plugin_init (GstPlugin * plugin)
{
  (void) plugin;
  return TRUE;
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, splittransformer,
    "Split transformer inference as a media pipeline", plugin_init, VERSION,
    "Apache 2.0", "gst-split-transformer",
    "https://arxiv.org/abs/2601.22002")
