/* The plugin entry: registers every element, and nothing else. */
#include <gst/gst.h>
#include "elements/rddecoder/gstrddecoder.h"
#include "elements/rdencoder/gstrdencoder.h"
#include "elements/rdparse/gstrdparse.h"
#include "elements/rdparse/gstrdtypefind.h"
#include "elements/tokensrc/gsttokensrc.h"
#include "elements/transformerhead/gsttransformerhead.h"
#include "elements/transformertail/gsttransformertail.h"

static gboolean
plugin_init (GstPlugin * plugin)
{
  return GST_ELEMENT_REGISTER (rddecoder, plugin)
      && GST_ELEMENT_REGISTER (rdencoder, plugin)
      && GST_ELEMENT_REGISTER (rdparse, plugin)
      && GST_TYPE_FIND_REGISTER (rdstates, plugin)
      && GST_ELEMENT_REGISTER (tokensrc, plugin)
      && GST_ELEMENT_REGISTER (transformerhead, plugin)
      && GST_ELEMENT_REGISTER (transformertail, plugin);
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, splittransformer,
    "Split transformer inference as a media pipeline", plugin_init, VERSION,
    "Apache 2.0", "gst-split-transformer", "https://arxiv.org/abs/2601.22002")
