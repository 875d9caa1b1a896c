/* A codec for tests of rate control: its payloads are as long as a real one's at that quality might be, and hold nothing else (lossless: the
 * values). A program that is linked with it (test-codec.h) gets it as codec=fake. */
#pragma once
#include "codec/codec.h"

G_BEGIN_DECLS

#define FAKE_CODEC_VALUES 576   /* that its tokens behave as if they had */
#define FAKE_CODEC_SPLIT 3      /* that it is made for */

/** Bits of an ordinary token: those of Gaussian values of very different spread, at a step that spans @octaves from quality 0 to 100. */
gdouble fake_codec_bits (gdouble quality, gdouble octaves);
/** A number with mean 0 and variance 1, the same for the same @seed. */
gdouble fake_codec_noise (guint64 seed);

/** What the codecs of this process were asked for. */
typedef struct
{
  guint encodes;
  RdSettings settings;          /* of the last one */
} FakeCodecSeen;
extern FakeCodecSeen fake_codec_seen;

G_END_DECLS
