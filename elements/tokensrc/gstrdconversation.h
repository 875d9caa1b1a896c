/* The source's side of a session: what is sent where, and what has come back. No I/O, no threads: the caller locks. */
#pragma once
#include <glib.h>
#include "codec/wire/frame.h"

G_BEGIN_DECLS

typedef struct
{
  guint32 epoch, position;       /* of the next row to be sent */
  guint chunk_tokens;            /* prompt tokens of a chunk */
  GQueue runs;                   /* what is still to be sent */
  gboolean open;                 /* a turn is in progress */
  gboolean awaiting;             /* all of it is sent, tokens are waited for */
  guint32 complete;              /* positions that every element has run */
  guint32 turn_start;            /* first position of this turn */

  /* The token sampled last: not run yet, the next turn begins with it. */
  gboolean has_last;
  gint32 last;
  gint32 at_complete;            /* the token that stands at `complete`: `last`, or one before it if several came at once */
  RdFinish finish;               /* of the last turn */
  /* The same as this turn found it, for when it is given up. */
  gboolean old_has_last;
  gint32 old_last;
  RdFinish old_finish;

  guint prompt_tokens, answer_tokens;   /* of this turn, or the last one */
  gint64 first_time, last_time;  /* us: first and last token of it */
} GstRdConversation;

/** GstRdChunk: rows for one buffer. */
typedef struct
{
  guint32 epoch, position;
  const gint32 *ids;             /* valid until the next call */
  guint n;
  gboolean step, sample;
} GstRdChunk;

void gst_rd_conversation_init (GstRdConversation * c, guint chunk_tokens);
void gst_rd_conversation_clear (GstRdConversation * c);

/** gst_rd_conversation_turn: begins a turn with the prompt @ids; what the last answer left to be run goes before it, with @end_of_turn
 * (-1 = none) if that answer did not end with one. */
void gst_rd_conversation_turn (GstRdConversation * c, const gint32 * ids, guint n, gint32 end_of_turn);
/** gst_rd_conversation_window: rows from position 0 in a new epoch, nothing sampled. */
void gst_rd_conversation_window (GstRdConversation * c, const gint32 * ids, guint n);
/** Tokens that a turn begun now would add before its prompt. */
guint gst_rd_conversation_owed (const GstRdConversation * c, gint32 end_of_turn);

/** FALSE when there is nothing to be sent. */
gboolean gst_rd_conversation_next (GstRdConversation * c, GstRdChunk * chunk);

typedef enum
{
  GST_RD_RECEIVED_NOTHING,       /* a duplicate, or of another epoch */
  GST_RD_RECEIVED_TOKENS,
  GST_RD_RECEIVED_FINISH,        /* the turn is over (with or without tokens) */
  GST_RD_RECEIVED_GAP,           /* tokens between were lost: a broken peer */
} GstRdReceived;
/** gst_rd_conversation_receive: tokens from the tail. *fresh of the ids (the last ones) are new. */
GstRdReceived gst_rd_conversation_receive (GstRdConversation * c, guint32 epoch, guint32 position, const gint32 * ids, guint n_ids,
    RdFinish finish, gint64 now, guint * fresh);

/** gst_rd_conversation_rewind: gives the turn up and goes back to what every element has run, in a new epoch. */
void gst_rd_conversation_rewind (GstRdConversation * c);

G_END_DECLS
