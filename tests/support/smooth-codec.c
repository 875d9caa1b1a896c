#include "tests/support/smooth-codec.h"

#include <math.h>

#define D ST_TINY_HIDDEN

static float
feature_of (const RdTrainableJob * job, gsize i)
{
  return job->features != NULL ? job->features[i] : 0.0f;
}

static float
value_of (const RdTestCodec * codec, const RdTrainableJob * job, gsize i)
{
  return codec->values[i % D] * job->x[i]
      + codec->values[D + i % D] * (1 + feature_of (job, i));
}

void
rd_test_codec_free (RdTrainable * codec)
{
  g_free (codec);
}

static gsize
codec_parameters (RdTrainable * trainable, RdParameters * parameters)
{
  RdTestCodec *codec = (RdTestCodec *) trainable;
  const gsize first = rd_parameters_add (parameters, "test.scale",
      codec->values, D, FALSE, 1.0f);

  rd_parameters_add (parameters, "test.offset", codec->values + D, D, FALSE,
      2.0f);
  return first;
}

static RdTrainablePass *
codec_pass_new (RdTrainable * trainable, gsize max_tokens, GError ** error)
{
  RdTrainablePass *pass = g_new (RdTrainablePass, 1);

  (void) max_tokens;
  (void) error;
  pass->trainable = trainable;
  return pass;
}

static void
codec_pass_free (RdTrainablePass * pass)
{
  g_free (pass);
}

static gboolean
codec_forward (RdTrainablePass * pass, RdTrainableJob * job, GError ** error)
{
  const RdTestCodec *codec = (const RdTestCodec *) pass->trainable;

  (void) error;
  job->bits = 0;
  for (gsize i = 0; i < job->n * D; i++) {
    const double v = value_of (codec, job, i);

    job->y[i] = (float) v + job->level / 100;
    job->bits += log2 (1 + v * v);
  }
  if (codec->broken)
    job->bits = NAN;
  job->rate_bits = job->bits;
  return TRUE;
}

static void
codec_backward (RdTrainablePass * pass, const RdTrainableJob * job,
    double lambda, float *d, float *gradient)
{
  const RdTestCodec *codec = (const RdTestCodec *) pass->trainable;

  for (gsize i = 0; i < job->n * D; i++) {
    const double v = value_of (codec, job, i);
    const double d_v = d[i] + lambda * 2 * v / ((1 + v * v) * G_LN2);

    gradient[i % D] += (float) (d_v * job->x[i]);
    gradient[D + i % D] += (float) (d_v * (1 + feature_of (job, i)));
    d[i] = (float) (d_v * codec->values[i % D]);
  }
}

static void
codec_stepped (RdTrainable * trainable)
{
  (void) trainable;
}

static const RdTrainableClass codec_class = {
  "test", rd_test_codec_free, codec_parameters, codec_pass_new, codec_pass_free,
  codec_forward, codec_backward, codec_stepped
};

RdTestCodec *
rd_test_codec_new (void)
{
  RdTestCodec *codec = g_new0 (RdTestCodec, 1);

  codec->base = (RdTrainable) {
  &codec_class, D};
  for (gsize i = 0; i < D; i++) {
    codec->values[i] = (float) g_test_rand_double_range (0.7, 1.3);
    codec->values[D + i] = (float) g_test_rand_double_range (-0.3, 0.3);
  }
  return codec;
}
