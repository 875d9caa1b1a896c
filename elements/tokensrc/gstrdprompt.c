/* Text to token ids for one model. */
#include "elements/tokensrc/gstrdprompt.h"
#include <string.h>

GType
gst_rd_add_bos_get_type (void)
{
  static const GEnumValue values[] = {
    {GST_RD_ADD_BOS_AUTO, "As the model says", "auto"},
    {GST_RD_ADD_BOS_TRUE, "Always", "true"},
    {GST_RD_ADD_BOS_FALSE, "Never", "false"},
    {0, NULL, NULL}
  };
  static GType type;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstRdAddBos", values));
  return type;
}

gboolean
gst_rd_prompt_open (GstRdPrompt * prompt, const gchar * path, GError ** error)
{
  memset (prompt, 0, sizeof *prompt);
  if (!path || !*path) {
    g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
        "no model is set; set model to the path of a GGUF file (only its "
        "tokenizer is read)");
    return FALSE;
  }
  g_autoptr (StGguf) gguf = st_gguf_open (path, error);
  if (!gguf)
    return FALSE;
  prompt->tokenizer = st_tokenizer_new (gguf, error);
  if (!prompt->tokenizer)
    return FALSE;
  const gchar *arch = st_gguf_get_string (gguf, "general.architecture");
  const gchar *name = st_gguf_get_string (gguf, "general.name");
  g_autofree gchar *key =
      g_strdup_printf ("%s.context_length", arch ? arch : "");
  guint64 length = 0;
  prompt->context_length = G_MAXUINT;
  if (st_gguf_get_uint (gguf, key, &length) && length > 0 && length < G_MAXUINT)
    prompt->context_length = (guint) length;
  prompt->model_name = name ? g_strdup (name) : g_path_get_basename (path);
  prompt->chat_template =
      g_strdup (st_gguf_get_string (gguf, "tokenizer.chat_template"));
  return TRUE;
}

void
gst_rd_prompt_close (GstRdPrompt * prompt)
{
  g_clear_pointer (&prompt->tokenizer, st_tokenizer_unref);
  g_clear_pointer (&prompt->model_name, g_free);
  g_clear_pointer (&prompt->chat_template, g_free);
}

gboolean
gst_rd_prompt_set_chat (GstRdPrompt * prompt, const gchar * name,
    gboolean conversation, GError ** error)
{
  prompt->chat = NULL;
  if (!name)
    name = conversation ? "auto" : "none";
  if (strcmp (name, "none") == 0)
    return TRUE;
  if (strcmp (name, "auto") == 0)
    prompt->chat = st_chat_detect (prompt->chat_template);
  else
    prompt->chat = st_chat_find (name);
  if (prompt->chat)
    return TRUE;
  g_autofree gchar *names = g_strjoinv (", ", (gchar **) st_chat_names ());
  g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "chat-template=%s: %s; known are %s", name,
      strcmp (name, "auto") == 0 ? "the model's format is not recognised" :
      "there is no such format", names);
  return FALSE;
}

gboolean
gst_rd_prompt_bos (const GstRdPrompt * prompt, GstRdAddBos add_bos,
    gint32 * bos, GError ** error)
{
  *bos = -1;
  if (add_bos == GST_RD_ADD_BOS_FALSE || (add_bos == GST_RD_ADD_BOS_AUTO
          && !st_tokenizer_add_bos (prompt->tokenizer)))
    return TRUE;
  *bos = st_tokenizer_bos (prompt->tokenizer);
  if (*bos >= 0 || add_bos == GST_RD_ADD_BOS_AUTO)
    return TRUE;
  g_set_error (error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS,
      "add-bos=true, but %s names no such token", prompt->model_name);
  return FALSE;
}

gboolean
gst_rd_prompt_turn (const GstRdPrompt * prompt, const gchar * text,
    gsize size, gboolean first, gboolean trusted, const gchar * system,
    GstRdAddBos add_bos, GArray * ids, GError ** error)
{
  gint32 bos = -1;

  if (first && !gst_rd_prompt_bos (prompt, add_bos, &bos, error))
    return FALSE;
  if (bos >= 0)
    g_array_append_val (ids, bos);
  if (prompt->chat)
    return st_chat_turn (prompt->chat, prompt->tokenizer, first, system, text,
        size, ids, error);
  return st_tokenizer_encode (prompt->tokenizer, text, size, trusted, ids,
      error);
}

gint32
gst_rd_prompt_end_of_turn (const GstRdPrompt * prompt)
{
  return prompt->chat ? st_chat_end_of_turn (prompt->chat,
      prompt->tokenizer) : -1;
}
