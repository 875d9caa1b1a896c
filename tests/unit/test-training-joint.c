/* A model with a codec between two of its blocks: gradients by codec, adapters, gates and weights against finite differences of a second
 * implementation in double precision; what must not change a bit; what is refused. The codec of these tests is smooth. */
#include <math.h>
#include <string.h>

#include "codec/training/joint.h"
#include "codec/training/range.h"
#include "tests/support/exact-weights.h"
#include "tests/support/random-weights.h"
#include "tests/support/slope.h"
#include "tests/support/smooth-codec.h"
#include "tests/support/training-tools.h"

#define D ST_TINY_HIDDEN
#define V ST_TINY_VOCAB
#define STEP 1e-5
#define LIMIT 5e-5              /* of relative errors of derivatives */
#define RANK 3
#define ALPHA 5.0f
#define SPLIT 2
#define MAX_N 40
#define N_KNOTS 3

static const gint32 knots[N_KNOTS] = { 0, 40, 127 };

/* ---- fixture ---- */

typedef struct
{
  StModel *model;
  RdWeights *weights;
  gboolean train_weights;       /* they have moved away from those of the model, whose output head is the teacher's */
  RdWeights *original;
  RdAdapters *adapters;         /* NULL: none */
  RdTestCodec *codec;
  gint32 ids[MAX_N + 1];
  float teacher[MAX_N * D], features[MAX_N * D], x[MAX_N * D];
  RdJoint *joint;
  StDoubleTail *exact, *exact_teacher;
  double *values;               /* (parameters of the joint) */
  double *moves;                /* (2, MAX_N, D) factors of the states behind the embedding and before the codec: 1 */
} Fixture;

static void
fill (float *values, gsize n, double limit)
{
  for (gsize i = 0; i < n; i++)
    values[i] = (float) g_test_rand_double_range (-limit, limit);
}

static gboolean
has_head (const Fixture * f)
{
  return f->adapters != NULL || f->train_weights;
}

static RdJoint *
joint_new (const Fixture * f, guint threads, gboolean recompute)
{
  const RdJointOptions options = { f->weights, f->train_weights, f->adapters,
    &f->codec->base, SPLIT, has_head (f), 3.0f, 0.5f, N_KNOTS, knots, threads,
    recompute
  };
  g_autoptr (GError) error = NULL;
  RdJoint *joint = rd_joint_new (&options, &error);

  g_assert_no_error (error);
  for (guint i = 0; i < N_KNOTS; i++)
    rd_joint_gates (joint)[i] = 0.5f + 0.2f * (float) i;
  return joint;
}

/* Zeros between arrays stay. */
static void
move_weights (RdWeights * weights)
{
  for (gsize i = 0; i < weights->n_values; i++)
    weights->arena.memory[i] *= (float) g_test_rand_double_range (0.8, 1.2);
}

/* @model: NULL: the usual one. @sets: matrices with adapters, NULL: none. */
static void
fixture_init_model (Fixture * f, const StTinyModelOptions * model,
    const guint8 * sets, gboolean train_weights)
{
  const RdAdaptersOptions adapters = { RANK, ALPHA, 3, sets };
  const RdParameters *parameters;

  memset (f, 0, sizeof (*f));
  f->model = rd_test_tiny (model, 0);
  f->weights = rd_weights_new (f->model, MAX_N, NULL);
  f->original = rd_weights_new (f->model, MAX_N, NULL);
  f->train_weights = train_weights;
  if (train_weights)
    move_weights (f->weights);
  if (sets != NULL) {
    f->adapters = rd_adapters_new (st_model_config (f->model), &adapters, NULL);
    fill (f->adapters->arena.memory, f->adapters->arena.n, 0.1);
  }
  f->codec = rd_test_codec_new ();
  for (gsize i = 0; i <= MAX_N; i++)
    f->ids[i] = g_test_rand_int_range (0, V);
  fill (f->teacher, MAX_N * D, 1);
  fill (f->features, MAX_N * D, 1);
  fill (f->x, MAX_N * D, 1);
  f->moves = st_test_ones (2 * MAX_N * D);
  f->joint = joint_new (f, 1, FALSE);
  f->exact = st_double_tail_new (f->model);
  f->exact_teacher = st_double_tail_new (f->model);
  parameters = rd_joint_parameters (f->joint);
  f->values = g_new (double, parameters->n);
  for (guint i = 0; i < rd_parameters_count (parameters); i++) {
    const RdParameter *p = rd_parameters_get (parameters, i);

    for (gsize j = 0; j < p->n; j++)
      f->values[p->offset + j] = p->values[j];
  }
}

static void
fixture_init (Fixture * f, const guint8 * sets, gboolean train_weights)
{
  fixture_init_model (f, NULL, sets, train_weights);
}

static void
fixture_clear (Fixture * f)
{
  st_double_tail_free (f->exact);
  st_double_tail_free (f->exact_teacher);
  rd_joint_free (f->joint);
  rd_test_codec_free (&f->codec->base);
  rd_adapters_free (f->adapters);
  rd_weights_free (f->weights);
  rd_weights_free (f->original);
  st_model_unref (f->model);
  g_free (f->values);
  g_free (f->moves);
}

static RdJointJob
make_job (const Fixture * f, gsize n, RdLoss loss, float level)
{
  return (RdJointJob) {
    .ids = f->ids,.x = f->x,.codec = {.features =
          f->features,.level = level,.frame = 8
    },.target = {.n =
          n,.loss = loss,.labels = f->ids + 1,.teacher =
          f->teacher,.teacher_head =
          f->train_weights ? f->original : NULL,.label_weight =
          0.3f,.teacher_weight = 0.6f
  },.lambda = 0.02,.weight = 1.0};
}

static const RdParameter *
find (const Fixture * f, const gchar * name)
{
  const RdParameters *parameters = rd_joint_parameters (f->joint);

  for (guint i = 0; i < rd_parameters_count (parameters); i++) {
    if (strcmp (rd_parameters_get (parameters, i)->name, name) == 0)
      return rd_parameters_get (parameters, i);
  }
  return NULL;
}

/* ---- the same in double precision ---- */

static double
exact_gate (const Fixture * f, double level)
{
  const double *gates = f->values + find (f, "adapter.gate")->offset;

  for (guint i = 1; i < N_KNOTS; i++) {
    if (level <= knots[i])
      return gates[i - 1] + (gates[i] - gates[i - 1]) * (level - knots[i - 1])
          / (knots[i] - knots[i - 1]);
  }
  return gates[N_KNOTS - 1];
}

/* The model's own matrix and its adapter. The adapters' values come first, in the order of their memory. */
static void
load_matrix (const Fixture * f, guint block, RdMatrix matrix, double gate)
{
  g_autofree gchar *name = rd_matrix_full_name (block, matrix);
  const RdParameter *trained = find (f, name);
  const float *own = f->weights->blocks[block].matrices[matrix];
  float *u, *v;
  gsize n, outputs, inputs;
  double *w = st_double_tail_find (f->exact, name, &n);

  if (!rd_adapters_find (f->adapters, block, matrix, &u, &v))
    return;
  rd_matrix_shape (&f->weights->config, matrix, &outputs, &inputs);
  for (gsize i = 0; i < n; i++) {
    const double *row = f->values + (u - f->adapters->arena.memory)
        + i / inputs * RANK;
    const double *column = f->values + (v - f->adapters->arena.memory)
        + i % inputs;

    w[i] = trained != NULL ? f->values[trained->offset + i] : own[i];
    for (gsize r = 0; r < RANK; r++)
      w[i] += gate * ((double) ALPHA / RANK) * row[r] * column[r * inputs];
  }
}

static double
exact_head (const Fixture * f, const RdTailJob * target, const double *y)
{
  const gsize n = target->n;
  g_autofree double *logp = g_new (double, n * V);
  g_autofree double *teacher = g_new (double, n * V);
  g_autofree double *states = g_new (double, n * D);
  double labels = 0, divergence = 0;

  for (gsize i = 0; i < n * D; i++)
    states[i] = target->teacher[i];
  st_double_tail_head (f->exact, y, n, logp);
  st_double_tail_head (f->exact_teacher, states, n, teacher);
  for (gsize i = 0; i < n; i++)
    labels -= logp[i * V + (gsize) target->labels[i]];
  for (gsize i = 0; i < n * V; i++)
    divergence += exp (teacher[i]) * (teacher[i] - logp[i]);
  if (target->loss == RD_LOSS_LABELS)
    return labels;
  if (target->loss == RD_LOSS_TEACHER)
    return divergence;
  return (double) target->label_weight * labels
      + (double) target->teacher_weight * divergence;
}

/* @distortion, @bits (out, may be NULL): parts of the result. */
static double
exact_loss (const Fixture * f, const RdJointJob * job, double *distortion,
    double *bits)
{
  const gsize n = job->target.n;
  const double level = job->codec.level;
  const double *scale = f->values + find (f, "test.scale")->offset;
  const double *offset = f->values + find (f, "test.offset")->offset;
  const double *embedding = rd_test_load_weights (f->exact,
      rd_joint_parameters (f->joint), f->values, TRUE);
  g_autofree double *x = g_new (double, n * D);
  double sum = 0, loss;

  for (guint i = 0; f->adapters != NULL && i < ST_TINY_BLOCKS * RD_N_MATRICES;
      i++)
    load_matrix (f, i / RD_N_MATRICES, i % RD_N_MATRICES, exact_gate (f,
            level));
  for (gsize i = 0; i < n * D; i++) {
    const gsize at = (gsize) job->ids[i / D] * D + i % D;

    x[i] = !has_head (f) ? job->x[i] : embedding != NULL ? embedding[at] :
        f->weights->embedding[at];
    x[i] *= f->moves[i];
  }
  if (has_head (f))
    st_double_tail_run_blocks (f->exact, 0, SPLIT, x, n, x);
  for (gsize i = 0; i < n * D; i++) {
    const double v = scale[i % D] * x[i] * f->moves[MAX_N * D + i]
        + offset[i % D] * (1 + (double) job->codec.features[i]);

    sum += log2 (1 + v * v);
    x[i] = v + level / 100;
  }
  st_double_tail_run_blocks (f->exact, SPLIT, ST_TINY_BLOCKS, x, n, x);
  loss = exact_head (f, &job->target, x);
  if (distortion != NULL) {
    *distortion = loss;
    *bits = sum;
  }
  return job->weight * (loss + job->lambda * sum);
}

typedef struct
{
  const Fixture *f;
  const RdJointJob *job;
} Loss;

static double
loss_of (gconstpointer user_data)
{
  const Loss *loss = user_data;

  return exact_loss (loss->f, loss->job, NULL, NULL);
}

/* ---- gradients ---- */

static void
run (RdJoint * joint, RdJointJob * jobs, gsize n, float *gradient)
{
  g_autoptr (GError) error = NULL;

  rd_joint_run (joint, jobs, n, gradient, NULL, &error);
  g_assert_no_error (error);
}

/* What an error of the derivatives by @p is measured against: the largest of them; of gates, each of which is a sum over all adapters that
 * can come to nothing, the size of what is summed. */
static double
scale_of (const Fixture * f, const RdJointJob * job, const RdParameter * p,
    const float *gradient, double largest)
{
  if (strcmp (p->name, "adapter.gate") != 0)
    return largest;
  return rd_test_gate_terms (f->adapters, gradient)
      / exact_gate (f, job->codec.level);
}

/* The largest derivative of an array and two others. @whole: by everything. */
static double
worst_error (const Fixture * f, const RdJointJob * job, const RdParameter * p,
    const float *whole)
{
  const float *gradient = whole + p->offset;
  const Loss loss = { f, job };
  gsize largest = 0;
  double worst = 0, scale;

  for (gsize i = 0; i < p->n; i++) {
    if (fabsf (gradient[i]) > fabsf (gradient[largest]))
      largest = i;
  }
  scale = scale_of (f, job, p, whole, fabs ((double) gradient[largest]));
  /* It adds the same to all scores of a query, which softmax does not see. */
  if (g_str_has_suffix (p->name, ".attn_k.bias")) {
    g_assert_cmpfloat (scale, <, 1e-4);
    return 0;
  }
  g_assert_cmpfloat (scale, >, 1e-4);
  for (guint i = 0; i < 3; i++) {
    const gsize at = i == 0 ? largest :
        (gsize) g_test_rand_int_range (0, (gint32) p->n);
    const StTestDerivative derivative = { loss_of, &loss,
      f->values + p->offset + at, STEP / 2
    };

    worst = MAX (worst, st_test_slope_error (st_test_derivative, &derivative,
            gradient[at], scale, LIMIT, f->moves, 2 * MAX_N * D));
  }
  return worst;
}

static void
check_gradient (const Fixture * f, RdJointJob * job)
{
  const RdParameters *parameters = rd_joint_parameters (f->joint);
  g_autofree float *gradient = g_new0 (float, parameters->n);
  double distortion, bits, worst = 0;

  run (f->joint, job, 1, gradient);
  exact_loss (f, job, &distortion, &bits);
  st_test_near (job->target.total, distortion, 2e-5 * (double) job->target.n);
  st_test_near (job->codec.rate_bits, bits, 2e-6 * bits);
  for (guint i = 0; i < rd_parameters_count (parameters); i++) {
    const RdParameter *p = rd_parameters_get (parameters, i);
    const double error = worst_error (f, job, p, gradient);

    if (error > LIMIT)
      g_error ("%s: relative error %.3g", p->name, error);
    worst = MAX (worst, error);
  }
  g_test_message ("%u arrays: largest relative error %.3g",
      rd_parameters_count (parameters), worst);
}

static const guint8 sets[ST_TINY_BLOCKS] = { 1 << RD_MATRIX_O |
      1 << RD_MATRIX_GATE, RD_ADAPTERS_ALL, RD_ADAPTERS_ALL,
  1 << RD_MATRIX_K | 1 << RD_MATRIX_DOWN
};

static void
test_gradient_adapters (void)
{
  const RdLoss losses[] = { RD_LOSS_TEACHER, RD_LOSS_LABELS, RD_LOSS_MIXED };
  /* The gates that count: two of them, so that the largest derivative of all is one of a gate that does. */
  const float levels[] = { 25.5f, 110.0f, 40.0f };

  for (guint i = 0; i < G_N_ELEMENTS (losses); i++) {
    Fixture f;
    RdJointJob job;

    fixture_init (&f, sets, FALSE);
    job = make_job (&f, 5 + 2 * i, losses[i], levels[i]);
    job.weight = 1.0 + 0.3 * i;
    check_gradient (&f, &job);
    fixture_clear (&f);
  }
}

static void
test_gradient_frozen (void)
{
  Fixture f;
  RdJointJob job;

  fixture_init (&f, NULL, FALSE);
  g_assert_cmpuint (rd_parameters_count (rd_joint_parameters (f.joint)), ==, 2);
  job = make_job (&f, 7, RD_LOSS_TEACHER, 60.0f);
  job.weight = 0.5;
  check_gradient (&f, &job);
  fixture_clear (&f);
}

/* Alone and beside adapters. The embedding is the output matrix, too: its derivative comes from both ends, through the codec and not. */
static void
test_gradient_weights (void)
{
  const RdLoss losses[] = { RD_LOSS_TEACHER, RD_LOSS_MIXED };

  for (guint i = 0; i < G_N_ELEMENTS (losses); i++) {
    Fixture f;
    RdJointJob job;

    fixture_init (&f, i == 0 ? NULL : sets, TRUE);
    g_assert_true (f.weights->output == f.weights->embedding);
    g_assert_nonnull (find (&f, "token_embd.weight"));
    g_assert_nonnull (find (&f, "output_norm.weight"));
    g_assert_nonnull (find (&f, "blk.0.attn_q.weight"));
    job = make_job (&f, 5 + 2 * i, losses[i], 30.0f);
    job.weight = 0.7;
    check_gradient (&f, &job);
    fixture_clear (&f);
  }
}

/* Biases and learned positions, which only the head adds. */
static void
test_gradient_gpt2 (void)
{
  const StTinyModelOptions gpt2 = {.gpt2 = TRUE };

  for (guint i = 0; i < 2; i++) {
    Fixture f;
    RdJointJob job;

    fixture_init_model (&f, &gpt2, i == 0 ? NULL : sets, TRUE);
    g_assert_nonnull (find (&f, "position_embd.weight"));
    g_assert_nonnull (find (&f, "output_norm.bias"));
    g_assert_nonnull (find (&f, "blk.0.attn_q.bias"));
    g_assert_nonnull (find (&f, "blk.3.ffn_down.bias"));
    g_assert_null (find (&f, "blk.0.ffn_gate.weight"));
    job = make_job (&f, 6, RD_LOSS_TEACHER, 30.0f);
    check_gradient (&f, &job);
    fixture_clear (&f);
  }
}

/* Learning rates: the codec's own factors times that of the options, adapters at 1. */
static void
test_rates (void)
{
  Fixture f;

  fixture_init (&f, sets, FALSE);
  g_assert_cmpfloat (find (&f, "test.scale")->rate, ==, 3.0f);
  g_assert_cmpfloat (find (&f, "test.offset")->rate, ==, 6.0f);
  g_assert_cmpfloat (find (&f, "adapter.gate")->rate, ==, 0.5f);
  g_assert_cmpfloat (rd_parameters_get (rd_joint_parameters (f.joint), 0)->rate,
      ==, 1.0f);
  fixture_clear (&f);
}

/* Adapters that start, with U zero, leave the frozen model: the losses of the head's ids are those of the head's states. */
static void
test_start_is_frozen (void)
{
  Fixture f;
  RdJointJob with, without;
  g_autofree float *gradient = NULL;
  RdJoint *frozen;
  const RdRangeOptions head = { 0, SPLIT, FALSE, FALSE };
  g_autoptr (RdRange) range = NULL;
  RdAdapters *adapters;

  fixture_init (&f, sets, FALSE);
  memset (f.adapters->arena.memory, 0, f.adapters->arena.n * sizeof (float));
  range = rd_range_new (f.weights, NULL, &head, NULL);
  g_assert_true (rd_embed (f.weights, f.ids, MAX_N, f.x, NULL));
  g_assert_true (rd_range_forward (range, f.x, MAX_N, 1.0f, f.x, NULL, NULL));
  adapters = g_steal_pointer (&f.adapters);
  frozen = joint_new (&f, 1, FALSE);
  f.adapters = adapters;
  with = make_job (&f, MAX_N, RD_LOSS_TEACHER, 50.0f);
  without = with;
  run (f.joint, &with, 1, NULL);
  run (frozen, &without, 1, NULL);
  g_assert_cmpfloat (with.target.total, ==, without.target.total);
  g_assert_cmpfloat (with.codec.bits, ==, without.codec.bits);
  rd_joint_free (frozen);
  fixture_clear (&f);
}

/* ---- the same bits ---- */

#define N_JOBS 5
static void
make_jobs (const Fixture * f, RdJointJob * jobs)
{
  for (gsize i = 0; i < N_JOBS; i++) {
    jobs[i] = make_job (f, 10 + 10 * (i * 3 % 4), RD_LOSS_TEACHER,
        (float) (30 * i));
    jobs[i].weight = 1.0 / (1.0 + (double) i);
  }
}

static void
check_same_bits (const guint8 * matrices, gboolean train_weights,
    RdProducts products)
{
  Fixture f;
  g_autofree float *first = NULL;
  RdJointJob expected[N_JOBS] = { 0 }, jobs[N_JOBS];

  fixture_init (&f, matrices, train_weights);
  f.weights->products = products;
  for (guint variant = 0; variant < 4; variant++) {
    g_autoptr (RdJoint) joint = joint_new (&f, 1 + variant % 3, variant == 3);
    const gsize n = rd_joint_parameters (joint)->n;
    g_autofree float *gradient = g_new0 (float, n);

    make_jobs (&f, jobs);
    run (joint, jobs, N_JOBS, gradient);
    if (variant == 0) {
      memcpy (expected, jobs, sizeof (jobs));
      first = g_steal_pointer (&gradient);
      continue;
    }
    for (gsize i = 0; i < N_JOBS; i++) {
      g_assert_cmpfloat (jobs[i].target.total, ==, expected[i].target.total);
      g_assert_cmpfloat (jobs[i].codec.bits, ==, expected[i].codec.bits);
    }
    g_assert_cmpmem (gradient, n * sizeof (float), first, n * sizeof (float));
  }
  fixture_clear (&f);
}

static void
test_same_bits (void)
{
  for (guint i = 0; i < RD_N_PRODUCTS; i++) {
    check_same_bits (sets, FALSE, (RdProducts) i);
    check_same_bits (NULL, FALSE, (RdProducts) i);
    check_same_bits (NULL, TRUE, (RdProducts) i);
  }
}

/* ---- errors ---- */

static void
assert_run_fails (const Fixture * f, RdJointJob * job, const gint * cancel,
    StModelError code, const gchar * part)
{
  g_autofree float *gradient =
      g_new0 (float, rd_joint_parameters (f->joint)->n);
  g_autoptr (GError) error = NULL;

  g_assert_false (rd_joint_run (f->joint, job, 1, gradient, cancel, &error));
  g_assert_error (error, ST_MODEL_ERROR, (gint) code);
  g_assert_nonnull (strstr (error->message, part));
}

static void
test_errors (void)
{
  const gint cancelled = 1;
  RdJointJob good, job;
  Fixture f;

  fixture_init (&f, sets, FALSE);
  good = job = make_job (&f, 8, RD_LOSS_TEACHER, 50.0f);
  job.target.n = 0;
  assert_run_fails (&f, &job, NULL, ST_MODEL_ERROR_INPUT, "1..40");
  job.target.n = MAX_N + 1;
  assert_run_fails (&f, &job, NULL, ST_MODEL_ERROR_INPUT, "1..40");
  job = good;
  f.ids[3] = V;
  assert_run_fails (&f, &job, NULL, ST_MODEL_ERROR_INPUT, "position 3");
  f.ids[3] = 0;
  assert_run_fails (&f, &job, &cancelled, ST_MODEL_ERROR_CANCELLED,
      "cancelled");
  f.codec->broken = TRUE;
  assert_run_fails (&f, &job, NULL, ST_MODEL_ERROR_INPUT, "bits");
  f.codec->broken = FALSE;
  f.codec->values[5] = NAN;
  assert_run_fails (&f, &job, NULL, ST_MODEL_ERROR_INPUT, "bits");
  fixture_clear (&f);
}

static void
test_weights_without_embedding (void)
{
  g_autoptr (StModel) tail = rd_test_tiny (NULL, SPLIT);
  g_autoptr (RdWeights) weights = rd_weights_new (tail, MAX_N, NULL);
  g_autoptr (GError) error = NULL;
  RdTestCodec *codec = rd_test_codec_new ();
  const RdJointOptions options = {.weights = weights,.codec =
        &codec->base,.split_layer = SPLIT,.head = TRUE,.codec_rate =
        1.0f,.n_knots = N_KNOTS,.knots = knots,.threads = 1
  };

  g_assert_null (rd_joint_new (&options, &error));
  g_assert_error (error, ST_MODEL_ERROR, ST_MODEL_ERROR_RANGE);
  rd_test_codec_free (&codec->base);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training-joint/gradient/adapters", test_gradient_adapters);
  g_test_add_func ("/training-joint/gradient/frozen", test_gradient_frozen);
  g_test_add_func ("/training-joint/gradient/weights", test_gradient_weights);
  g_test_add_func ("/training-joint/gradient/gpt2", test_gradient_gpt2);
  g_test_add_func ("/training-joint/rates", test_rates);
  g_test_add_func ("/training-joint/start-is-frozen", test_start_is_frozen);
  g_test_add_func ("/training-joint/same-bits", test_same_bits);
  g_test_add_func ("/training-joint/errors", test_errors);
  g_test_add_func ("/training-joint/weights-without-embedding",
      test_weights_without_embedding);
  return g_test_run ();
}
