/* Rows through rddecoder: decodes what the receiver hands over and pushes it, prefill rows as many at a time as are here. */
#include "elements/rddecoder/gstrddecoder-private.h"
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdmeta.h"
#include "elements/common/gstrdpair.h"
#include <string.h>

GST_DEBUG_CATEGORY_EXTERN (gst_rd_decoder_debug);
#define GST_CAT_DEFAULT gst_rd_decoder_debug

/* A datagram often holds one token, and a model runs many rows in little more time than one. Nothing waits for this: what has arrived
 * while the last push lasted goes with the next one. */
#define MAX_ROWS 256
#define MAX_VALUES (1u << 20)

/* Rows of one session, epoch and regime, one after the other. */
typedef struct
{
  GstRdDecoderSession *session;
  gfloat *x;                    /* n x hidden size */
  gsize n;
  GArray *ids;                  /* gint32: n of them, or none */
  GArray *levels;               /* gint8: n of them */
  guint32 position;             /* of the first row */
  gint32 given_id;
  RdDelivery last;              /* of its frame only what is no pointer */
} Batch;

void
gst_rd_decoder_taken (GstRdDecoder * self)
{
  if (self->delivery.type == RD_DELIVERY_NONE)
    return;
  rd_receiver_taken (self->receiver, &self->delivery, g_get_monotonic_time ());
  memset (&self->delivery, 0, sizeof self->delivery);
  self->feedback_idle = FALSE;
  g_cond_broadcast (&self->cond);
}

void
gst_rd_decoder_refuse (GstRdDecoder * self, guint32 number,
    const gchar * message)
{
  gboolean waits;

  GST_WARNING_OBJECT (self, "session %u refused: %s", number, message);
  g_mutex_lock (&self->lock);
  gst_rd_decoder_tell_error (self, number, message);
  g_mutex_unlock (&self->lock);
  if (!gst_rd_decoder_has_feedback (self))
    gst_rd_decoder_pass_upstream (self, gst_rd_event_new_error (number,
            message), number, &waits);
}

/* What the frame says of its rows' tokens and of the one after them. */
static void
note_ids (GstRdDecoder * self, Batch * batch, const gint32 * ids)
{
  const RdFrame *frame = &self->delivery.frame;
  GstRdPast *past = &batch->session->past;

  if (!rd_codec_info (batch->session->codec))
    return;
  g_mutex_lock (&self->lock);
  gst_rd_past_rows (past, self->delivery.epoch, frame->position, frame->count,
      frame->step, ids);
  if (frame->given)
    gst_rd_past_tokens (past, self->delivery.epoch,
        frame->position + frame->count, &batch->given_id, 1);
  g_mutex_unlock (&self->lock);
}

static gboolean
decode (GstRdDecoder * self, Batch * batch, const gint32 * ids, GError ** error)
{
  const RdFrame *frame = &self->delivery.frame;
  GstRdDecoderSession *session = batch->session;
  RdRows rows = {.n = frame->count,.position = frame->position,.ids = ids };
  gsize hidden = session->hidden_size;
  GError *failed = NULL;

  if (!rd_codec_check (session->codec, rows.n, frame->payload_size,
          frame->packed, error))
    return FALSE;
  note_ids (self, batch, ids);
  rows.features = gst_rd_decoder_side_features (self, session, frame, &failed);
  if (failed) {
    g_propagate_error (error, failed);
    return FALSE;
  }
  gfloat *x = g_try_realloc_n (batch->x, batch->n + rows.n,
      sizeof (gfloat) * hidden);
  if (!x) {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
        "no memory for %" G_GSIZE_FORMAT " tokens of %" G_GSIZE_FORMAT
        " values", batch->n + rows.n, hidden);
    return FALSE;
  }
  batch->x = x;
  return rd_codec_decode (session->codec, &rows, frame->payload,
      frame->payload_size, frame->packed, x + batch->n * hidden, error);
}

/* The level of the frame's rows. */
static void
note_level (Batch * batch, const RdFrame * frame)
{
  const guint had = batch->levels->len;
  gint level = rd_codec_payload_level (batch->session->codec, frame->payload,
      frame->payload_size, frame->packed);

  g_array_set_size (batch->levels, had + frame->count);
  memset (&g_array_index (batch->levels, gint8, had), level, frame->count);
}

/* The delivery that is out, behind what the batch has. */
static gboolean
batch_add (GstRdDecoder * self, Batch * batch, GError ** error)
{
  const RdFrame *frame = &self->delivery.frame;
  guint32 n_ids = rd_frame_n_row_ids (frame);
  GstClockTime start = gst_util_get_timestamp ();
  guint had = batch->ids->len;

  g_array_set_size (batch->ids, had + frame->n_ids);
  rd_frame_ids (frame, &g_array_index (batch->ids, gint32, had));
  batch->given_id = frame->given ? g_array_index (batch->ids, gint32,
      batch->ids->len - 1) : -1;
  g_array_set_size (batch->ids, had + n_ids);
  if (!decode (self, batch, n_ids ? &g_array_index (batch->ids, gint32, had) :
          NULL, error)) {
    g_array_set_size (batch->ids, had);
    return FALSE;
  }
  note_level (batch, frame);
  if (batch->n == 0)
    batch->position = self->delivery.position;
  batch->n += frame->count;
  batch->last = self->delivery;
  g_mutex_lock (&self->lock);
  batch->session->frames++;
  batch->session->tokens += frame->count;
  batch->session->payload_bytes += frame->payload_size;
  self->tokens += frame->count;
  self->payload_bytes += frame->payload_size;
  self->decode_ns += gst_util_get_timestamp () - start;
  g_mutex_unlock (&self->lock);
  return TRUE;
}

/* Gives the delivery back; TRUE if another is out that goes on where the batch ends. */
static gboolean
next_of_batch (GstRdDecoder * self, const Batch * batch)
{
  gsize limit = MIN (MAX_ROWS, MAX_VALUES / batch->session->hidden_size);
  gboolean more;

  g_mutex_lock (&self->lock);
  gst_rd_decoder_taken (self);
  more = batch->n < limit && !batch->session->refused
      && rd_receiver_more (self->receiver, &batch->last,
      g_get_monotonic_time (), &self->delivery);
  g_mutex_unlock (&self->lock);
  return more;
}

static GstBuffer *
batch_to_buffer (GstRdDecoder * self, const Batch * batch)
{
  const RdDelivery *last = &batch->last;
  GstBuffer *buffer = gst_rd_state_info_write (&self->info, batch->x,
      batch->n, batch->session->hidden_size);
  gboolean ids = batch->ids->len > 0;
  GstRdMetaFlags flags = 0;

  if (!buffer)
    return NULL;
  if (last->frame.step)
    flags |= GST_RD_META_STEP;
  if (last->frame.sample)
    flags |= GST_RD_META_SAMPLE;
  if (last->frame.given)
    flags |= GST_RD_META_GIVEN;
  if (ids)
    flags |= GST_RD_META_SEND_IDS;
  GstRdMeta *meta = gst_buffer_add_rd_meta (buffer, last->session,
      last->epoch, batch->position, (guint32) batch->n, flags,
      ids ? &g_array_index (batch->ids, gint32, 0) : NULL);
  meta->given_id = batch->given_id;
  if (rd_codec_info (batch->session->codec))
    meta->levels = g_memdup2 (batch->levels->data, batch->n);
  GST_BUFFER_PTS (buffer) = gst_rd_running_time (GST_ELEMENT (self));
  return buffer;
}

/* A payload that does not decode: its session cannot go on, and the element only as often as max-errors says. */
static GstFlowReturn
decode_error (GstRdDecoder * self, guint32 number, const GError * error)
{
  gint max_errors;

  GST_OBJECT_LOCK (self);
  max_errors = self->max_errors;
  GST_OBJECT_UNLOCK (self);
  gst_rd_decoder_refuse (self, number, error->message);
  g_mutex_lock (&self->lock);
  guint errors = ++self->errors;
  if (max_errors >= 0 && errors > (guint) max_errors)
    gst_rd_decoder_wait_told (self);
  g_mutex_unlock (&self->lock);
  if (max_errors < 0 || errors <= (guint) max_errors)
    return GST_FLOW_OK;
  GST_ELEMENT_ERROR (self, STREAM, DECODE, ("%s", error->message),
      ("session %u, error number %u", number, errors));
  return GST_FLOW_ERROR;
}

GstFlowReturn
gst_rd_decoder_push_pending (GstRdDecoder * self)
{
  guint32 number = gst_buffer_get_rd_meta (self->pending)->session;
  GstBuffer *buffer = gst_buffer_ref (self->pending);

  g_mutex_lock (&self->lock);
  rd_receiver_busy (self->receiver, number, TRUE, g_get_monotonic_time ());
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  GstFlowReturn result = gst_pad_push (self->srcpad, buffer);
  g_mutex_lock (&self->lock);
  rd_receiver_busy (self->receiver, number, FALSE, g_get_monotonic_time ());
  g_mutex_unlock (&self->lock);
  if (result != GST_FLOW_FLUSHING)
    gst_clear_buffer (&self->pending);
  return result;
}

GstFlowReturn
gst_rd_decoder_push_rows (GstRdDecoder * self)
{
  guint32 number = self->delivery.session;
  GstFlowReturn result = GST_FLOW_OK;
  g_autoptr (GError) error = NULL;
  Batch batch = { 0, };

  g_mutex_lock (&self->lock);
  batch.session = gst_rd_decoder_find (self, number);
  gboolean drop = !batch.session || batch.session->refused;
  g_mutex_unlock (&self->lock);
  if (drop)
    return GST_FLOW_OK;
  batch.ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  batch.levels = g_array_new (FALSE, FALSE, sizeof (gint8));
  while (batch_add (self, &batch, &error) && next_of_batch (self, &batch));
  if (batch.n > 0)
    self->pending = batch_to_buffer (self, &batch);
  if (self->pending)
    result = gst_rd_decoder_push_pending (self);
  if (g_error_matches (error, ST_MODEL_ERROR, ST_MODEL_ERROR_CANCELLED))
    result = GST_FLOW_FLUSHING;
  else if (error && result == GST_FLOW_OK)
    result = decode_error (self, number, error);
  g_array_unref (batch.ids);
  g_array_unref (batch.levels);
  g_free (batch.x);
  return result;
}
