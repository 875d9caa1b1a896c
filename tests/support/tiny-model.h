/* A tiny model of the llama or the GPT-2 family for tests that need one at once and without network. */
#pragma once
#include <glib.h>
#include "models/gguf/gguf.h"

G_BEGIN_DECLS

#define ST_TINY_HIDDEN 64
#define ST_TINY_BLOCKS 4
#define ST_TINY_HEADS 4
#define ST_TINY_KV_HEADS 2
#define ST_TINY_HEAD_DIM 16
#define ST_TINY_FF 128
#define ST_TINY_CONTEXT 4096
#define ST_TINY_POSITIONS 512   /* learned ones, the context of the GPT-2 family */
#define ST_TINY_VOCAB 320       /* 3 special tokens, 256 bytes, 61 merges */
#define ST_TINY_BYTE_TOKEN 3    /* id of the first byte token */

/** StTinyModelOptions: all zero is the usual one. */
typedef struct
{
  StType type;                  /* of the matrices: F32, F16 or Q8_0; norms are always F32 */
  gboolean untied;              /* an output matrix of its own */
  gboolean gpt2;                /* of that family, with ST_TINY_POSITIONS and as many key heads as query heads */
  gboolean ends;                /* <|im_end|> may be generated greedily; else only text tokens are */
  guint64 seed;
  const gchar *name;            /* general.name */
} StTinyModelOptions;

/** st_tiny_model_write: writes the model to @path. Its weights are pseudo-random, a function of the options alone: the same bytes
 * on every machine. Special tokens: 0 <|endoftext|>, 1 <|im_start|> (bos), 2 <|im_end|> (eos); chat template ChatML. */
gboolean st_tiny_model_write (const gchar * path, const StTinyModelOptions * options, GError ** error);

/** st_tiny_model_temp: writes the model (@options NULL: the usual one) to a new file in the temporary directory, or ends the test
 * program. Returns its path; unlink and free it. */
gchar *st_tiny_model_temp (const StTinyModelOptions * options);

G_END_DECLS
