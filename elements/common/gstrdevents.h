/* Custom events of the session (design sections 4 and 7): one constructor and one parser each, so that names and fields stand once. */
#pragma once
#include <gst/gst.h>
#include "codec/wire/frame.h"

G_BEGIN_DECLS

/** rd-session: serialised, downstream, before a session's first buffer (and again after a flush: the same session, not a new one).
 * Fields: session, tokenizer id (hex, 64, or ""), and each wish whose bit is in the mask. */
GstEvent *gst_rd_event_new_session (guint32 session, const gchar * tokenizer_id, const RdWishes * wishes);
/** Any out pointer may be NULL. *tokenizer_id points into the event, *wishes is overwritten: free it with rd_wishes_clear().
 * This and the other parsers: FALSE for any other event. */
gboolean gst_rd_event_parse_session (GstEvent * event, guint32 * session, const gchar ** tokenizer_id, RdWishes * wishes);

/** rd-session-end: serialised, downstream: each element frees that session's KV cache. */
GstEvent *gst_rd_event_new_session_end (guint32 session);
gboolean gst_rd_event_parse_session_end (GstEvent * event, guint32 * session);

/** rd-cancel: serialised, downstream: stop sampling, truncate the session to @position. */
GstEvent *gst_rd_event_new_cancel (guint32 session, guint32 epoch, guint32 position);
gboolean gst_rd_event_parse_cancel (GstEvent * event, guint32 * session, guint32 * epoch, guint32 * position);

/** rd-tokens: upstream: ids sampled by the tail, @position is where ids[0] stands; finish NONE while the turn goes on. A turn's finish
 * comes with its last token or alone (n_ids 0). */
GstEvent *gst_rd_event_new_tokens (guint32 session, guint32 epoch, guint32 position, const gint32 * ids, guint n_ids, RdFinish finish);
/** *ids points into the event. */
gboolean gst_rd_event_parse_tokens (GstEvent * event, guint32 * session, guint32 * epoch, guint32 * position, const gint32 ** ids,
    guint * n_ids, RdFinish * finish);

/** "none", "eos", "stop", "length" or "context", as messages have it. */
const gchar *gst_rd_finish_name (RdFinish finish);

/** Session number of an rd-error that concerns every session of the stream (its caps are refused, the element failed). */
#define GST_RD_ALL_SESSIONS G_MAXUINT32

/** rd-error: upstream: the far side ended the session and says why. Who takes it (tokensrc, rddecoder) returns TRUE and sees to it that
 * the head's user reads @message; the session's later buffers are dropped by the sender of the event. */
GstEvent *gst_rd_event_new_error (guint32 session, const gchar * message);
gboolean gst_rd_event_parse_error (GstEvent * event, guint32 * session, const gchar ** message);

/** rd-level: upstream: rdencoder codes with this level of its codec file from now on (0 .. 127; lossless: 127). transformerhead takes the gate of its
 * adapters from it for the next rows, and passes it on. */
GstEvent *gst_rd_event_new_level (guint level);
gboolean gst_rd_event_parse_level (GstEvent * event, guint * level);

/** The query of the same name, downstream: the level that rdencoder is going to code with. transformerhead asks before its first rows; FALSE (nobody
 * answers): there is no rdencoder, or its codec is no file. */
GstQuery *gst_rd_query_new_level (void);
gboolean gst_rd_query_is_level (const GstQuery * query);
void gst_rd_query_set_level (GstQuery * query, guint level);
/** FALSE if it was not set. */
gboolean gst_rd_query_parse_level (const GstQuery * query, guint * level);

/** rd-way-back: query, downstream: does anybody send rd-tokens for what is asked with SAMPLE? transformertail answers TRUE when it
 * generates, rdencoder TRUE when its `feedback` pad is linked; every other element forwards it, rdencoder without
 * feedback too. FALSE (nobody answers) makes tokensrc end after its prompt instead of waiting. */
GstQuery *gst_rd_query_new_way_back (void);
gboolean gst_rd_query_is_way_back (const GstQuery * query);

G_END_DECLS
