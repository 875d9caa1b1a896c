/* The source's side of a session. */
#include "elements/tokensrc/gstrdconversation.h"
#include <string.h>

/* Ids that go out in one regime. */
typedef struct
{
  GArray *ids;
  guint sent;
  gboolean step, sample;
} Run;

static void
run_free (gpointer data)
{
  Run *run = data;

  g_array_unref (run->ids);
  g_free (run);
}

static void
add_run (GstRdConversation * c, const gint32 * ids, guint n, gboolean step,
    gboolean sample)
{
  if (n == 0)
    return;
  Run *run = g_new0 (Run, 1);
  run->ids = g_array_sized_new (FALSE, FALSE, sizeof (gint32), n);
  g_array_append_vals (run->ids, ids, n);
  run->step = step;
  run->sample = sample;
  g_queue_push_tail (&c->runs, run);
}

static void
drop_runs (GstRdConversation * c)
{
  g_queue_clear_full (&c->runs, run_free);
}

void
gst_rd_conversation_init (GstRdConversation * c, guint chunk_tokens)
{
  memset (c, 0, sizeof *c);
  g_queue_init (&c->runs);
  c->chunk_tokens = chunk_tokens;
}

void
gst_rd_conversation_clear (GstRdConversation * c)
{
  drop_runs (c);
}

static gboolean
owes_end (const GstRdConversation * c, gint32 end_of_turn)
{
  return end_of_turn >= 0 && c->position > 0 && c->finish != RD_FINISH_EOS;
}

guint
gst_rd_conversation_owed (const GstRdConversation * c, gint32 end_of_turn)
{
  return (c->has_last ? 1 : 0) + (owes_end (c, end_of_turn) ? 1 : 0);
}

void
gst_rd_conversation_turn (GstRdConversation * c, const gint32 * ids, guint n,
    gint32 end_of_turn)
{
  g_autoptr (GArray) prompt =
      g_array_sized_new (FALSE, FALSE, sizeof (gint32), n + 1);

  if (owes_end (c, end_of_turn))
    g_array_append_val (prompt, end_of_turn);
  g_array_append_vals (prompt, ids, n);
  c->old_has_last = c->has_last;
  c->old_last = c->last;
  c->old_finish = c->finish;
  c->turn_start = c->position;
  if (c->has_last)
    add_run (c, &c->last, 1, TRUE, FALSE);
  add_run (c, (const gint32 *) prompt->data, prompt->len, FALSE, TRUE);
  c->has_last = FALSE;
  c->open = TRUE;
  c->awaiting = FALSE;
  c->prompt_tokens = n;
  c->answer_tokens = 0;
}

void
gst_rd_conversation_window (GstRdConversation * c, const gint32 * ids, guint n)
{
  if (c->position > 0)
    c->epoch++;
  c->position = 0;
  add_run (c, ids, n, FALSE, FALSE);
}

gboolean
gst_rd_conversation_next (GstRdConversation * c, GstRdChunk * chunk)
{
  Run *run = g_queue_peek_head (&c->runs);

  if (run && run->sent == run->ids->len) {
    run_free (g_queue_pop_head (&c->runs));
    run = g_queue_peek_head (&c->runs);
  }
  if (!run)
    return FALSE;
  guint rest = run->ids->len - run->sent;
  chunk->epoch = c->epoch;
  chunk->position = c->position;
  chunk->ids = &g_array_index (run->ids, gint32, run->sent);
  chunk->n = run->step ? rest : MIN (rest, c->chunk_tokens);
  chunk->step = run->step;
  chunk->sample = run->sample && chunk->n == rest;
  run->sent += chunk->n;
  c->position += chunk->n;
  c->awaiting = chunk->sample;
  return TRUE;
}

static void
finish_turn (GstRdConversation * c, RdFinish finish)
{
  c->finish = finish;
  c->open = FALSE;
  c->awaiting = FALSE;
  drop_runs (c);
}

/* The turn ends without a token: nothing is owed, and what of the prompt did not fit has not been run. */
static GstRdReceived
finish_alone (GstRdConversation * c, guint32 position, RdFinish finish)
{
  if (position < c->turn_start || position > c->position)
    return GST_RD_RECEIVED_NOTHING;
  /* A full context: the token that did not fit is known all the same. */
  c->has_last = c->answer_tokens > 0 && position < c->position;
  c->at_complete = c->last;
  c->complete = position;
  c->position = position;
  finish_turn (c, finish);
  return GST_RD_RECEIVED_FINISH;
}

GstRdReceived
gst_rd_conversation_receive (GstRdConversation * c, guint32 epoch,
    guint32 position, const gint32 * ids, guint n_ids, RdFinish finish,
    gint64 now, guint * fresh)
{
  *fresh = 0;
  if (!c->open || epoch != c->epoch)
    return GST_RD_RECEIVED_NOTHING;
  if (n_ids == 0)
    return finish == RD_FINISH_NONE ? GST_RD_RECEIVED_NOTHING :
        finish_alone (c, position, finish);
  if (position > c->position)
    return GST_RD_RECEIVED_GAP;
  guint known = c->position - position;
  if (!c->awaiting || known >= n_ids)
    return GST_RD_RECEIVED_NOTHING;
  *fresh = n_ids - known;
  ids += known;
  if (c->answer_tokens == 0)
    c->first_time = now;
  c->last_time = now;
  c->answer_tokens += *fresh;
  c->complete = c->position;
  c->at_complete = ids[0];
  c->last = ids[*fresh - 1];
  if (finish == RD_FINISH_NONE) {
    c->has_last = FALSE;
    c->awaiting = FALSE;
    add_run (c, ids, *fresh, TRUE, TRUE);
    return GST_RD_RECEIVED_TOKENS;
  }
  finish_turn (c, finish);
  add_run (c, ids, *fresh - 1, TRUE, FALSE);
  c->has_last = TRUE;
  return GST_RD_RECEIVED_FINISH;
}

void
gst_rd_conversation_rewind (GstRdConversation * c)
{
  if (c->open && c->answer_tokens > 0) {
    c->has_last = TRUE;
    c->last = c->at_complete;
    c->finish = RD_FINISH_STOP;
  } else if (!c->open) {
    c->last = c->at_complete;
  } else {
    c->has_last = c->old_has_last;
    c->last = c->old_last;
    c->finish = c->old_finish;
    c->complete = c->turn_start;
  }
  c->epoch++;
  c->position = c->complete;
  c->open = FALSE;
  c->awaiting = FALSE;
  drop_runs (c);
}
