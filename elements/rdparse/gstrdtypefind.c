/* Recognises a stream of coded states by its first frame: sync word, version and CRC. */
#include "elements/rdparse/gstrdtypefind.h"
#include "codec/wire/frame.h"
#include "elements/common/gstrdcaps.h"

/* A first frame longer than this is not looked for: everything before it would have to be kept. */
#define MAX_FIRST_FRAME (1u << 20)

/* The frame at the start of the stream, read as far as it needs; the bytes belong to @find. */
static gboolean
peek_frame (GstTypeFind * find, RdFrame * frame)
{
  guint size = RD_WIRE_MIN_FRAME;

  while (size <= MAX_FIRST_FRAME) {
    const guint8 *data = gst_type_find_peek (find, 0, size);
    g_autoptr (GError) error = NULL;

    if (!data)
      return FALSE;
    if (rd_frame_parse (data, size, MAX_FIRST_FRAME, frame, &error))
      return TRUE;
    if (!g_error_matches (error, RD_WIRE_ERROR, RD_WIRE_ERROR_TRUNCATED))
      return FALSE;
    size = frame->size > size ? (guint) frame->size : size + 1;
  }
  return FALSE;
}

static void
rd_type_find (GstTypeFind * find, gpointer user_data)
{
  RdFrame frame;

  (void) user_data;
  if (!peek_frame (find, &frame))
    return;
  if (frame.type == RD_FRAME_HEADER || frame.type == RD_FRAME_STATES)
    gst_type_find_suggest_simple (find, GST_TYPE_FIND_MAXIMUM,
        GST_RD_STATES_MEDIA, "stream-format", G_TYPE_STRING, "byte-stream",
        "version", G_TYPE_INT, RD_WIRE_VERSION, NULL);
  else
    gst_type_find_suggest_simple (find, GST_TYPE_FIND_LIKELY,
        GST_RD_FEEDBACK_MEDIA, "version", G_TYPE_INT, RD_WIRE_VERSION, NULL);
}

GST_TYPE_FIND_REGISTER_DEFINE (rdstates, GST_RD_STATES_MEDIA, GST_RANK_PRIMARY,
    rd_type_find, "rds", NULL, NULL, NULL)
