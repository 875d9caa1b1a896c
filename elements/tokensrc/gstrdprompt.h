/* Text to token ids for one model: raw prompts, chat turns, text to be scored. */
#pragma once
#include <gst/gst.h>
#include "models/tokenizer/chat.h"

G_BEGIN_DECLS

typedef enum { GST_RD_ADD_BOS_AUTO, GST_RD_ADD_BOS_TRUE, GST_RD_ADD_BOS_FALSE } GstRdAddBos;
GType gst_rd_add_bos_get_type (void);

typedef struct
{
  StTokenizer *tokenizer;
  gchar *model_name;
  gchar *chat_template;          /* of the file, may be NULL */
  guint context_length;          /* trained; G_MAXUINT if the file does not say */
  const StChatFormat *chat;      /* NULL = plain text */
} GstRdPrompt;

/** gst_rd_prompt_open: reads the tokenizer and metadata of @path, no tensor. */
gboolean gst_rd_prompt_open (GstRdPrompt * prompt, const gchar * path, GError ** error);
void gst_rd_prompt_close (GstRdPrompt * prompt);

/** gst_rd_prompt_set_chat: @name is a family, "auto", "none", or NULL (auto if @conversation, else none). The error lists the names. */
gboolean gst_rd_prompt_set_chat (GstRdPrompt * prompt, const gchar * name, gboolean conversation, GError ** error);

/** gst_rd_prompt_turn: appends the ids of a turn: BOS on the first one (as @add_bos and the model say), the chat format around the text.
 * Plain text of @trusted origin may hold special tokens by name. */
gboolean gst_rd_prompt_turn (const GstRdPrompt * prompt, const gchar * text, gsize size, gboolean first, gboolean trusted,
    const gchar * system, GstRdAddBos add_bos, GArray * ids, GError ** error);
/** Token that ends an answer, or -1. */
gint32 gst_rd_prompt_end_of_turn (const GstRdPrompt * prompt);
/** BOS that text begins with, or -1; an error if TRUE is asked of a model that has none. */
gboolean gst_rd_prompt_bos (const GstRdPrompt * prompt, GstRdAddBos add_bos, gint32 * bos, GError ** error);

G_END_DECLS
