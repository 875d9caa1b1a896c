/* A codec for tests of token side information: bits of the values xor bits of the features, so only just the same features give the
 * values back. A program that is linked with it (test-codec.h) finds it under the names below. */
#pragma once
#include "codec/codec.h"

G_BEGIN_DECLS

#define SIDE_CODEC_NONE "side-none"     /* made for split 3, without predictor */
#define SIDE_CODEC_EMBEDDING "side-embedding"   /* made for split 2 of any model; 64 values a token */
#define SIDE_CODEC_BLOCKS "side-blocks" /* with a predictor of one block */

/** Rows that were encoded with features, and without, since the start. */
guint side_codec_rows (gboolean features);
/** Id of the model that codecs made from now on are for; 64 hex digits, NULL: any. */
void side_codec_set_model (const gchar * id);

G_END_DECLS
