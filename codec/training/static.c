#include "codec/training/static-private.h"

#include <math.h>
#include <string.h>

#include "models/model.h"

/* In the middle of the levels that matter. */
#define MIDDLE_LEVEL 48
#define OCTAVE 256              /* of a codec file's logarithms */
/* Of the learning rate. A matrix' entries are of rows or columns that have about unit variance. */
#define MATRIX_RATE 1.0f
#define MEAN_RATE 10.0f
#define OCTAVES_RATE 10.0f

static double
one_over (double x)
{
  return x > 0 && isfinite (1 / x) ? 1 / x : 1;
}

/* ---- units ---- */

static void
find_units (RdStatic * codec)
{
  const RdLearnedParameters *p = codec->start;
  const RdLearnedSet *set = &p->set[codec->set];
  const gsize d = p->hidden_size;

  codec->unit =
      (float) exp2 ((double) (p->coarsest - 16 * MIDDLE_LEVEL) / OCTAVE);
  for (gsize j = 0; j < d; j++)
    codec->coefficient[j] = (float) exp2 (-(double) set->scale[j] / OCTAVE);
  for (gsize i = 0; i < d; i++) {
    double variance = 0, error = 0;

    for (gsize j = 0; j < d; j++) {
      const double s = set->synthesis[j * d + i];
      const double deviation = s / codec->coefficient[j];

      variance += deviation * deviation;
      error += s * s;
    }
    codec->channel[i] = (float) one_over (sqrt (variance));
    codec->error[i] = (float) (1 / one_over (codec->unit * sqrt (error / 12)));
  }
}

/* As if each feature explained the same share of every channel. */
static void
find_feature_units (RdStatic * codec)
{
  const float *readout = codec->start->set[codec->set].readout;
  const gsize d = codec->start->hidden_size;

  for (gsize f = 0; f < d; f++) {
    double sum = 0;

    for (gsize i = 0; i < d; i++) {
      const double part = (double) readout[f * d + i] * codec->channel[i];

      sum += part * part;
    }
    codec->feature[f] = (float) (1 / one_over (sqrt (sum)));
  }
}

static void
set_values (RdStatic * codec)
{
  const RdLearnedParameters *p = codec->start;
  const RdLearnedSet *set = &p->set[codec->set];
  const RdStaticLayout *at = &codec->layout;
  const gsize d = p->hidden_size;
  float *values = codec->values;

  for (gsize i = 0; i < d; i++) {
    values[at->mean + i] = set->mean[i] / codec->error[i];
    values[at->scale + i] = (float) set->scale[i] / OCTAVE;
    for (gsize j = 0; j < d; j++) {
      values[at->analysis + i * d + j] =
          set->analysis[i * d + j] / (codec->channel[i] * codec->unit);
      values[at->synthesis + j * d + i] = set->synthesis[j * d + i]
          / (codec->coefficient[j] * codec->error[i]);
      if (codec->set == 1)
        values[at->readout + j * d + i] = set->readout[j * d + i]
            / (codec->feature[j] * codec->error[i]);
    }
  }
  for (gsize i = 0; i < p->n_knots * d; i++)
    values[at->steps + i] = (float) set->steps[i] / OCTAVE;
}

/* ---- making one ---- */

void
rd_static_free (RdTrainable * trainable)
{
  RdStatic *codec = (RdStatic *) trainable;

  if (codec == NULL)
    return;
  rd_learned_parameters_free (codec->start);
  rd_learned_model_free (codec->model);
  g_free (codec->channel);
  g_free (codec->error);
  g_free (codec->coefficient);
  g_free (codec->feature);
  g_free (codec->values);
  g_free (codec->bits);
  if (codec->scales != NULL)
    codec->scales->klass->free (codec->scales);
  g_free (codec);
}

static void
lay_out (RdStatic * codec)
{
  const gsize d = codec->start->hidden_size, k = codec->start->n_knots;
  RdStaticLayout *at = &codec->layout;

  at->analysis = 0;
  at->synthesis = d * d;
  at->mean = 2 * d * d;
  at->scale = at->mean + d;
  at->steps = at->scale + d;
  at->readout = at->steps + k * d;
  at->n = at->readout + (codec->set == 1 ? d * d : 0);
}

static gboolean
take_memory (RdStatic * codec, GError ** error)
{
  const gsize d = codec->start->hidden_size;

  lay_out (codec);
  codec->channel = g_new (float, d);
  codec->error = g_new (float, d);
  codec->coefficient = g_new (float, d);
  codec->feature = g_new0 (float, d);
  codec->bits = g_malloc_n (RD_LEARNED_SCALES, sizeof (*codec->bits));
  codec->values = g_try_new (float, codec->layout.n);
  if (codec->values != NULL)
    return TRUE;
  g_set_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_MEMORY,
      "cannot allocate %.0f MiB for a codec that is trained",
      (double) codec->layout.n * sizeof (float) / (1 << 20));
  return FALSE;
}

/* What loaders compute later. */
static gboolean
complete_analysis (RdLearnedSet * set, gsize d, GError ** error)
{
  if (set->analysis != NULL)
    return TRUE;
  set->analysis = g_try_new (gfloat, d * d);
  if (set->analysis != NULL
      && rd_matrix_invert (set->synthesis, d, set->analysis))
    return TRUE;
  g_set_error_literal (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
      "the synthesis of the codec has no inverse");
  return FALSE;
}

static void
find_bits (RdStatic * codec)
{
  const RdTables *tables = codec->model->tables;

  for (guint i = 0; i < RD_LEARNED_SCALES; i++) {
    rd_laplace_init (&codec->laplace[i], i);
    for (gint32 k = 0; k < RD_STATIC_COSTS; k++)
      codec->bits[i][k] =
          (float) (0.5 * (rd_tables_bits (tables, RD_TABLE_SCALAR + i, k)
              + rd_tables_bits (tables, RD_TABLE_SCALAR + i, -k)));
  }
}

static gboolean
check_set (const RdLearnedParameters * start, guint set, GError ** error)
{
  if (set < rd_learned_parameters_n_sets (start))
    return TRUE;
  g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_INPUT,
      "the codec has no set %u", set);
  return FALSE;
}

RdStatic *
rd_static_new_with (const RdTrainableClass * klass,
    const RdLearnedParameters * start, guint set, RdScaleModel * scales,
    GError ** error)
{
  RdStatic *codec = g_new0 (RdStatic, 1);

  codec->base = (RdTrainable) {
  klass, start->hidden_size};
  codec->scales = scales;
  codec->set = set;
  if (!check_set (start, set, error)) {
    rd_static_free (&codec->base);
    return NULL;
  }
  codec->model =
      rd_learned_model_new (rd_learned_parameters_copy (start), error);
  codec->start = rd_learned_parameters_copy (start);
  /* those of a file are not gone on with */
  g_clear_pointer (&codec->start->networks, rd_learned_networks_free);
  if (codec->model == NULL
      || !complete_analysis (&codec->start->set[set], start->hidden_size, error)
      || !take_memory (codec, error)) {
    rd_static_free (&codec->base);
    return NULL;
  }
  find_units (codec);
  if (set == 1)
    find_feature_units (codec);
  set_values (codec);
  find_bits (codec);
  return codec;
}

RdStatic *
rd_static_new (const RdLearnedParameters * start, guint set, GError ** error)
{
  return rd_static_new_with (&rd_static_class, start, set, NULL, error);
}

/* ---- training ---- */

/* Arrays of different sets are of different transforms: one set does not go on with the other's. */
static gsize
add_values (const RdStatic * codec, RdParameters * parameters,
    const gchar * what, gsize at, gsize n, float rate)
{
  g_autofree gchar *name = g_strdup_printf ("%s%s.%s", RD_STATIC_NAME,
      codec->set == 0 ? "" : ".predicted", what);

  return rd_parameters_add (parameters, name, codec->values + at, n, FALSE,
      rate);
}

gsize
rd_static_parameters (RdTrainable * trainable, RdParameters * parameters)
{
  const RdStatic *codec = (const RdStatic *) trainable;
  const RdStaticLayout *at = &codec->layout;
  const gsize d = trainable->hidden_size, k = codec->start->n_knots;
  const gsize first = add_values (codec, parameters, "analysis", at->analysis,
      d * d, MATRIX_RATE);

  add_values (codec, parameters, "synthesis", at->synthesis, d * d,
      MATRIX_RATE);
  add_values (codec, parameters, "mean", at->mean, d, MEAN_RATE);
  add_values (codec, parameters, "scale", at->scale, d, OCTAVES_RATE);
  add_values (codec, parameters, "steps", at->steps, k * d, OCTAVES_RATE);
  if (codec->set == 1)
    add_values (codec, parameters, "readout", at->readout, d * d, MATRIX_RATE);
  if (codec->scales != NULL)
    codec->scales->klass->parameters (codec->scales, parameters);
  return first;
}

static void
limit (float *values, gsize n, float bound)
{
  for (gsize i = 0; i < n; i++)
    values[i] = CLAMP (values[i], -bound, bound);
}

/* To what files may hold. */
void
rd_static_stepped (RdTrainable * trainable)
{
  const RdStatic *codec = (const RdStatic *) trainable;
  const gsize d = trainable->hidden_size;

  limit (codec->values + codec->layout.scale, d,
      (float) RD_LEARNED_MAX_STEP / OCTAVE);
  limit (codec->values + codec->layout.steps, codec->start->n_knots * d,
      (float) RD_LEARNED_MAX_OFFSET / OCTAVE);
  if (codec->scales != NULL)
    codec->scales->klass->stepped (codec->scales);
}

const RdTrainableClass rd_static_class = {
  RD_STATIC_NAME, rd_static_free, rd_static_parameters, rd_static_pass_new,
  rd_static_pass_free, rd_static_forward, rd_static_backward,
  rd_static_stepped
};

/* ---- export ---- */

static gint32
log_units (float octaves)
{
  return (gint32) lrintf (octaves * OCTAVE);
}

void
rd_static_export (const RdStatic * codec, RdLearnedParameters * parameters)
{
  RdLearnedSet *set = &parameters->set[codec->set];
  const RdStaticLayout *at = &codec->layout;
  const gsize d = codec->base.hidden_size, k = codec->start->n_knots;
  const float *values = codec->values;

  g_assert (parameters->hidden_size == d && parameters->n_knots == k);
  parameters->id[0] = '\0';
  g_clear_pointer (&parameters->networks, rd_learned_networks_free);
  if (set->analysis == NULL)
    set->analysis = g_new (gfloat, d * d);
  for (gsize i = 0; i < d; i++) {
    set->mean[i] = values[at->mean + i] * codec->error[i];
    set->scale[i] = log_units (values[at->scale + i]);
    for (gsize j = 0; j < d; j++) {
      set->analysis[i * d + j] = values[at->analysis + i * d + j]
          * (codec->channel[i] * codec->unit);
      set->synthesis[j * d + i] = values[at->synthesis + j * d + i]
          * (codec->coefficient[j] * codec->error[i]);
      if (codec->set == 1)
        set->readout[j * d + i] = values[at->readout + j * d + i]
            * (codec->feature[j] * codec->error[i]);
    }
  }
  for (gsize i = 0; i < k * d; i++)
    set->steps[i] = log_units (values[at->steps + i]);
}
