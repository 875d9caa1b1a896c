/* A sliding window over bits, in fixed memory. */
#include "codec/rate/window.h"

#include <string.h>

#define LENGTH (RD_RATE_SLOTS + 1)

void
rd_rate_window_set_span (RdRateWindow * window, gint64 span_ns)
{
  gint64 slot_ns = MAX (span_ns / RD_RATE_SLOTS, 1);
  gint64 now = window->head * window->slot_ns;

  if (slot_ns == window->slot_ns)
    return;
  window->slot_ns = slot_ns;
  window->head = now / slot_ns;
  memset (window->bits, 0, sizeof window->bits);
  window->bits[window->head % LENGTH] = window->sum;
}

void
rd_rate_window_advance (RdRateWindow * window, gint64 now)
{
  gint64 head = now / window->slot_ns;

  if (head - window->head >= (gint64) LENGTH) {
    memset (window->bits, 0, sizeof window->bits);
    window->sum = 0;
    window->head = head;
  }
  while (window->head < head) {
    gint64 *bits = &window->bits[++window->head % LENGTH];

    window->sum -= *bits;
    *bits = 0;
  }
}

gint64
rd_rate_window_leaving (const RdRateWindow * window, guint from, guint to)
{
  gint64 sum = 0;

  /* the oldest stands behind the newest */
  for (guint i = from + 1; i <= MIN (to, LENGTH); i++)
    sum += window->bits[(window->head + i) % LENGTH];
  return sum;
}

void
rd_rate_window_add (RdRateWindow * window, gint64 bits)
{
  window->bits[window->head % LENGTH] += bits;
  window->sum += bits;
}
