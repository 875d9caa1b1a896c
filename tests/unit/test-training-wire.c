/* The trainer's estimate of bits on the wire against real frames of the codec of files. */
#include <math.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/learned/model.h"
#include "codec/session/sender.h"
#include "codec/training/static.h"
#include "codec/training/wire-bits.h"
#include "tests/support/learned-tools.h"
#include "tests/support/test-model.h"
#include "tests/support/training-tools.h"

#define N 200
#define MODEL "models/files/tiny-english-4m.gguf"
#define CODEC "codec/files/rdcodec-tiny-english-4m-split2.gguf"
#define SPLIT 2

typedef struct
{
  gchar *path;                  /* of the codec file */
  RdLearnedParameters *parameters;
  RdStatic *codec;
  RdTrainablePass *pass;
  RdTrainableJob job;
} Fixture;

static void
fixture_init (Fixture * f)
{
  g_autofree gchar *model = st_test_source_path (MODEL);
  g_autoptr (GError) error = NULL;

  memset (f, 0, sizeof (*f));
  f->path = st_test_source_path (CODEC);
  f->parameters = rd_learned_parameters_load (f->path, &error);
  g_assert_no_error (error);
  f->codec = rd_static_new (f->parameters, 0, &error);
  g_assert_no_error (error);
  RdTrainable *trainable = (RdTrainable *) f->codec;
  f->pass = trainable->klass->pass_new (trainable, N, &error);
  g_assert_no_error (error);
  f->job = (RdTrainableJob) {
  .n = N,.x = rd_test_states (model, SPLIT, N),.y =
        g_new (float, N * f->parameters->hidden_size)};
}

static void
fixture_clear (Fixture * f)
{
  RdTrainable *trainable = (RdTrainable *) f->codec;

  trainable->klass->pass_free (f->pass);
  trainable->klass->free (trainable);
  rd_learned_parameters_free (f->parameters);
  g_free ((float *) f->job.x);
  g_free (f->job.y);
  g_free (f->path);
}

static RdHeader
make_header (const RdLearnedParameters * p)
{
  RdHeader header = {.split_layer = p->split_layer,.hidden_size =
        p->hidden_size,.vocab_size = 2048
  };

  g_strlcpy (header.codec, p->id, sizeof (header.codec));
  g_strlcpy (header.model_name, p->model_name, sizeof (header.model_name));
  return header;
}

/* Bits of everything that a sender without a way back gives; of all but HEADER and END in *states. */
static double
pull (RdSender * sender, double *states)
{
  double bits = 0;
  gboolean key;
  GBytes *bytes;

  while ((bytes = rd_sender_pull (sender, 0, &key)) != NULL) {
    gsize size, at = 0;
    const guint8 *data = g_bytes_get_data (bytes, &size);
    RdFrame frame;

    bits += 8.0 * (double) size;
    while (at < size) {
      g_assert_true (rd_frame_parse (data + at, size - at, size, &frame, NULL));
      *states += frame.type == RD_FRAME_STATES ? 8.0 * (double) frame.size : 0;
      at += frame.size;
    }
    g_bytes_unref (bytes);
  }
  return bits;
}

/* The job's rows through the codec of the file and a sender. */
static double
send (const Fixture * f, guint level, double *states)
{
  RdSenderConfig config = RD_SENDER_CONFIG_DEFAULT;
  const RdSettings settings = {.quality =
        level * 100.0 / (RD_LEARNED_LEVELS - 1),.complexity =
        RD_LEARNED_SCALAR_COMPLEXITY
  };
  const RdHeader header = make_header (f->parameters);
  g_autoptr (RdCodec) codec = rd_codec_new (f->path, 0, NULL);
  g_autoptr (GByteArray) payload = g_byte_array_new ();
  RdSender *sender;
  gboolean packed;

  config.has_feedback = FALSE;
  sender = rd_sender_new (&config, &header, 0);
  rd_codec_set (codec, &settings);
  for (gsize at = 0; at < N; at += f->job.frame) {
    const RdRows rows = {.n = MIN (f->job.frame, N - at),.position =
          (guint32) at
    };
    const RdStates group = {.position = (guint32) at,.count = (guint32) rows.n
    };

    g_byte_array_set_size (payload, 0);
    g_assert_true (rd_codec_encode (codec, &rows,
            f->job.x + at * f->parameters->hidden_size, FALSE, payload,
            &packed, NULL));
    g_assert_true (rd_sender_queue (sender, &group, payload->data,
            payload->len, 0, NULL));
  }
  rd_sender_end (sender, 0);
  const double bits = pull (sender, states);
  rd_sender_free (sender);
  return bits;
}

/* Frames of one token, in one state, of blocks in lanes, of a block and of several. */
static void
test_frames (void)
{
  static const gsize frames[] = { 1, 3, 8, 40, 64, N };
  static const guint levels[] = { 12, 24, 36, 48, 72, 100 };
  g_autoptr (GError) error = NULL;
  Fixture f;

  fixture_init (&f);
  const RdHeader header = make_header (f.parameters);
  for (guint i = 0; i < G_N_ELEMENTS (frames) * G_N_ELEMENTS (levels); i++) {
    const guint level = levels[i % G_N_ELEMENTS (levels)];
    double states = 0;

    f.job.frame = frames[i / G_N_ELEMENTS (levels)];
    f.job.level = (float) level;
    g_assert_true (((RdTrainable *) f.codec)->klass->forward (f.pass, &f.job,
            &error));
    const double bits = send (&f, level, &states);
    const double session = rd_wire_session_bits (&header, N, f.job.frame);
    g_test_message ("level %u, frames of %" G_GSIZE_FORMAT ": %.1f bits a "
        "token, %+.2f %% of %.1f expected (%.1f ideal)", level, f.job.frame,
        bits / N, 100 * (states / f.job.wire_bits - 1),
        (f.job.wire_bits + session) / N, f.job.bits / N);
    g_assert_cmpfloat (fabs (states - f.job.wire_bits), <=, 0.02 * states);
    g_assert_cmpfloat (bits - states, ==, session);
  }
  fixture_clear (&f);
}

/* A row that cannot be coded is 32 bits a value, and the lengths of all blocks are told. */
static void
test_raw (void)
{
  const gsize frame = 2 * RD_BLOCK_ROWS;
  g_autoptr (GError) error = NULL;
  double states = 0;
  Fixture f;

  fixture_init (&f);
  for (gsize i = 0; i < f.parameters->hidden_size; i++)
    ((float *) f.job.x)[70 * f.parameters->hidden_size + i] = 1e9f;
  f.job.frame = frame;
  f.job.level = 50;
  g_assert_true (((RdTrainable *) f.codec)->klass->forward (f.pass, &f.job,
          &error));
  send (&f, 50, &states);
  g_assert_cmpfloat (fabs (states - f.job.wire_bits), <=, 0.005 * states);
  fixture_clear (&f);
}

/* HEADER again after so many tokens as rdencoder does it. */
static void
test_session (void)
{
  g_autofree gchar *path = st_test_source_path (CODEC);
  g_autoptr (RdLearnedParameters) p = rd_learned_parameters_load (path, NULL);
  const RdHeader header = make_header (p);
  const double end = rd_wire_session_bits (&header, RD_SENDER_KEY_INT_MAX + 1,
      64) - rd_wire_session_bits (&header, RD_SENDER_KEY_INT_MAX, 64);

  g_assert_cmpfloat (end, >, 8 * (16 + 32 + 32));
  g_assert_cmpfloat (rd_wire_session_bits (&header, RD_SENDER_KEY_INT_MAX + 1,
          100), ==, rd_wire_session_bits (&header, RD_SENDER_KEY_INT_MAX, 100));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/training/wire/frames", test_frames);
  g_test_add_func ("/training/wire/raw", test_raw);
  g_test_add_func ("/training/wire/session", test_session);
  return g_test_run ();
}
