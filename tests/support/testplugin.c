/* Elements that only tests use. */
#include "tests/support/gstslow.h"
#include <stdlib.h>

/* identity draws from rand() which nobody seeds: without this every process loses the same buffers. */
static void
seed_losses (void)
{
  const gchar *seed = g_getenv ("ST_TEST_SEED");

  if (seed)
    srand ((guint) g_ascii_strtoull (seed, NULL, 10));
}

static gboolean
plugin_init (GstPlugin * plugin)
{
  seed_losses ();
  return GST_ELEMENT_REGISTER (testslow, plugin);
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, splittest,
    "Elements for the tests of split inference", plugin_init, VERSION,
    "Apache 2.0", "gst-split-transformer", "https://arxiv.org/abs/2601.22002")
