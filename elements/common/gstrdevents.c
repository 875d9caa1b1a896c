/* Custom events of the session. */
#include "elements/common/gstrdevents.h"
#include <string.h>

#define EVENT_SESSION "rd-session"
#define EVENT_SESSION_END "rd-session-end"
#define EVENT_CANCEL "rd-cancel"
#define EVENT_TOKENS "rd-tokens"
#define EVENT_ERROR "rd-error"
#define EVENT_LEVEL "rd-level"
#define QUERY_WAY_BACK "rd-way-back"

static const GstStructure *
event_structure (GstEvent * event, const gchar * name)
{
  const GstStructure *s = gst_event_get_structure (event);

  return s && gst_structure_has_name (s, name) ? s : NULL;
}

/* Only the fields that are wished for are in the structure; their presence is the mask. */
static void
wishes_to_structure (const RdWishes * w, GstStructure * s)
{
  const struct
  {
    guint32 bit;
    const gchar *field;
    gfloat value;
  } floats[] = {
    {RD_WISH_TEMPERATURE, "temperature", w->temperature},
    {RD_WISH_TOP_P, "top-p", w->top_p},
    {RD_WISH_MIN_P, "min-p", w->min_p},
    {RD_WISH_REPEAT_PENALTY, "repeat-penalty", w->repeat_penalty},
    {RD_WISH_PRESENCE_PENALTY, "presence-penalty", w->presence_penalty},
    {RD_WISH_FREQUENCY_PENALTY, "frequency-penalty", w->frequency_penalty},
  };

  for (guint i = 0; i < G_N_ELEMENTS (floats); i++) {
    if (w->mask & floats[i].bit)
      gst_structure_set (s, floats[i].field, G_TYPE_FLOAT,
          (gdouble) floats[i].value, NULL);
  }
  if (w->mask & RD_WISH_TOP_K)
    gst_structure_set (s, "top-k", G_TYPE_INT, w->top_k, NULL);
  if (w->mask & RD_WISH_REPEAT_LAST_N)
    gst_structure_set (s, "repeat-last-n", G_TYPE_INT, w->repeat_last_n, NULL);
  if (w->mask & RD_WISH_SEED)
    gst_structure_set (s, "seed", G_TYPE_UINT64, w->seed, NULL);
  if (w->mask & RD_WISH_MAX_TOKENS)
    gst_structure_set (s, "max-tokens", G_TYPE_UINT, w->max_tokens, NULL);
  if (w->mask & RD_WISH_IGNORE_EOS)
    gst_structure_set (s, "ignore-eos", G_TYPE_BOOLEAN, w->ignore_eos, NULL);
  if (w->mask & RD_WISH_STOP)
    gst_structure_set (s, "stop", G_TYPE_STRV, w->stop, NULL);
}

static void
wishes_from_structure (RdWishes * w, const GstStructure * s)
{
  const struct
  {
    guint32 bit;
    const gchar *field;
    GType type;
    gpointer value;
  } fields[] = {
    {RD_WISH_TEMPERATURE, "temperature", G_TYPE_FLOAT, &w->temperature},
    {RD_WISH_TOP_P, "top-p", G_TYPE_FLOAT, &w->top_p},
    {RD_WISH_MIN_P, "min-p", G_TYPE_FLOAT, &w->min_p},
    {RD_WISH_REPEAT_PENALTY, "repeat-penalty", G_TYPE_FLOAT,
        &w->repeat_penalty},
    {RD_WISH_PRESENCE_PENALTY, "presence-penalty", G_TYPE_FLOAT,
        &w->presence_penalty},
    {RD_WISH_FREQUENCY_PENALTY, "frequency-penalty", G_TYPE_FLOAT,
        &w->frequency_penalty},
    {RD_WISH_TOP_K, "top-k", G_TYPE_INT, &w->top_k},
    {RD_WISH_REPEAT_LAST_N, "repeat-last-n", G_TYPE_INT, &w->repeat_last_n},
    {RD_WISH_SEED, "seed", G_TYPE_UINT64, &w->seed},
    {RD_WISH_MAX_TOKENS, "max-tokens", G_TYPE_UINT, &w->max_tokens},
    {RD_WISH_IGNORE_EOS, "ignore-eos", G_TYPE_BOOLEAN, &w->ignore_eos},
    {RD_WISH_STOP, "stop", G_TYPE_STRV, &w->stop},
  };

  memset (w, 0, sizeof *w);
  for (guint i = 0; i < G_N_ELEMENTS (fields); i++) {
    if (gst_structure_get (s, fields[i].field, fields[i].type, fields[i].value,
            NULL))
      w->mask |= fields[i].bit;
  }
}

GstEvent *
gst_rd_event_new_session (guint32 session, const gchar * tokenizer_id,
    const RdWishes * wishes)
{
  GstStructure *s = gst_structure_new (EVENT_SESSION,
      "session", G_TYPE_UINT, session,
      "tokenizer-id", G_TYPE_STRING, tokenizer_id ? tokenizer_id : "", NULL);

  if (wishes)
    wishes_to_structure (wishes, s);
  return gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM, s);
}

gboolean
gst_rd_event_parse_session (GstEvent * event, guint32 * session,
    const gchar ** tokenizer_id, RdWishes * wishes)
{
  const GstStructure *s = event_structure (event, EVENT_SESSION);
  guint32 number;

  if (!s || !gst_structure_get_uint (s, "session", &number))
    return FALSE;
  if (session)
    *session = number;
  if (tokenizer_id) {
    *tokenizer_id = gst_structure_get_string (s, "tokenizer-id");
    if (!*tokenizer_id)
      *tokenizer_id = "";
  }
  if (wishes)
    wishes_from_structure (wishes, s);
  return TRUE;
}

GstEvent *
gst_rd_event_new_session_end (guint32 session)
{
  return gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
      gst_structure_new (EVENT_SESSION_END, "session", G_TYPE_UINT, session,
          NULL));
}

gboolean
gst_rd_event_parse_session_end (GstEvent * event, guint32 * session)
{
  const GstStructure *s = event_structure (event, EVENT_SESSION_END);

  return s && gst_structure_get_uint (s, "session", session);
}

GstEvent *
gst_rd_event_new_cancel (guint32 session, guint32 epoch, guint32 position)
{
  return gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
      gst_structure_new (EVENT_CANCEL, "session", G_TYPE_UINT, session,
          "epoch", G_TYPE_UINT, epoch, "position", G_TYPE_UINT, position,
          NULL));
}

gboolean
gst_rd_event_parse_cancel (GstEvent * event, guint32 * session,
    guint32 * epoch, guint32 * position)
{
  const GstStructure *s = event_structure (event, EVENT_CANCEL);

  return s && gst_structure_get (s, "session", G_TYPE_UINT, session,
      "epoch", G_TYPE_UINT, epoch, "position", G_TYPE_UINT, position, NULL);
}

GstEvent *
gst_rd_event_new_tokens (guint32 session, guint32 epoch, guint32 position,
    const gint32 * ids, guint n_ids, RdFinish finish)
{
  g_autoptr (GBytes) bytes = g_bytes_new (ids, sizeof (gint32) * (gsize) n_ids);

  return gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM,
      gst_structure_new (EVENT_TOKENS, "session", G_TYPE_UINT, session,
          "epoch", G_TYPE_UINT, epoch, "position", G_TYPE_UINT, position,
          "ids", G_TYPE_BYTES, bytes, "finish", G_TYPE_UINT, (guint) finish,
          NULL));
}

gboolean
gst_rd_event_parse_tokens (GstEvent * event, guint32 * session,
    guint32 * epoch, guint32 * position, const gint32 ** ids, guint * n_ids,
    RdFinish * finish)
{
  const GstStructure *s = event_structure (event, EVENT_TOKENS);
  const GValue *value = s ? gst_structure_get_value (s, "ids") : NULL;
  guint f;

  if (!value || !G_VALUE_HOLDS (value, G_TYPE_BYTES)
      || !gst_structure_get (s, "session", G_TYPE_UINT, session,
          "epoch", G_TYPE_UINT, epoch, "position", G_TYPE_UINT, position,
          "finish", G_TYPE_UINT, &f, NULL) || f > RD_FINISH_CONTEXT)
    return FALSE;
  gsize size = 0;
  GBytes *bytes = g_value_get_boxed (value);
  *ids = bytes ? g_bytes_get_data (bytes, &size) : NULL;
  if (size % sizeof (gint32) != 0 || size / sizeof (gint32) > G_MAXUINT)
    return FALSE;
  *n_ids = (guint) (size / sizeof (gint32));
  *finish = (RdFinish) f;
  return TRUE;
}

const gchar *
gst_rd_finish_name (RdFinish finish)
{
  static const gchar *const names[] = {
    [RD_FINISH_NONE] = "none",
    [RD_FINISH_EOS] = "eos",
    [RD_FINISH_STOP] = "stop",
    [RD_FINISH_LENGTH] = "length",
    [RD_FINISH_CONTEXT] = "context",
  };

  return (guint) finish < G_N_ELEMENTS (names) ? names[finish] : "unknown";
}

GstEvent *
gst_rd_event_new_error (guint32 session, const gchar * message)
{
  return gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM,
      gst_structure_new (EVENT_ERROR, "session", G_TYPE_UINT, session,
          "message", G_TYPE_STRING, message ? message : "", NULL));
}

gboolean
gst_rd_event_parse_error (GstEvent * event, guint32 * session,
    const gchar ** message)
{
  const GstStructure *s = event_structure (event, EVENT_ERROR);

  if (!s || !gst_structure_get_uint (s, "session", session))
    return FALSE;
  *message = gst_structure_get_string (s, "message");
  return *message != NULL;
}

GstEvent *
gst_rd_event_new_level (guint level)
{
  return gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM,
      gst_structure_new (EVENT_LEVEL, "level", G_TYPE_UINT, level, NULL));
}

gboolean
gst_rd_event_parse_level (GstEvent * event, guint * level)
{
  const GstStructure *s = event_structure (event, EVENT_LEVEL);

  return s && gst_structure_get_uint (s, "level", level);
}

GstQuery *
gst_rd_query_new_way_back (void)
{
  return gst_query_new_custom (GST_QUERY_CUSTOM,
      gst_structure_new_empty (QUERY_WAY_BACK));
}

gboolean
gst_rd_query_is_way_back (const GstQuery * query)
{
  const GstStructure *s = gst_query_get_structure ((GstQuery *) query);

  return s && gst_structure_has_name (s, QUERY_WAY_BACK);
}

GstQuery *
gst_rd_query_new_level (void)
{
  return gst_query_new_custom (GST_QUERY_CUSTOM,
      gst_structure_new_empty (EVENT_LEVEL));
}

gboolean
gst_rd_query_is_level (const GstQuery * query)
{
  const GstStructure *s = gst_query_get_structure ((GstQuery *) query);

  return s && gst_structure_has_name (s, EVENT_LEVEL);
}

void
gst_rd_query_set_level (GstQuery * query, guint level)
{
  gst_structure_set (gst_query_writable_structure (query), "level",
      G_TYPE_UINT, level, NULL);
}

gboolean
gst_rd_query_parse_level (const GstQuery * query, guint * level)
{
  return gst_rd_query_is_level (query)
      && gst_structure_get_uint (gst_query_get_structure ((GstQuery *) query),
      "level", level);
}
