/* Which quality the next frame gets. README.md is the long version. */
#include "codec/rate/rate.h"
#include "codec/rate/model.h"
#include "codec/rate/window.h"

#include <math.h>

/* ---- following the content ---- */
/* Share of a token in the smoothed level, and in the mean error that tells a change of content from noise. */
#define LEVEL_SHARE (1.0 / 16)
#define DRIFT_SHARE (1.0 / 4)
#define FIRST_DEVIATION 0.3     /* octaves */
#define OUTLIER 1.5             /* octaves that one frame alone is not believed */
#define FEWEST_FOR_PAIR 1.0     /* difference in quality from which two sizes of the same tokens tell the slope */

/* ---- the mean ---- */
/* Tokens over which a debt is paid back. */
#define PAY_BACK 64.0
/* Debt, in tokens at the target, that a frame may leave behind without being encoded again: 1.2 % of 256 tokens. */
#define TOLERANCE (0.012 * 256)
#define MAX_DEBT 128.0          /* tokens at the target */
#define MAX_CREDIT 32.0
/* A frame gets between a tenth of the target and four times it. */
#define MIN_PLAN 0.1
#define MAX_PLAN 4.0
/* Shorter frames are not worth a second look: the mean forgives them. */
#define RETRY_TOKENS 16u
#define RETRY_STEP 0.25         /* least change of the quality that a second look is worth */

/* ---- the ceiling ---- */
#define FILL 0.97               /* of the ceiling that is planned for */
#define LOOK_AHEAD 4u           /* plans look ahead 4, 8, 12 ... slots of the window */
/* So many frames like this one, and so many tokens, are expected at least while the pace is not known. */
#define UNSURE_FRAMES 4.0
#define UNSURE_TOKENS 32.0
#define JITTER 1.01             /* and the width of a slot: a frame comes before an old one has left */
#define FADE 0.95               /* a frame, of the memory of what came unplanned */
/* What has come so far in one go is expected to come so many times again at most: a burst is soon over, a long stream is not. */
#define MORE_OF_THE_SAME 4.0
#define REGULAR_FRAMES 4u       /* frames at one pace after which it is */
#define FEWER 0.9               /* of what did not fit, at the second look */
#define EPISODE_OVER 0.9        /* of the ceiling */

struct _RdRate
{
  RdRateSettings settings;
  RdRateModel model;
  gdouble level;                /* of the last session, where a new one begins */

  RdRateWindow window;
  guint64 booked;               /* of everything on the wire, what the window has been told */
  gint64 now, shift;            /* own time, and how far it is ahead of the caller's */
  gint64 last;                  /* begin of the last frame, own time */
  guint last_n;                 /* its tokens, 0 = there was none */
  gdouble interval;             /* ns a token */
  gdouble run;                  /* tokens since it changed */
  guint regular;                /* frames at that pace */
  gdouble surprise;             /* bits that were on the wire without being planned, lately, at a time */
  gboolean exceeded, news;

  /* the frame that is being encoded */
  RdRateFrame frame;
  gboolean counted;             /* the pace has seen it */
  gboolean capped;              /* its quality is the ceiling's */
  gdouble quality, plan;        /* plan: bits of payload that the mean allows it */
  guint tries;
  gdouble tried, tried_level;   /* the try before */
};

RdRate *
rd_rate_new (guint values)
{
  RdRate *rate = g_new0 (RdRate, 1);

  rd_rate_model_init (&rate->model, values);
  rate->counted = TRUE;
  rate->settings.window_ms = 1000;
  rd_rate_window_set_span (&rate->window, 1000 * (gint64) 1000000);
  return rate;
}

void
rd_rate_free (RdRate * rate)
{
  g_free (rate);
}

void
rd_rate_configure (RdRate * rate, const RdRateSettings * settings)
{
  rate->settings = *settings;
  /* not a number is no quality */
  if (!(settings->quality >= 0))
    rate->settings.quality = 0;
  rate->settings.window_ms = CLAMP (settings->window_ms, RD_RATE_MIN_WINDOW_MS,
      RD_RATE_MAX_WINDOW_MS);
  rd_rate_window_set_span (&rate->window,
      (gint64) rate->settings.window_ms * 1000000);
}

/* ---- following the content ---- */

static gdouble
level_of (gdouble bits, gdouble tokens)
{
  return log2 (MAX (bits, 1) / tokens);
}

/* Quality at which @bits of payload are to be expected of the frame; @level as in RdRateSession. */
static gdouble
quality_for (const RdRate * rate, gdouble level, gdouble bits)
{
  if (bits <= 0)
    return 0;
  return rd_rate_model_find (&rate->model, level_of (bits, rate->frame.n)
      - level);
}

/* @error: octaves that the frame's level was above the one expected. A change of content shows as errors to one side. */
static gdouble
level_gain (RdRateSession * s, guint n, gdouble error)
{
  gdouble gain = 1 - pow (1 - LEVEL_SHARE, n);
  gdouble believed;

  s->drift += (1 - pow (1 - DRIFT_SHARE, n)) * (error - s->drift);
  s->deviation += gain * (fabs (error) - s->deviation);
  believed = 0.5 * fabs (s->drift) / MAX (s->deviation, 0.02) - 0.1;
  return MAX (gain, MIN (believed, 0.5));
}

/* One frame alone that is far off is not believed (a model's first token is like no other), two are. */
static gboolean
is_outlier (RdRateSession * s, guint n, gdouble error)
{
  gint side = error > 0 ? 1 : -1;

  if (fabs (error) <= OUTLIER || n >= RETRY_TOKENS) {
    s->outlier = 0;
    return FALSE;
  }
  gboolean first = s->outlier != side;
  s->outlier = first ? side : 0;
  return first;
}

/* What the size of an accepted frame says of its session and of the codec. */
static void
learn (RdRate * rate, RdRateSession * s, gdouble level)
{
  guint n = rate->frame.n;
  gdouble error = level - rd_rate_model_at (&rate->model, rate->quality)
      - s->level;

  if (is_outlier (s, n, error))
    return;
  if (!s->known || fabs (error) > OUTLIER) {
    s->known = TRUE;
    s->level += error;
    s->drift = 0;
    s->deviation = FIRST_DEVIATION;
  } else {
    gdouble gain = level_gain (s, n, error);

    s->level += gain * error;
    s->drift *= 1 - gain;
    rd_rate_model_learn (&rate->model, rate->quality, error);
  }
  rate->level = s->level;
}

gdouble
rd_rate_expect (const RdRate * rate, const RdRateSession * s)
{
  if (!s->known)
    return exp2 (rate->level + rd_rate_model_at (&rate->model,
            rate->settings.quality));
  return exp2 (s->level + rd_rate_model_at (&rate->model, s->quality));
}

/* ---- the mean of a session ---- */

/* Bits that the session may still spend, or has to save, to have its mean. */
static gdouble
credit (const RdRate * rate, RdRateSession * s)
{
  gdouble target = rate->settings.bits_per_token;
  gdouble tokens = (gdouble) rate->frame.session_tokens;
  gdouble bits = (gdouble) rate->frame.session_bits;
  gdouble most = MAX_CREDIT, left, kept;

  if (s->target != target) {
    s->target = target;
    s->first_tokens = tokens;
    s->first_bits = bits;
  }
  left = (tokens - s->first_tokens) * target - (bits - s->first_bits);
  /* what the finest quality does not need is not saved up */
  if (s->quality >= 100)
    most = TOLERANCE;
  kept = CLAMP (left, -MAX_DEBT * target, most * target);
  s->first_bits += kept - left;
  return kept;
}

static gdouble
mean_quality (RdRate * rate, RdRateSession * s)
{
  const RdRateFrame *f = &rate->frame;
  gdouble even = f->n * rate->settings.bits_per_token;
  gdouble left = credit (rate, s) - (gdouble) f->once;
  gdouble plan = even + left * MIN (1, f->n / PAY_BACK) - (gdouble) f->overhead;

  rate->plan = CLAMP (plan, MIN_PLAN * even, MAX_PLAN * even);
  return quality_for (rate, s->level, rate->plan);
}

/* Whether @bits leave the session near enough to what was planned. */
static gboolean
meets_mean (const RdRate * rate, RdRateSession * s, gdouble bits)
{
  gdouble target = rate->settings.bits_per_token;
  gdouble before = credit (rate, s) + rate->frame.n * target
      - (gdouble) (rate->frame.overhead + rate->frame.once);
  gdouble planned = fabs (before - rate->plan);

  if (rate->frame.n < RETRY_TOKENS)
    return TRUE;
  return fabs (before - bits) <= MAX (TOLERANCE * target,
      planned + TOLERANCE / 2 * target);
}

/* ---- the ceiling ---- */

static gdouble
ceiling (const RdRate * rate)
{
  return (gdouble) rate->settings.bitrate * rate->settings.window_ms / 1000;
}

static gdouble
room (const RdRate * rate)
{
  return ceiling (rate) - (gdouble) rate->window.sum;
}

/* Time runs on its own so that a clock that is exchanged does no harm. */
static void
advance (RdRate * rate, gint64 now)
{
  if (now + rate->shift < rate->now)
    rate->shift = rate->now - now;
  rate->now = now + rate->shift;
  rd_rate_window_advance (&rate->window, rate->now);
}

/* How fast tokens come. A pause says little of it, a burst much; frames of another size are another pace (a prompt, an answer). */
static void
note_pace (RdRate * rate)
{
  guint n = rate->frame.n, before = rate->last_n;
  gdouble interval = (gdouble) (rate->now - rate->last) / n;
  gdouble old = rate->interval;

  if (!rate->counted)
    return;
  rate->counted = FALSE;
  if (before && (old <= 0 || n > 2 * before || 2 * n < before)) {
    rate->interval = interval;
    rate->regular = 0;
    rate->run = 0;
  } else if (before) {
    rate->regular = interval > old / 2 && interval < 2 * old ?
        rate->regular + 1 : 0;
    rate->interval = interval < old ? (old + interval) / 2 :
        old + (MIN (interval, 4 * old) - old) / 4;
  }
  rate->last = rate->now;
  rate->last_n = n;
}

/* What went out since the last frame besides what was planned: a correction of the plan, or frames that were sent again. */
static void
note_others (RdRate * rate)
{
  gint64 bits = (gint64) (rate->frame.total_bits - rate->booked);

  rd_rate_window_add (&rate->window, bits);
  rate->booked = rate->frame.total_bits;
  rate->surprise = MAX (FADE * rate->surprise, (gdouble) bits);
}

/* Tokens to be expected within @ahead ns, this frame's included: whole frames. */
static gdouble
expected_tokens (const RdRate * rate, gdouble ahead)
{
  gdouble n = rate->frame.n, least = n;
  gdouble most = MORE_OF_THE_SAME * rate->run + n;

  if (rate->regular < REGULAR_FRAMES)
    least = MAX (UNSURE_FRAMES * n, UNSURE_TOKENS);
  if (rate->interval > 0)
    most = MIN (most, n * ceil (JITTER * ahead / (rate->interval * n)));
  return MAX (least, most);
}

/* Bits of payload that the frame may have so that those expected soon, and not so soon, have as much. */
static gdouble
allowance (const RdRate * rate)
{
  gdouble span = rate->settings.window_ms * 1e6, n = rate->frame.n;
  gdouble spare = FILL * ceiling (rate) - rate->surprise
      - (gdouble) rate->frame.once - (gdouble) rate->window.sum;
  gdouble least = room (rate) - (gdouble) (rate->frame.overhead
      + rate->frame.once);

  for (guint i = LOOK_AHEAD; i <= RD_RATE_SLOTS; i += LOOK_AHEAD) {
    gdouble share = n / expected_tokens (rate, span * i / RD_RATE_SLOTS);

    spare += (gdouble) rd_rate_window_leaving (&rate->window, i - LOOK_AHEAD,
        i);
    least = MIN (least, spare * share - (gdouble) rate->frame.overhead);
  }
  return least;
}

static gboolean
fits (const RdRate * rate, gdouble bits)
{
  return !rate->settings.bitrate
      || bits + rate->frame.overhead + rate->frame.once <= room (rate);
}

gboolean
rd_rate_take_exceeded (RdRate * rate)
{
  gboolean news = rate->news;

  rate->news = FALSE;
  return news;
}

static void
begin_episode (RdRate * rate)
{
  rate->news |= !rate->exceeded;
  rate->exceeded = TRUE;
}

static void
watch_ceiling (RdRate * rate)
{
  if (!rate->settings.bitrate)
    rate->exceeded = FALSE;
  else if (room (rate) < 0)
    begin_episode (rate);
  else if (room (rate) > (1 - EPISODE_OVER) * ceiling (rate))
    rate->exceeded = FALSE;
}

/* ---- one frame ---- */

gdouble
rd_rate_begin (RdRate * rate, RdRateSession * s, const RdRateFrame * frame)
{
  const RdRateSettings *want = &rate->settings;
  gdouble cap;

  rate->frame = *frame;
  rate->tries = 0;
  rate->capped = FALSE;
  advance (rate, frame->now);
  note_pace (rate);
  note_others (rate);
  if (!s->known)
    s->level = rate->level;

  rate->quality = want->quality;
  if (want->fill && want->bitrate)
    rate->quality = 100;
  if (want->bits_per_token > 0)
    rate->quality = mean_quality (rate, s);
  if (want->bitrate) {
    cap = quality_for (rate, s->level, allowance (rate));
    rate->capped = cap < rate->quality;
    rate->quality = MIN (rate->quality, cap);
  }
  s->quality = rate->quality;
  return rate->quality;
}

/* The quality for another try, from what this one took: TRUE if it is worth one. */
static gboolean
try_again (RdRate * rate, RdRateSession * s, gdouble bits, gdouble level,
    gdouble * quality)
{
  gdouble own = level - rd_rate_model_at (&rate->model, rate->quality);
  gdouble next = rate->quality;

  if (rate->settings.fixed || rate->tries >= RD_RATE_MAX_TRIES)
    return FALSE;
  if (!fits (rate, bits) && rate->quality > 0) {
    gdouble most = FEWER * room (rate) - (gdouble) (rate->frame.overhead
        + rate->frame.once);

    rate->capped = TRUE;
    next = rate->tries + 1 < RD_RATE_MAX_TRIES ?
        MIN (quality_for (rate, own, most), rate->quality - RETRY_STEP) : 0;
  } else if (!rate->capped && rate->settings.bits_per_token > 0
      && !meets_mean (rate, s, bits)) {
    next = quality_for (rate, own, rate->plan);
  }
  if (fabs (next - rate->quality) < RETRY_STEP && next > 0)
    return FALSE;
  *quality = MAX (next, 0);
  return *quality != rate->quality;
}

static void
book (RdRate * rate, guint64 bits)
{
  guint64 all = bits + rate->frame.overhead + rate->frame.once;

  rd_rate_window_add (&rate->window, (gint64) all);
  rate->booked += all;
  rate->run += rate->frame.n;
  rate->counted = TRUE;
  watch_ceiling (rate);
}

gboolean
rd_rate_accept (RdRate * rate, RdRateSession * s, guint64 bits,
    gdouble * quality)
{
  gdouble level = level_of ((gdouble) bits, rate->frame.n);

  if (rate->tries > 0 && fabs (rate->tried - rate->quality) >= FEWEST_FOR_PAIR)
    rd_rate_model_pair (&rate->model, rate->tried, rate->tried_level,
        rate->quality, level);
  rate->tries++;
  if (try_again (rate, s, (gdouble) bits, level, quality)) {
    rate->tried = rate->quality;
    rate->tried_level = level;
    rate->quality = s->quality = *quality;
    return FALSE;
  }
  learn (rate, s, level);
  book (rate, bits);
  return TRUE;
}

void
rd_rate_discard (RdRate * rate, RdRateSession * s, guint64 bits)
{
  learn (rate, s, level_of ((gdouble) bits, rate->frame.n));
}
