/* The other side of a transformertail under test: sends ids to a tail that runs the whole tiny model, and takes what comes back. */
#pragma once
#include "tests/elements/element-tools.h"

G_BEGIN_DECLS

typedef struct
{
  GstHarness *h;
  GstElement *element;
  GstBus *bus;
  GQueue events;                /* upstream custom events */
  gboolean takes;               /* whether the upstream side takes them */
  guint32 position;
} StTail;

/** A greedy tail of the model at @model; @more: further properties. */
void st_tail_start (StTail * tail, const gchar * model, const gchar * more);
void st_tail_stop (StTail * tail);
/** Rows of session 1, epoch 0, at the next position. */
GstFlowReturn st_tail_send (StTail * tail, const gint32 * ids, guint n, GstRdMetaFlags flags);
GstFlowReturn st_tail_send_text (StTail * tail, const gchar * text, GstRdMetaFlags flags);
/** The next token that the tail sent up; -1 if it sent none, or a finish alone. */
gint32 st_tail_pop_token (StTail * tail, RdFinish * finish);
/** Plays the source until the answer is finished. */
RdFinish st_tail_finish_answer (StTail * tail, guint * n);
/** All text so far: ends the stream. */
gchar *st_tail_all_text (StTail * tail);
/** Greedy text of @n tokens after @prompt. */
gchar *st_tail_expected (const gchar * path, const gchar * prompt, guint n);
GstStructure *st_tail_pop_message (StTail * tail, const gchar * name);

G_END_DECLS
