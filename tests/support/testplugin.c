/* Elements that only tests use. */
#include "tests/support/gstslow.h"

static gboolean
plugin_init (GstPlugin * plugin)
{
  return GST_ELEMENT_REGISTER (testslow, plugin);
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, splittest,
    "Elements for the tests of split inference", plugin_init, VERSION,
    "Apache 2.0", "gst-split-transformer", "https://arxiv.org/abs/2601.22002")
