/* Prompt formats of common chat families. Sources: each family's published tokenizer_config.json. */
#include "models/tokenizer/chat.h"

#include <string.h>

#include "models/tokenizer/tokenizer-private.h"

/* In marks, the tokenizer's own bos and eos tokens. */
#define BOS "{bos}"
#define EOS "{eos}"

/* First turn: first [system_open SYSTEM system_close] user_open TEXT answer. Later: next user_open TEXT answer. */
struct _StChatFormat
{
  const gchar *name;
  const gchar *default_system;
  const gchar *first;
  const gchar *next;
  const gchar *system_open;
  const gchar *system_close;
  const gchar *user_open;
  const gchar *answer;
  const gchar *end_of_turn;
  gboolean trim;
};

#define CHATML(format_name, system) { \
    format_name, system, "", "\n", "<|im_start|>system\n", "<|im_end|>\n", \
    "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", \
    "<|im_end|>", FALSE }

static const StChatFormat formats[] = {
  CHATML ("chatml", "You are a helpful AI assistant named SmolLM, trained by "
      "Hugging Face"),
  CHATML ("qwen2", "You are a helpful assistant."),
  CHATML ("qwen2.5", "You are Qwen, created by Alibaba Cloud. You are a "
      "helpful assistant."),
  CHATML ("chatml-bare", ""),
  {"llama2", "", "[INST] ", BOS "[INST] ", "<<SYS>>\n", "\n<</SYS>>\n\n", "",
      " [/INST]", EOS, TRUE},
  {"llama3", "", "", "",
        "<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>",
        "<|start_header_id|>user<|end_header_id|>\n\n",
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
      "<|eot_id|>", TRUE},
  {"gemma", "", "<start_of_turn>user\n", "\n<start_of_turn>user\n", "", "\n\n",
        "", "<end_of_turn>\n<start_of_turn>model\n", "<end_of_turn>",
      TRUE},
  {"phi3", "", "", "\n", "<|system|>\n", "<|end|>\n", "<|user|>\n",
      "<|end|>\n<|assistant|>\n", "<|end|>", FALSE},
  {"zephyr", "", "", "\n", "<|system|>\n", EOS "\n", "<|user|>\n",
      EOS "\n<|assistant|>\n", EOS, FALSE},
  {"mistral", "", "[INST] ", "[INST] ", "", "\n\n", "", "[/INST]", EOS, FALSE},
  {"none", "", "", "", "", "\n\n", "", "", NULL, FALSE},
};

/* The first row whose marks are all in the template decides. */
static const struct
{
  const gchar *mark;
  const gchar *other_mark;
  const gchar *name;            /* NULL: a family that only looks like a known one */
} marks[] = {
  {"<|im_start|>", "<|im_sep|>", NULL},
  {"<|im_start|>", "<end_of_utterance>", NULL},
  {"<|im_start|>", "named SmolLM", "chatml"},
  {"<|im_start|>", "You are Qwen, created by Alibaba Cloud", "qwen2.5"},
  {"<|im_start|>", "You are a helpful assistant", "qwen2"},
  {"<|im_start|>", "", "chatml-bare"},
  {"[INST]", "[SYSTEM_PROMPT]", NULL},
  {"[INST]", "<<SYS>>", "llama2"},
  {"[INST]", "", "mistral"},
  {"<|start_header_id|>", "<|end_header_id|>", "llama3"},
  {"<start_of_turn>", "", "gemma"},
  {"<|assistant|>", "<|end|>", "phi3"},
  {"'<|user|>\n' + message['content'] + eos_token", "", "zephyr"},
  {"'<|user|>\\n' + message['content'] + eos_token", "", "zephyr"},
};

const StChatFormat *
st_chat_find (const gchar * name)
{
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    if (strcmp (formats[i].name, name) == 0)
      return &formats[i];
  }
  return NULL;
}

const StChatFormat *
st_chat_detect (const gchar * chat_template)
{
  if (chat_template == NULL)
    return NULL;
  for (guint i = 0; i < G_N_ELEMENTS (marks); i++) {
    if (strstr (chat_template, marks[i].mark)
        && strstr (chat_template, marks[i].other_mark))
      return marks[i].name ? st_chat_find (marks[i].name) : NULL;
  }
  return NULL;
}

const gchar *
st_chat_name (const StChatFormat * format)
{
  return format->name;
}

const gchar *const *
st_chat_names (void)
{
  static const gchar *names[G_N_ELEMENTS (formats) + 1];
  static gsize done = 0;

  if (g_once_init_enter (&done)) {
    for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
      names[i] = formats[i].name;
    g_once_init_leave (&done, 1);
  }
  return names;
}

/* A turn being written: ids so far, and the plain text since the last special token. */
typedef struct
{
  StTokenizer *tokenizer;
  GArray *ids;
  GString *plain;
} Writer;

static gboolean
write_plain (Writer * w, GError ** error)
{
  gboolean ok = st_tokenizer_encode (w->tokenizer, w->plain->str,
      w->plain->len, FALSE, w->ids, error);

  g_string_truncate (w->plain, 0);
  return ok;
}

static gboolean
write_token (Writer * w, gint32 id, GError ** error)
{
  if (!write_plain (w, error))
    return FALSE;
  if (id >= 0)
    g_array_append_val (w->ids, id);
  return TRUE;
}

/* A mark's special tokens become ids. Its other text waits for what follows, because words may go on. */
static gboolean
write_mark (Writer * w, const gchar * mark, GError ** error)
{
  while (*mark != '\0') {
    StSpecialMatch match;
    gsize len = 1 + strcspn (mark + 1, "{");

    if (g_str_has_prefix (mark, BOS) || g_str_has_prefix (mark, EOS)) {
      gint32 id = g_str_has_prefix (mark, BOS)
          ? st_tokenizer_bos (w->tokenizer) : st_tokenizer_eos (w->tokenizer);

      if (!write_token (w, id, error))
        return FALSE;
      mark += strlen (BOS);
      continue;
    }
    if (!st_tokenizer_next_special (w->tokenizer, mark, len, TRUE, &match)) {
      g_string_append_len (w->plain, mark, (gssize) len);
      mark += len;
      continue;
    }
    g_string_append_len (w->plain, mark, (gssize) match.at);
    if (!write_token (w, match.id, error))
      return FALSE;
    mark += match.at + match.len;
  }
  return TRUE;
}

static void
write_text (Writer * w, const gchar * text, gsize len, gboolean trim)
{
  while (trim && len > 0 && g_ascii_isspace (*text)) {
    text++;
    len--;
  }
  while (trim && len > 0 && g_ascii_isspace (text[len - 1]))
    len--;
  g_string_append_len (w->plain, text, (gssize) len);
}

static gboolean
write_turn (Writer * w, const StChatFormat * format, const gchar * system,
    const gchar * text, gsize len, GError ** error)
{
  if (!write_mark (w, system ? format->first : format->next, error))
    return FALSE;
  if (system && *system) {
    if (!write_mark (w, format->system_open, error))
      return FALSE;
    write_text (w, system, strlen (system), format->trim);
    if (!write_mark (w, format->system_close, error))
      return FALSE;
  }
  if (!write_mark (w, format->user_open, error))
    return FALSE;
  write_text (w, text, len, format->trim);
  return write_mark (w, format->answer, error) && write_plain (w, error);
}

gboolean
st_chat_turn (const StChatFormat * format, StTokenizer * tokenizer,
    gboolean first, const gchar * system, const gchar * text, gsize len,
    GArray * ids, GError ** error)
{
  g_autoptr (GString) plain = g_string_new (NULL);
  Writer writer = { tokenizer, ids, plain };
  guint before = ids->len;

  if (!first)
    system = NULL;
  else if (system == NULL)
    system = format->default_system;
  if (!write_turn (&writer, format, system, text, len, error)) {
    g_array_set_size (ids, before);
    return FALSE;
  }
  return TRUE;
}

gint32
st_chat_end_of_turn (const StChatFormat * format, StTokenizer * tokenizer)
{
  if (format->end_of_turn == NULL)
    return -1;
  if (strcmp (format->end_of_turn, EOS) == 0)
    return st_tokenizer_eos (tokenizer);
  return st_tokenizer_find (tokenizer, format->end_of_turn);
}
