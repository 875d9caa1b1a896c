/* Bytes from a terminal or a pipe to turns of a conversation. The caller locks. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#define GST_RD_MAX_TURN_BYTES (64u << 20)

typedef struct
{
  gchar *delimiter;              /* "" = one buffer, one turn */
  GString *partial;              /* a turn that is not over */
  GQueue turns;                  /* GString, without the delimiter */
  gsize bytes;                   /* of the turns in the queue */
} GstRdTurns;

void gst_rd_turns_init (GstRdTurns * turns);
void gst_rd_turns_clear (GstRdTurns * turns);
void gst_rd_turns_set_delimiter (GstRdTurns * turns, const gchar * delimiter);
/** Drops everything that waits. */
void gst_rd_turns_flush (GstRdTurns * turns);
/** gst_rd_turns_push: takes bytes as they were read: several turns, parts of one, half characters. FALSE if a turn grows beyond
 * GST_RD_MAX_TURN_BYTES. */
gboolean gst_rd_turns_push (GstRdTurns * turns, const gchar * data, gsize size);
/** The input is over: what has no delimiter yet is the last turn. */
void gst_rd_turns_end (GstRdTurns * turns);
/** The next turn, not empty, or NULL. Free with g_string_free(). */
GString *gst_rd_turns_pop (GstRdTurns * turns);

G_END_DECLS
