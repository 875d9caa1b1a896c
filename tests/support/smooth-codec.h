/* A codec that tests can follow in double precision: v = scale * x + offset * (1 + feature), y = v + level / 100, bits = sum of log2 (1 + v^2). */
#pragma once
#include "codec/training/trainable.h"
#include "tests/support/tiny-model.h"

G_BEGIN_DECLS

typedef struct
{
  RdTrainable base;             /* parameters "test.scale", "test.offset" */
  float values[2 * ST_TINY_HIDDEN];     /* scale, offset */
  gboolean broken;              /* bits are not finite */
} RdTestCodec;

/** Random values. */
RdTestCodec *rd_test_codec_new (void);
/** Frees the codec whose base it is. */
void rd_test_codec_free (RdTrainable * codec);

G_END_DECLS
