/* What the tests of rddecoder share. */
#pragma once
#include "elements/rddecoder/gstrddecoder.h"
#include "elements/rdencoder/gstrdencoder.h"
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdmeta.h"
#include "tests/support/virtual-head.h"
#include "tests/support/wire-frames.h"
#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>
#include <gst/net/gstnetaddressmeta.h>
#include <string.h>

#define HIDDEN 8
#define STATES "application/x-rd-states, stream-format=packet"

typedef struct
{
  GstElement *d;
  GstHarness *h;                /* sink and src of the decoder */
  GstHarness *feedback;         /* or NULL */
  GstBus *bus;
  guint ended;                  /* rd-session-end events seen */
  gboolean eos;
} Fixture;

void fixture_init (Fixture * f, gboolean feedback);
void fixture_clear (Fixture * f);
gchar *wait_message (Fixture * f, GstMessageType type);
void expect_message (Fixture * f, GstMessageType type, const gchar * part);
/* Everything the head has to send now goes in, everything that comes back goes to it. */
void exchange (Fixture * f, VirtualHead * head);
/* Exchanges until @count buffers of rows have left the decoder. */
void exchange_until (Fixture * f, VirtualHead * head, guint count);
void look_at_events (Fixture * f);
void exchange_until_ended (Fixture * f, VirtualHead * head, guint count);
/* The rows of @buffer are what the head made, to the last bit of what its codec keeps. */
void check_rows (VirtualHead * head, GstBuffer * buffer, guint32 position, guint32 n);
/* Exchanges and checks rows until position @end; how many buffers they came in. A sample is wanted only at the end of a buffer. */
guint expect_rows (Fixture * f, VirtualHead * head, guint32 begin, guint32 end);
