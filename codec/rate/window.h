/* Bits of the last so many ms: what a bitrate is a ceiling of. Private to codec/rate/. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#define RD_RATE_SLOTS 256u

/** RdRateWindow: bits in slots of 1/256 of the span. A slot counts until the whole of it has left: the window is up to a slot too long,
 * never too short. All zero at the beginning, then rd_rate_window_set_span(). */
typedef struct
{
  gint64 slot_ns;
  gint64 head;                  /* number of the newest slot */
  gint64 bits[RD_RATE_SLOTS + 1];
  gint64 sum;
} RdRateWindow;

/** @span_ns: at least 1000. What is in the window stays for the whole of a new span. */
void rd_rate_window_set_span (RdRateWindow * window, gint64 span_ns);
/** Forgets what is older than the span. @now never goes back. */
void rd_rate_window_advance (RdRateWindow * window, gint64 now);
/** Bits that will leave between @from and @to slots of time from now. */
gint64 rd_rate_window_leaving (const RdRateWindow * window, guint from, guint to);
/** Counts @bits (a correction may be negative) at the time of the last advance. */
void rd_rate_window_add (RdRateWindow * window, gint64 bits);

G_END_DECLS
