/* Nanoseconds a token of each codec, with and without zstd, as ratios to copying the floats and to plain zstd over them.
 * usage: bench-codec [FILE [HIDDEN_SIZE]]    FILE: raw F32 hidden states, e.g. from `... ! transformerhead ... ! filesink`; without it
 * Laplacian values with some large channels. */
#include "codec/codec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define MAX_TOKENS 512u
#define MIN_SECONDS 0.15
#define ROUNDS 5

static const gchar *const names[] = { "f32", "f16", "int8", "int4" };
static const guint frame_tokens[] = { 1, 8, 128 };

typedef struct
{
  gfloat *x;                    /* tokens x hidden */
  guint tokens, hidden;
} States;

typedef struct
{
  const States *states;
  RdCodec *codec;
  guint n;                      /* tokens a frame */
  gboolean pack;
  GByteArray **frames;
  gboolean *packed;
  gfloat *y;
  ZSTD_CCtx *cctx;
  ZSTD_DCtx *dctx;
  guint8 *scratch;
  gsize scratch_size;
  gsize *sizes;                 /* of the plain zstd frames */
} Job;

/* One pass over all tokens; what is measured. */
typedef void (*Pass) (Job * job);

static States
make_states (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  States states = { g_new (gfloat, MAX_TOKENS * 576), MAX_TOKENS, 576 };

  for (guint i = 0; i < MAX_TOKENS * 576; i++) {
    gdouble u = g_rand_double_range (rand, -0.999999, 0.999999);
    gdouble scale = i % 576 % 97 == 5 ? 40 : 2;
    states.x[i] = (gfloat) (copysign (-log (1 - fabs (u)), u) * scale);
  }
  return states;
}

static States
read_states (const gchar * path, guint hidden)
{
  g_autoptr (GError) error = NULL;
  gchar *data;
  gsize size;

  if (!g_file_get_contents (path, &data, &size, &error)) {
    g_printerr ("%s\n", error->message);
    exit (1);
  }
  States states = { (gfloat *) data, 0, hidden };
  states.tokens =
      (guint) MIN (size / sizeof (gfloat) / MAX (hidden, 1), 1u << 20);
  if (states.tokens == 0) {
    g_printerr ("%s does not hold %u floats\n", path, hidden);
    exit (1);
  }
  return states;
}

static guint
n_frames (const Job * job)
{
  return job->states->tokens / job->n;
}

static void
encode_pass (Job * job)
{
  g_autoptr (GError) error = NULL;
  gsize stride = (gsize) job->n * job->states->hidden;
  RdRows rows = {.n = job->n,.position = 0 };

  for (guint f = 0; f < n_frames (job); f++) {
    g_byte_array_set_size (job->frames[f], 0);
    if (!rd_codec_encode (job->codec, &rows, job->states->x + f * stride,
            job->pack, job->frames[f], &job->packed[f], &error)) {
      g_printerr ("%s\n", error->message);
      exit (1);
    }
  }
}

static void
decode_pass (Job * job)
{
  RdRows rows = {.n = job->n,.position = 0 };

  for (guint f = 0; f < n_frames (job); f++) {
    if (!rd_codec_decode (job->codec, &rows, job->frames[f]->data,
            job->frames[f]->len, job->packed[f], job->y, NULL))
      g_assert_not_reached ();
  }
}

static void
copy_pass (Job * job)
{
  gsize stride = (gsize) job->n * job->states->hidden;

  for (guint f = 0; f < n_frames (job); f++) {
    memcpy (job->y, job->states->x + f * stride, stride * sizeof (gfloat));
    __asm__ volatile (""::"r" (job->y):"memory");
  }
}

static void
zstd_pass (Job * job)
{
  gsize stride = (gsize) job->n * job->states->hidden;

  for (guint f = 0; f < n_frames (job); f++) {
    job->sizes[f] = ZSTD_compressCCtx (job->cctx, job->scratch,
        job->scratch_size, job->states->x + f * stride,
        stride * sizeof (gfloat), 3);
  }
}

static void
unzstd_pass (Job * job)
{
  gsize stride = (gsize) job->n * job->states->hidden;

  /* the scratch holds the last frame: the same work again and again */
  for (guint f = 0; f < n_frames (job); f++) {
    ZSTD_decompressDCtx (job->dctx, job->y, stride * sizeof (gfloat),
        job->scratch, job->sizes[n_frames (job) - 1]);
  }
}

/* Best of some rounds, in nanoseconds a token. */
static gdouble
measure (Job * job, Pass pass)
{
  gdouble best = G_MAXDOUBLE;

  pass (job);
  for (guint round = 0; round < ROUNDS; round++) {
    gint64 begin = g_get_monotonic_time (), now;
    guint passes = 0;

    do {
      pass (job);
      passes++;
      now = g_get_monotonic_time ();
    } while (now - begin < MIN_SECONDS * G_USEC_PER_SEC / ROUNDS);
    best = MIN (best, (gdouble) (now - begin) * 1000 / passes
        / (n_frames (job) * job->n));
  }
  return best;
}

static gdouble
bits_per_token (const Job * job)
{
  gdouble bytes = 0;

  for (guint f = 0; f < n_frames (job); f++)
    bytes += job->codec ? job->frames[f]->len : job->sizes[f];
  return bytes * 8 / (n_frames (job) * job->n);
}

/* Mean squared error over mean square, in decibels; the first token, which is hundreds of times larger than the rest, left out. */
static gdouble
snr (Job * job)
{
  gsize stride = (gsize) job->n * job->states->hidden;
  RdRows rows = {.n = job->n,.position = 0 };
  gdouble error = 0, power = 0;

  for (guint f = 0; f < n_frames (job); f++) {
    const gfloat *x = job->states->x + f * stride;
    if (!rd_codec_decode (job->codec, &rows, job->frames[f]->data,
            job->frames[f]->len, job->packed[f], job->y, NULL))
      g_assert_not_reached ();
    for (gsize i = f ? 0 : job->states->hidden; i < stride; i++) {
      gdouble d = (gdouble) x[i] - job->y[i];
      error += d * d;
      power += (gdouble) x[i] * x[i];
    }
  }
  return error > 0 ? 10 * log10 (power / error) : INFINITY;
}

static void
report (const gchar * name, Job * job, Pass encode, Pass decode,
    const gdouble * copy, const gdouble * zstd)
{
  gdouble e = measure (job, encode), d = measure (job, decode);

  g_print ("%-10s %4u  %9.0f %9.0f   %7.1f %7.1f   %6.3f %6.3f   %7.0f", name,
      job->n, e, d, e / *copy, d / *copy, e / zstd[0], d / zstd[1],
      bits_per_token (job));
  if (job->codec)
    g_print ("  %6.1f", snr (job));
  g_print ("\n");
}

static void
bench_frame_size (const States * states, guint n)
{
  gsize stride = (gsize) n * states->hidden;
  Job job = {.states = states,.n = n };
  gdouble copy, zstd[2];

  job.frames = g_new (GByteArray *, n_frames (&job));
  for (guint f = 0; f < n_frames (&job); f++)
    job.frames[f] = g_byte_array_new ();
  job.packed = g_new0 (gboolean, n_frames (&job));
  job.sizes = g_new0 (gsize, n_frames (&job));
  job.y = g_new (gfloat, stride);
  job.scratch_size = ZSTD_compressBound (stride * sizeof (gfloat));
  job.scratch = g_malloc (job.scratch_size);
  job.cctx = ZSTD_createCCtx ();
  job.dctx = ZSTD_createDCtx ();

  copy = measure (&job, copy_pass);
  zstd[0] = measure (&job, zstd_pass);
  zstd[1] = measure (&job, unzstd_pass);
  g_print ("%-10s %4u  %9.0f\n", "memcpy", n, copy);
  report ("zstd of F32", &job, zstd_pass, unzstd_pass, &copy, zstd);
  for (guint i = 0; i < 2 * G_N_ELEMENTS (names); i++) {
    g_autofree gchar *name = g_strconcat (names[i / 2],
        i % 2 ? "+zstd" : "", NULL);

    job.codec = rd_codec_new (names[i / 2], states->hidden, NULL);
    job.pack = i % 2;
    report (name, &job, encode_pass, decode_pass, &copy, zstd);
    rd_codec_free (job.codec);
  }
  ZSTD_freeCCtx (job.cctx);
  ZSTD_freeDCtx (job.dctx);
  for (guint f = 0; f < n_frames (&job); f++)
    g_byte_array_unref (job.frames[f]);
  g_free (job.frames);
  g_free (job.packed);
  g_free (job.sizes);
  g_free (job.y);
  g_free (job.scratch);
}

int
main (int argc, char **argv)
{
  guint hidden = argc > 2 ? (guint) atoi (argv[2]) : 576;
  States states = argc > 1 ? read_states (argv[1], hidden) : make_states ();

  g_print ("%u tokens of %u values (raw f16: %u bits a token)\n",
      states.tokens, states.hidden, 16 * states.hidden);
  g_print ("%-10s %4s  %9s %9s   %7s %7s   %6s %6s   %7s  %6s\n", "codec",
      "n", "enc ns/t", "dec ns/t", "/memcpy", "/memcpy", "/zstd", "/zstd",
      "bits/t", "SNR dB");
  for (guint i = 0; i < G_N_ELEMENTS (frame_tokens); i++) {
    if (frame_tokens[i] <= states.tokens)
      bench_frame_size (&states, frame_tokens[i]);
  }
  g_free (states.x);
  return 0;
}
