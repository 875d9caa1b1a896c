/* What the tests of rdencoder share. */
#pragma once
#include "elements/rdencoder/gstrdencoder.h"
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdmeta.h"
#include "tests/support/virtual-tail.h"
#include "tests/support/wire-frames.h"
#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>
#include <string.h>

#define HIDDEN 8
#define CAPS "application/x-hidden-states, format=F32LE, hidden-size=8, split-layer=3, vocab-size=100, model-name=test"
#define FEEDBACK "application/x-rd-feedback, version=1"

typedef struct
{
  GstHarness *h;                /* sink and src of the encoder */
  GstHarness *feedback;         /* or NULL */
  GstBus *bus;
} Fixture;

void fixture_init (Fixture * f, const gchar * launch, gboolean feedback);
void fixture_clear (Fixture * f);
GstBuffer *make_rows (guint32 session, guint32 epoch, guint32 position, guint32 n, GstRdMetaFlags flags);
/* The first error or warning on the bus, waited for. */
gchar *wait_message (Fixture * f, GstMessageType type);
void expect_message (Fixture * f, GstMessageType type, const gchar * part);
/* The custom event @name from upstream's view, waited for. */
GstEvent *wait_upstream (Fixture * f, const gchar * name);
void drain_until (Fixture * f, VirtualTail * tail, guint32 position);
