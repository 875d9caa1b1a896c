/* Rate control: which quality the next frame gets, so that a stream has the mean or keeps below the ceiling that was asked for. README.md
 * says how it works. One RdRate for everything that shares a link, one RdRateSession for each session on it; the caller locks. No clock,
 * no codec: the caller says what the time is and how large a frame became.
 *
 *   quality = rd_rate_begin (rate, session, &frame);
 *   do encode (quality); while (!rd_rate_accept (rate, session, bits, &quality));
 */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/* A frame is encoded at most so many times. */
#define RD_RATE_MAX_TRIES 4u
#define RD_RATE_MIN_WINDOW_MS 10u
#define RD_RATE_MAX_WINDOW_MS 600000u

/** RdRateSettings: what is asked for. The lowest of the qualities that follow from it is used. */
typedef struct
{
  gdouble quality;              /* 0 .. 100; holds unless bits_per_token or fill is set */
  gdouble bits_per_token;       /* mean of a session to be met, 0 = none */
  gboolean fill;                /* constant bitrate: as good as `bitrate` allows (needs bitrate) */
  guint64 bitrate;              /* bits/s: ceiling for everything, 0 = none */
  guint window_ms;              /* running time over which bitrate holds; clamped to the limits above */
  gboolean fixed;               /* the codec has but one quality: sizes are counted, nothing is tried twice */
} RdRateSettings;

/** RdRateSession: what is known of one session. All zero at the beginning; private. */
typedef struct
{
  gboolean known;               /* the level was seen */
  gint outlier;                 /* the last frame was far above (1) or below (-1) */
  gdouble level;                /* log2 of its bits per token against the model's curve */
  gdouble drift, deviation;     /* of what was predicted, octaves */
  gdouble quality;              /* of the last frame */
  gdouble target;               /* bits per token that what follows counts for */
  gdouble first_tokens, first_bits;     /* what does not count for it */
} RdRateSession;

/** RdRateFrame: the frame that is about to be encoded. */
typedef struct
{
  guint n;                      /* tokens, at least 1 */
  guint64 overhead;             /* bits that every such frame has beside its payload */
  guint64 once;                 /* bits that come with this one only: the stream's header */
  guint64 session_tokens;       /* of this session so far, in frames that were sent or wait */
  guint64 session_bits;         /* on the wire for them */
  guint64 total_bits;           /* the same for everything that shares the ceiling, what was sent again included */
  gint64 now;                   /* running time in ns; going back is taken for standing still */
} RdRateFrame;

typedef struct _RdRate RdRate;

/** rd_rate_new: @values: floats a token, for a first guess of what a token needs. */
RdRate *rd_rate_new (guint values);
void rd_rate_free (RdRate * rate);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdRate, rd_rate_free)

/** rd_rate_configure: from the next rd_rate_begin() on. What was learned of codec and content stays; a new target begins a new mean. */
void rd_rate_configure (RdRate * rate, const RdRateSettings * settings);

/** rd_rate_begin: the quality for @frame, 0 .. 100. */
gdouble rd_rate_begin (RdRate * rate, RdRateSession * session, const RdRateFrame * frame);
/** rd_rate_accept: the payload took @bits at the quality that was given last. TRUE: send it; it is counted. FALSE: encode the same tokens
 * again at *@quality. */
gboolean rd_rate_accept (RdRate * rate, RdRateSession * session, guint64 bits, gdouble * quality);
/** rd_rate_discard: instead of rd_rate_accept(): the tokens took too many @bits for one buffer. Begin again with fewer. */
void rd_rate_discard (RdRate * rate, RdRateSession * session, guint64 bits);

/** rd_rate_expect: bits of payload that a token of the session will probably need at the quality of its last frame. */
gdouble rd_rate_expect (const RdRate * rate, const RdRateSession * session);
/** rd_rate_take_exceeded: TRUE once for every time the ceiling began to be exceeded although the quality was the coarsest. */
gboolean rd_rate_take_exceeded (RdRate * rate);

G_END_DECLS
