/* How many rows a frame of rdencoder takes and at which quality: what the properties ask for, applied with codec/rate. */
#include "elements/rdencoder/gstrdencoder-private.h"
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdpair.h"

GST_DEBUG_CATEGORY_EXTERN (gst_rd_encoder_debug);
#define GST_CAT_DEFAULT gst_rd_encoder_debug

/* Of a datagram that is planned for: what a token needs is known about so well. */
#define CAREFUL 0.92
#define MARK_INTERVAL G_TIME_SPAN_SECOND

typedef enum
{
  WARNED_BITRATE = 1 << 0,
  WARNED_FIXED = 1 << 1,
  WARNED_LOSSLESS = 1 << 2,
} Warned;

/* ---- what the properties ask for ---- */

static gboolean
is_lossless (const GstRdEncoder * self)
{
  return self->use_rate.control == GST_RD_RATE_LOSSLESS;
}

const gchar *
gst_rd_encoder_rate_codec (const GstRdEncoder * self, const gchar * name)
{
  return is_lossless (self) && rd_codec_is_builtin (name) ? "f32" : name;
}

/* Once a stream. */
static void
warn (GstRdEncoder * self, Warned what, const gchar * message)
{
  if (self->rate_warnings & what)
    return;
  self->rate_warnings |= what;
  GST_ELEMENT_WARNING (self, LIBRARY, SETTINGS, ("%s", message), (NULL));
}

static void
warn_of_settings (GstRdEncoder * self, gboolean fixed)
{
  const GstRdEncoderRate *use = &self->use_rate;
  const gchar *id = rd_codec_id (self->codec);

  if (is_lossless (self)) {
    if (fixed && !g_str_equal (id, "f32"))
      warn (self, WARNED_LOSSLESS, "The stream began with a codec that cannot "
          "be lossless; rate-control=lossless holds from the next stream on. "
          "Set it before the stream starts, or use a codec file.");
    return;
  }
  if (use->control == GST_RD_RATE_CONSTANT_BITRATE && !use->bitrate)
    warn (self, WARNED_BITRATE, "rate-control=constant-bitrate needs a "
        "bitrate (bits per second); until it is set, quality is used.");
  if (fixed && (use->control == GST_RD_RATE_CONSTANT_BITRATE
          || use->bits_per_token > 0 || use->bitrate))
    warn (self, WARNED_FIXED, "f32, f16, int8 and int4 have one quality each: "
        "bitrate and target-bits-per-token need a codec file (codec=PATH).");
}

void
gst_rd_encoder_rate_follow (GstRdEncoder * self)
{
  const GstRdEncoderRate *use = &self->use_rate;
  RdRateSettings settings = {.quality = use->quality,
    .bits_per_token = use->bits_per_token,.bitrate = use->bitrate,
    .fill = use->control == GST_RD_RATE_CONSTANT_BITRATE,
    .window_ms = use->vbv
  };

  settings.fixed = rd_codec_info (self->codec) == NULL;
  warn_of_settings (self, settings.fixed);
  if (is_lossless (self))
    self->use_pack = TRUE;
  g_mutex_lock (&self->lock);
  if (!self->rate)
    self->rate = rd_rate_new (self->input.info.hidden_size);
  rd_rate_configure (self->rate, &settings);
  g_mutex_unlock (&self->lock);
}

/* ---- rows of a frame ---- */

static gsize
room_for (const GstRdEncoder * self, gsize n, gboolean ids)
{
  return rd_sender_payload_room (self->use_mtu, (guint) n, ids);
}

/* As many as fit one buffer whatever they become; of a codec whose sizes vary much, as many as will probably fit. */
static gsize
likely_rows (GstRdEncoder * self, guint32 number, gsize most, gboolean ids)
{
  gsize n = most;

  while (n > 1) {
    gsize bound = rd_codec_bound (self->codec, n);

    if (bound > 0 && bound <= room_for (self, n, ids))
      break;
    n--;
  }
  if (n == most || !rd_codec_info (self->codec) || is_lossless (self))
    return n;
  g_mutex_lock (&self->lock);
  GstRdEncoderSession *session = gst_rd_encoder_find (self, number);
  gdouble bytes = session ? rd_rate_expect (self->rate, &session->rate) / 8 : 0;
  g_mutex_unlock (&self->lock);
  while (n < most && (n + 1) * bytes <= CAREFUL * room_for (self, n + 1, ids))
    n++;
  return n;
}

static gsize
fewer_rows (const GstRdEncoder * self, gsize n, gboolean ids)
{
  gdouble part = CAREFUL * room_for (self, n, ids) / self->payload->len;

  return MIN (n - 1, MAX (1, (gsize) (n * part)));
}

/* ---- one frame ---- */

/* What the rate control has to know of the frame. Called with the lock. */
static void
describe (GstRdEncoder * self, const GstRdEncoderSession * session,
    const gint32 * ids, RdRateFrame * frame)
{
  GstClockTime now = gst_rd_running_time (GST_ELEMENT (self));
  RdSenderStats stats = { 0, };
  guint64 bytes, tokens;
  gsize once;

  frame->overhead = 8 * rd_sender_overhead (session->sender, frame->n, ids,
      &once);
  frame->once = 8 * (guint64) once;
  rd_sender_stats (session->sender, &stats);
  rd_sender_committed (session->sender, &bytes, &tokens);
  frame->session_bits = 8 * (bytes - stats.retransmitted_bytes);
  frame->session_tokens = tokens;
  for (guint i = 0; i < self->sessions->len; i++) {
    const GstRdEncoderSession *s = g_ptr_array_index (self->sessions, i);

    if (!s->sender)
      continue;
    rd_sender_committed (s->sender, &bytes, &tokens);
    frame->total_bits += 8 * bytes;
  }
  frame->total_bits += 8 * self->past.bytes;
  frame->now = GST_CLOCK_TIME_IS_VALID (now) ? (gint64) now :
      1000 * g_get_monotonic_time ();
}

static gdouble
begin (GstRdEncoder * self, const GstRdRows * rows, gsize n, const gint32 * ids)
{
  RdRateFrame frame = {.n = (guint) n };
  gdouble quality = self->use_rate.quality;

  g_mutex_lock (&self->lock);
  GstRdEncoderSession *session = gst_rd_encoder_find (self, rows->session);
  if (session && session->sender && !is_lossless (self)) {
    describe (self, session, ids, &frame);
    quality = rd_rate_begin (self->rate, &session->rate, &frame);
  }
  g_mutex_unlock (&self->lock);
  return quality;
}

/* Whether the payload is taken; if not, it is thrown away and *quality is what to try next. @too_long: fewer rows are needed anyway. */
static gboolean
accept (GstRdEncoder * self, const GstRdRows * rows, gboolean too_long,
    guint64 clipped, gdouble * quality)
{
  guint64 bits = 8 * (guint64) self->payload->len;
  gdouble tried = *quality;
  gboolean good = !too_long;

  g_mutex_lock (&self->lock);
  GstRdEncoderSession *session = gst_rd_encoder_find (self, rows->session);
  if (session && session->sender && !is_lossless (self)) {
    if (too_long)
      rd_rate_discard (self->rate, &session->rate, bits);
    else
      good = rd_rate_accept (self->rate, &session->rate, bits, quality);
  }
  if (good) {
    self->last_quality = tried;
    self->clipped += clipped;
  } else {
    self->trial_encodes++;
  }
  g_mutex_unlock (&self->lock);
  return good;
}

/* Encodes n rows until the rate control is content; *too_long if they must be fewer. */
static gboolean
encode_rows (GstRdEncoder * self, const GstRdRows * rows,
    const GstRdSidePlan * plan, gsize from, gsize n, gboolean * packed,
    gboolean * too_long, GError ** error)
{
  gdouble quality =
      begin (self, rows, n, plan->send_ids ? rows->ids + from : NULL);
  guint64 clipped;

  do {
    RdSettings settings = { quality, self->use_rate.complexity,
      is_lossless (self)
    };

    clipped = rd_codec_clipped (self->codec);
    rd_codec_set (self->codec, &settings);
    if (!gst_rd_encoder_encode (self, rows, plan, from, n, packed, error))
      return FALSE;
    clipped = rd_codec_clipped (self->codec) - clipped;
    *too_long = n > 1
        && self->payload->len > room_for (self, n, plan->send_ids);
  } while (!accept (self, rows, *too_long, clipped, &quality) && !*too_long);
  return TRUE;
}

gboolean
gst_rd_encoder_encode_frame (GstRdEncoder * self, const GstRdRows * rows,
    const GstRdSidePlan * plan, gsize from, gsize * n, gboolean * packed,
    GError ** error)
{
  gsize most = MIN (MAX (self->use_frame_tokens, 1), rows->n - from);
  gboolean too_long;

  *n = likely_rows (self, rows->session, most, plan->send_ids);
  for (;;) {
    if (!encode_rows (self, rows, plan, from, *n, packed, &too_long, error))
      return FALSE;
    if (!too_long)
      return TRUE;
    *n = fewer_rows (self, *n, plan->send_ids);
  }
}

/* ---- what is told ---- */

void
gst_rd_encoder_rate_tell (GstRdEncoder * self, gint level)
{
  if (level < 0 || level == self->told_level)
    return;
  self->told_level = level;
  GST_LOG_OBJECT (self, "level %d from now on", level);
  /* nobody need take it */
  gst_pad_push_event (self->sinkpad, gst_rd_event_new_level ((guint) level));
}

gint
gst_rd_encoder_rate_level (GstRdEncoder * self)
{
  const GstRdEncoderRate *rate = &self->rate_settings;
  gint level = -1;

  GST_OBJECT_LOCK (self);
  if (!rd_codec_is_builtin (self->codec_name))
    level = rate->control == GST_RD_RATE_LOSSLESS ? RD_CODEC_LEVELS - 1 :
        (gint) rd_codec_quality_level (rate->quality);
  GST_OBJECT_UNLOCK (self);
  return level;
}

/* Called with the lock. */
static void
move_marks (GstRdEncoder * self, gint64 now)
{
  RdSenderStats sum;

  if (self->marks[1].at && now - self->marks[1].at < MARK_INTERVAL)
    return;
  gst_rd_encoder_sum (self, &sum);
  self->marks[0] = self->marks[1];
  self->marks[1] = (GstRdEncoderMark) {
  now, sum.tokens, sum.bytes, sum.payload_bytes};
}

static void
post_exceeded (GstRdEncoder * self, guint32 session)
{
  GstStructure *s = gst_structure_new ("rdencoder-bitrate-exceeded",
      "session", G_TYPE_UINT, session, "bitrate", G_TYPE_UINT,
      self->use_rate.bitrate, "vbv-buf-capacity", G_TYPE_UINT,
      self->use_rate.vbv, NULL);

  GST_INFO_OBJECT (self, "%u bits/s are exceeded", self->use_rate.bitrate);
  gst_element_post_message (GST_ELEMENT (self),
      gst_message_new_element (GST_OBJECT (self), s));
}

void
gst_rd_encoder_rate_report (GstRdEncoder * self, guint32 session)
{
  gint64 now = g_get_monotonic_time ();
  gint64 interval = (gint64) self->use_rate.stats_interval * 1000;

  g_mutex_lock (&self->lock);
  gboolean exceeded = rd_rate_take_exceeded (self->rate);
  move_marks (self, now);
  g_mutex_unlock (&self->lock);
  if (exceeded)
    post_exceeded (self, session);
  if (!interval || now - self->stats_posted < interval)
    return;
  self->stats_posted = now;
  gst_element_post_message (GST_ELEMENT (self),
      gst_message_new_element (GST_OBJECT (self), gst_rd_encoder_stats (self)));
}

void
gst_rd_encoder_rate_stats (GstRdEncoder * self, const RdSenderStats * sum,
    GstStructure * stats)
{
  const GstRdEncoderMark *mark = &self->marks[0];
  guint64 tokens = sum->tokens - mark->tokens;

  gst_structure_set (stats, "quality", G_TYPE_DOUBLE, self->last_quality,
      "trial-encodes", G_TYPE_UINT64, self->trial_encodes,
      "recent-bits-per-token", G_TYPE_DOUBLE,
      gst_rd_bits_per_token (sum->bytes - mark->bytes, tokens),
      "recent-payload-bits-per-token", G_TYPE_DOUBLE,
      gst_rd_bits_per_token (sum->payload_bytes - mark->payload_bytes, tokens),
      NULL);
}
