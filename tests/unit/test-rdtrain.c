/* The command-line tool rdtrain: what it says, with which status it ends, and what Ctrl-C does. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>

#include "models/tokenizer/tokenizer.h"
#include "tests/support/test-model.h"
#include "tests/support/tiny-model.h"

#define MAX_ARGUMENTS 22

typedef struct
{
  const gchar *arguments[MAX_ARGUMENTS];        /* MODEL, TEXT, LONG, OUT, START, CHECK, TRAINED and WINDOWS stand for files */
  gint status;
  const gchar *message;         /* on standard output if the status is 0, else on standard error */
} Case;

static gchar *model, *text, *long_text, *out, *checkpoint, *windows, *directory;
static gchar *start, *training, *trained;

static const gchar *
fill_in (const gchar * argument)
{
  const struct
  {
    const gchar *name, *value;
  } files[] = {
    {"MODEL", model}, {"TEXT", text}, {"LONG", long_text}, {"OUT", out},
    {"WINDOWS", windows}, {"START", start}, {"CHECK", training},
    {"TRAINED", trained},
  };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    if (g_strcmp0 (argument, files[i].name) == 0)
      return files[i].value;
  }
  return argument;
}

static void
make_argv (const gchar * const *arguments, const gchar ** argv)
{
  argv[0] = RDTRAIN;
  for (guint i = 0; i <= MAX_ARGUMENTS; i++)
    argv[i + 1] = i < MAX_ARGUMENTS ? fill_in (arguments[i]) : NULL;
}

static void
run_case (const Case * c)
{
  const gchar *argv[MAX_ARGUMENTS + 2];
  g_autofree gchar *printed = NULL, *complaint = NULL;
  g_autoptr (GError) error = NULL;
  gint status;

  make_argv (c->arguments, argv);
  g_spawn_sync (NULL, (gchar **) argv, NULL, G_SPAWN_DEFAULT, NULL, NULL,
      &printed, &complaint, &status, &error);
  g_assert_no_error (error);
  g_test_message ("%s%s", printed, complaint);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, c->status);
  g_assert_nonnull (strstr (c->status == 0 ? printed : complaint, c->message));
}

static void
test_usage (void)
{
  static const Case cases[] = {
    {{"--help"}, 0, "calibrate"},
    {{"calibrate", "--help"}, 0, "rdtrain calibrate --model model.gguf"},
    {{NULL}, 2, "Usage: rdtrain COMMAND"},
    {{"tune"}, 2, "Usage: rdtrain COMMAND"},
    {{"calibrate"}, 2, "needs --model=MODEL"},
    {{"calibrate", "-m", "MODEL", "-k", "1", "-t", "TEXT"}, 2, "--output"},
    {{"calibrate", "-m", "MODEL", "-t", "TEXT", "-o", "OUT"}, 2, "--split=K"},
    {{"calibrate", "-m", "MODEL", "-k", "1", "-t", "TEXT", "-o", "OUT", "x"},
        2, "no other arguments"},
    {{"calibrate", "-m", "MODEL", "-k", "1", "-t", "TEXT", "-o", "OUT",
            "--side-info=blocks=0"}, 2, "blocks=N"},
    {{"calibrate", "-m", "MODEL", "-k", "1", "-t", "TEXT", "-o", "OUT",
            "--sequences=-3"}, 2, "at least 1"},
    {{"calibrate", "--unknown"}, 2, "--unknown"},
    {{"train", "--help"}, 0, "rdtrain train --model model.gguf"},
    {{"train", "-m", "MODEL", "-s", "START", "-t", "TEXT"}, 2, "--checkpoint"},
    {{"train", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "--adapters=some"}, 2, "attn_q,attn_k"},
    {{"train", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "--adapter-blocks=3"}, 2, "A-B"},
    {{"train", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "--rounding=up"}, 2, "ste or noise"},
    {{"train", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "--products=f16"}, 2, "f32 or bf16"},
    {{"train", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "--entropy-model=none"}, 2, "autoregressive"},
    {{"train", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "--steps=5", "--tokens=500"}, 2, "not both"},
    {{"train", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "--rank=0"}, 2, "at least 1"},
    {{"train", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "--full-weights", "--adapter-blocks=0-1"}, 2, "trains no adapters"},
    {{"train", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "--full-weights", "--rank=16"}, 2, "trains no adapters"},
    {{"resume", "--help"}, 0, "all numbers are in the checkpoint"},
    {{"resume", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "--rank=4"}, 2, "--rank"},
    {{"export", "--help"}, 0, "rdtrain export --model model.gguf"},
    {{"export", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK"}, 2,
        "--output"},
    {{"export", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK", "-o",
            "OUT", "--type=Q4_0"}, 2, "--type is F16"},
    {{"evaluate", "--help"}, 0, "rdtrain evaluate --model model.gguf"},
    {{"evaluate", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "-o", "OUT"}, 2, "--testset=JSON"},
    {{"evaluate", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "-o", "OUT", "--testset", "WINDOWS", "--frames=0"}, 2, "--frames"},
    {{"evaluate", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "-o", "OUT", "--testset", "WINDOWS", "--lambdas=x"}, 2,
        "--lambdas"},
    {{"--help"}, 0, "from-scratch"},
    {{"from-scratch", "--help"}, 0, "rdtrain from-scratch --text novels"},
    {{"from-scratch", "--help-model"}, 0, "--kv-heads"},
    {{"from-scratch"}, 2, "needs --text=TEXT"},
    {{"windows", "--help"}, 0, "--windows=N"},
    {{"windows", "-m", "MODEL", "-t", "TEXT"}, 2, "--output=OUTPUT"},
    {{"windows", "-m", "MODEL", "-t", "TEXT", "-o", "OUT", "--length=1"}, 2,
        "at least 2"},
    {{"from-scratch", "-t", "TEXT", "-o", "OUT"}, 2, "--steps=N or --tokens=N"},
    {{"from-scratch", "-t", "TEXT", "-o", "OUT", "--steps=1", "--tokens=1"}, 2,
        "not both"},
    {{"from-scratch", "-t", "TEXT", "-o", "OUT", "--steps=1", "--heads=0"}, 2,
        "at least 1"},
    {{"from-scratch", "-t", "TEXT", "-o", "OUT", "--steps=1",
            "--family=mamba"}, 2, "one of: llama, gpt2"},
    {{"from-scratch", "-t", "TEXT", "-o", "OUT", "--steps=1", "--type=Q4_0"}, 2,
        "--type is F16"},
    {{"from-scratch", "-t", "TEXT", "-o", "OUT", "--steps=1",
            "--products=f16"}, 2, "f32 or bf16"},
    {{"from-scratch", "-t", "TEXT", "-o", "OUT", "--steps=1",
            "--exclude-windows=WINDOWS"}, 2, "--windows-model"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    run_case (&cases[i]);
}

static void
test_errors (void)
{
  static const Case cases[] = {
    {{"calibrate", "-m", "/no/such/model", "-k", "1", "-t", "TEXT", "-o",
            "OUT"}, 1, "/no/such/model"},
    {{"calibrate", "-m", "MODEL", "-k", "9", "-t", "TEXT", "-o", "OUT"}, 1,
        "the model has 4"},
    {{"calibrate", "-m", "MODEL", "-k", "1", "-t", "/no/such/text", "-o",
            "OUT"}, 1, "/no/such/text"},
    {{"calibrate", "-m", "MODEL", "-k", "1", "-t", "TEXT", "-o", "OUT",
            "--sequences=5000"}, 1, "too short"},
    {{"calibrate", "-m", "MODEL", "-k", "1", "-t", "TEXT", "-o", "OUT",
            "--exclude-windows", "TEXT"}, 1, "hamlet20k.txt"},
    {{"calibrate", "-m", "MODEL", "-k", "1", "-t", "TEXT", "-o", "OUT",
            "--exclude-windows", "WINDOWS"}, 1, "of the test set"},
    {{"train", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "--exclude-windows", "WINDOWS", "--length=32"}, 1,
        "of the test set"},
    {{"train", "-m", "MODEL", "-s", "MODEL", "-t", "TEXT", "-c", "CHECK"}, 1,
        "codec file"},
    {{"resume", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK"}, 1,
        "cannot open"},
    {{"export", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "START",
            "-o", "OUT"}, 1, "is not a checkpoint of rdtrain train"},
    {{"calibrate", "-m", "MODEL", "-k", "2", "-t", "TEXT", "-o", "OUT",
                "--checkpoint", "START", "--sequences=20",
            "--gradient-sequences=8", "--length=32"}, 1,
        "is not a checkpoint"},
    {{"windows", "-m", "/no/such/model", "-t", "TEXT", "-o", "OUT"}, 1,
        "/no/such/model"},
    {{"windows", "-m", "MODEL", "-t", "TEXT", "-o", "OUT", "--windows=900"}, 1,
        "too short"},
    {{"from-scratch", "-t", "/no/such/text", "-o", "OUT", "--steps=1"}, 1,
        "/no/such/text"},
    {{"from-scratch", "-t", "TEXT", "-o", "/no/such/folder/out",
            "--steps=1"}, 1, "/no/such/folder"},
    {{"evaluate", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "--testset", "WINDOWS", "-o", "/no/such/folder/out"}, 1,
        "/no/such/folder"},
    {{"from-scratch", "-t", "TEXT", "-o", "OUT", "--steps=1",
            "--vocabulary=30000"}, 1, "the text is too short"},
    {{"from-scratch", "-t", "TEXT", "-o", "OUT", "--steps=1",
            "--vocabulary=300", "--grow=/no/such/model"}, 1, "/no/such/model"},
    {{"from-scratch", "-t", "TEXT", "-o", "OUT", "--steps=1", "--heads=7"}, 1,
        "7 heads"},
    {{"from-scratch", "-t", "TEXT", "-o", "OUT", "--steps=1",
                "--vocabulary=300", "--exclude-windows", "WINDOWS",
            "--windows-model", "MODEL"}, 1, "of the test set"},
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    run_case (&cases[i]);
  g_assert_false (g_file_test (out, G_FILE_TEST_EXISTS));
}

/* With the ids of another model's vocabulary, which would stand for little of the text, nothing would be refused. */
static void
test_other_vocabulary (void)
{
  static const Case refused = { {"from-scratch", "-t", "TEXT", "-o", "OUT",
          "--steps=1", "--vocabulary=300", "--exclude-windows", "TRAINED",
      "--windows-model", "MODEL"}, 1, "of another tokenizer"
  };

  g_file_set_contents (trained,
      "{\"windows\": [{\"domain\": \"a\", \"ids\": [1, 2, 4000]}]}", -1, NULL);
  run_case (&refused);
  g_assert_false (g_file_test (out, G_FILE_TEST_EXISTS));
  g_unlink (trained);
}

static void
test_writes (void)
{
  static const Case quiet =
      { {"calibrate", "-q", "--split=2", "-m", "MODEL", "-t", "TEXT",
      "-o", "OUT", "--sequences=20", "--gradient-sequences=8", "--length=32"},
  0, ""
  };

  run_case (&quiet);
  g_assert_true (g_file_test (out, G_FILE_TEST_IS_REGULAR));
  g_assert_false (g_file_test (checkpoint, G_FILE_TEST_EXISTS));
  g_unlink (out);
}

/* Interrupts a run that would take minutes after @lines lines. */
static void
interrupt (const gchar * const *arguments, guint lines)
{
  const gchar *argv[MAX_ARGUMENTS + 2];
  g_autoptr (GError) error = NULL;
  gint status, errors;
  gchar c;
  GPid pid;

  make_argv (arguments, argv);
  g_spawn_async_with_pipes (NULL, (gchar **) argv, NULL,
      G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid, NULL, NULL, &errors, &error);
  g_assert_no_error (error);
  while (lines > 0) {
    g_assert_cmpint (read (errors, &c, 1), ==, 1);
    lines -= c == '\n';
  }
  kill (pid, SIGINT);
  while (read (errors, &c, 1) > 0);
  close (errors);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 130);
}

/* The windows that it writes are found in the text they are of. */
static void
test_windows (void)
{
  static const Case write = { {"windows", "-m", "MODEL", "-t", "TEXT", "-o",
      "WINDOWS", "--windows=3", "--length=64"}, 0, ""
  };
  static const Case refused = { {"calibrate", "-m", "MODEL", "-k", "1", "-t",
      "TEXT", "-o", "OUT", "--exclude-windows", "WINDOWS"}, 1,
  "of the test set"
  };
  g_autofree gchar *json = NULL;
  g_auto (GStrv) parts = NULL;

  g_unlink (windows);
  run_case (&write);
  run_case (&refused);
  g_assert_true (g_file_get_contents (windows, &json, NULL, NULL));
  parts = g_strsplit (json, "\"domain\":\"hamlet20k.txt\"", -1);
  g_assert_cmpuint (g_strv_length (parts), ==, 4);
}

static void
test_from_scratch (void)
{
  static const Case tiny = { {"from-scratch", "-t", "TEXT", "-o", "OUT",
          "--hidden=32", "--blocks=2", "--heads=2", "--kv-heads=1", "--ff=64",
          "--vocabulary=300", "--context=64", "--length=32", "--batch=2",
      "--tokens=150", "--type=q8_0", "--seed=3", "--held-out", "TEXT"}, 0,
  ""
  };
  g_autoptr (StGguf) gguf = NULL;
  g_autoptr (StTokenizer) tokenizer = NULL;
  const StTensor *matrix;

  run_case (&tiny);
  gguf = st_gguf_open (out, NULL);
  g_assert_nonnull (gguf);
  tokenizer = st_tokenizer_new (gguf, NULL);
  g_assert_cmpuint (st_tokenizer_vocab_size (tokenizer), ==, 300);
  matrix = st_gguf_find (gguf, "blk.1.ffn_down.weight");
  g_assert_cmpint (matrix->type, ==, ST_TYPE_Q8_0);
  g_assert_cmpuint (matrix->ne[0], ==, 64);
  g_assert_cmpuint (matrix->ne[1], ==, 32);
  /* three steps of two sequences of 32 */
  g_assert_cmpstr (st_gguf_get_string (gguf, "rdtraining.tokens"), ==, "192");
  g_assert_false (g_file_test (checkpoint, G_FILE_TEST_EXISTS));
  g_unlink (out);
}

/* As soon as it has begun, and then again while it goes on from there. */
static void
interrupt_twice (const gchar * const *arguments)
{
  for (guint i = 0; i < 2; i++) {
    interrupt (arguments, 1);
    g_assert_true (g_file_test (checkpoint, G_FILE_TEST_IS_REGULAR));
    g_assert_false (g_file_test (out, G_FILE_TEST_EXISTS));
  }
  g_unlink (checkpoint);
}

/* Lines: of the text, of the checkpoint that is gone on from, of validation before the first step, of the first step. */
static void
test_interrupt_training (void)
{
  static const gchar *const train[MAX_ARGUMENTS] = { "train", "-m", "MODEL",
    "-s", "START", "-t", "LONG", "-c", "CHECK", "--steps=100000",
    "--length=32", "--rank=2"
  };
  static const gchar *const resume[MAX_ARGUMENTS] = { "resume", "-m", "MODEL",
    "-s", "START", "-t", "LONG", "-c", "CHECK"
  };
  static const Case export =
      { {"export", "-q", "-m", "MODEL", "-s", "START", "-t", "LONG", "-c",
      "CHECK", "-o", "OUT", "--sequences=20"}, 0, ""
  };
  static const Case other =
      { {"export", "-q", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c",
      "CHECK", "-o", "OUT"}, 1, "; --text must be what it began with"
  };

  interrupt (train, 3);
  interrupt (resume, 3);
  g_assert_true (g_file_test (training, G_FILE_TEST_IS_REGULAR));
  run_case (&export);
  g_assert_true (g_file_test (out, G_FILE_TEST_IS_REGULAR));
  g_unlink (out);
  run_case (&other);
  g_assert_false (g_file_test (out, G_FILE_TEST_EXISTS));
  g_unlink (training);
}

/* One that is finished stays as it is. */
static void
test_trains (void)
{
  static const Case quiet =
      { {"train", "-q", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c",
          "CHECK", "--tokens=500", "--length=32", "--adapters=none",
      "--held-out=2"}, 0, ""
  };
  static const Case done =
      { {"resume", "-q", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c",
      "CHECK"}, 0, ""
  };
  g_autofree gchar *first = NULL, *second = NULL;
  gsize n, m;

  run_case (&quiet);
  g_assert_true (g_file_get_contents (training, &first, &n, NULL));
  run_case (&done);
  g_assert_true (g_file_get_contents (training, &second, &m, NULL));
  g_assert_cmpmem (first, n, second, m);
  g_unlink (training);
}

/* A model and a codec file, which go with each other and with nothing else. */
static void
test_full_weights (void)
{
  static const Case train = { {"train", "-q", "-m", "MODEL", "-s", "START",
          "-t", "TEXT", "-c", "CHECK", "--tokens=500", "--length=32",
      "--full-weights", "--held-out=2"}, 0, ""
  };
  static const Case cases[] = {
    {{"evaluate", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
            "--testset", "WINDOWS", "-o", "OUT"}, 1, "rdeval --reference"},
    {{"export", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK", "-o",
            "OUT", "--sequences=20"}, 1, "--output-model"},
    {{"export", "-q", "-m", "MODEL", "-s", "START", "-t", "TEXT", "-c", "CHECK",
                "-o", "OUT", "--output-model", "TRAINED", "--type=q8_0",
            "--sequences=20"}, 0, ""},
    {{"train", "-m", "MODEL", "-s", "OUT", "-t", "TEXT", "-c", "TRAINED",
            "--adapters=none"}, 1, "a codec for another model"},
    {{"train", "-m", "TRAINED", "-s", "START", "-t", "TEXT", "-c", "WINDOWS",
            "--adapters=none"}, 1, "a codec for another model"},
  };
  g_autoptr (StGguf) gguf = NULL;

  run_case (&train);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    run_case (&cases[i]);
  gguf = st_gguf_open (trained, NULL);
  g_assert_nonnull (gguf);
  g_assert_cmpint (st_gguf_find (gguf, "blk.1.ffn_down.weight")->type, ==,
      ST_TYPE_Q8_0);
  g_assert_nonnull (strstr (st_gguf_get_string (gguf,
              "rdtraining.joint.settings"), "full-weights=1"));
  g_unlink (training);
  g_unlink (trained);
  g_unlink (out);
}

/* Windows with what the tiny model's tokenizer makes of the text: every byte is a token or part of one. */
static void
write_windows (void)
{
  g_autoptr (StGguf) gguf = st_gguf_open (model, NULL);
  g_autoptr (StTokenizer) tokenizer = st_tokenizer_new (gguf, NULL);
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_autoptr (GString) json = g_string_new ("{\"windows\": [{\"domain\": \"a\","
      " \"ids\": [");
  g_autofree gchar *content = NULL;
  gsize len;

  g_assert_true (g_file_get_contents (text, &content, &len, NULL));
  st_tokenizer_encode (tokenizer, content, len, FALSE, ids, NULL);
  for (guint i = 500; i < 530; i++)
    g_string_append_printf (json, "%s%d", i > 500 ? ", " : "",
        g_array_index (ids, gint32, i));
  g_string_append (json, "]}]}");
  g_file_set_contents (windows, json->str, -1, NULL);
}

static double
point_value (JsonArray * points, guint index, const gchar * name)
{
  return json_object_get_double_member (json_array_get_object_element (points,
          index), name);
}

static double
frame_bits (JsonArray * points, guint index, const gchar * name,
    const gchar * frame)
{
  return json_object_get_double_member (json_object_get_object_member
      (json_array_get_object_element (points, index), name), frame);
}

static double
point_bits (JsonArray * points, guint index, const gchar * frame)
{
  return frame_bits (points, index, "bpt", frame);
}

/* What matters less costs fewer bits and leaves more of a divergence; a hyper-prior's networks see the frame. */
static void
check_evaluation (void)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonObject *root;
  JsonArray *points;

  g_assert_true (json_parser_load_from_file (parser, out, NULL));
  root = json_node_get_object (json_parser_get_root (parser));
  g_assert_nonnull (strstr (json_object_get_string_member (root, "training"),
          "codec=hyperprior-fourier"));
  points = json_object_get_array_member (root, "points");
  g_assert_cmpuint (json_array_get_length (points), ==, 2);
  g_assert_cmpfloat (point_bits (points, 0, "8"), >, point_bits (points, 1,
          "8"));
  g_assert_cmpfloat (point_value (points, 0, "kl"), <, point_value (points, 1,
          "kl"));
  g_assert_cmpfloat (point_bits (points, 0, "8"), !=, point_bits (points, 0,
          "1"));
  /* a frame has 11 bytes at the least, and eight tokens share one */
  g_assert_cmpfloat (frame_bits (points, 0, "wire_bpt", "8"), >,
      point_bits (points, 0, "8") + 11);
  g_assert_cmpfloat (frame_bits (points, 0, "wire_bpt", "1"), >,
      frame_bits (points, 0, "wire_bpt", "8") + 70);
  g_assert_cmpfloat (point_value (points, 0, "reference_perplexity"), ==,
      point_value (points, 1, "reference_perplexity"));
  g_assert_cmpfloat (point_value (points, 0, "perplexity"), >, 1);
  g_assert_cmpfloat (point_value (points, 0, "head_ns_per_token"), >, 0);
}

static void
test_evaluate (void)
{
  static const Case train = { {"train", "-q", "-m", "MODEL", "-s", "START",
          "-t", "TEXT", "-c", "CHECK", "--tokens=500", "--length=32",
      "--held-out=2", "--entropy-model=hyperprior-fourier"}, 0, ""
  };
  static const Case evaluate = { {"evaluate", "-q", "-m", "MODEL", "-s",
          "START", "-t", "TEXT", "-c", "CHECK", "--testset", "WINDOWS",
      "--lambdas=1e-4,1e-2", "--frames=8,1", "-o", "OUT"}, 0, ""
  };
  static const Case nothing = { {"evaluate", "-m", "MODEL", "-s", "START",
      "-t", "TEXT", "-c", "CHECK", "--testset", "TRAINED", "-o", "OUT"}, 1,
  "3 are needed"
  };

  g_file_set_contents (trained,
      "{\"windows\": [{\"domain\": \"a\", \"ids\": [1, 2]}]}", -1, NULL);
  run_case (&nothing);
  g_unlink (trained);
  write_windows ();
  run_case (&train);
  run_case (&evaluate);
  check_evaluation ();
  g_unlink (training);
  g_unlink (out);
}

static void
make_start (void)
{
  static const Case make =
      { {"calibrate", "-q", "--split=2", "-m", "MODEL", "-t", "TEXT",
          "-o", "START", "--sequences=20", "--gradient-sequences=8",
      "--length=32"}, 0, ""
  };

  run_case (&make);
}

static void
test_interrupt (void)
{
  static const gchar *const arguments[MAX_ARGUMENTS] = { "calibrate", "-m",
    "MODEL", "--split=2", "-t", "LONG", "-o", "OUT", "--sequences=5000",
    "--gradient-sequences=5000", "--length=64", "--resume"
  };

  interrupt_twice (arguments);
}

static void
test_interrupt_from_scratch (void)
{
  static const gchar *const arguments[MAX_ARGUMENTS] = { "from-scratch", "-t",
    "LONG", "-o", "OUT", "--steps=5000", "--blocks=2", "--vocabulary=300",
    "--resume"
  };

  interrupt_twice (arguments);
}

static void
write_long_text (void)
{
  g_autoptr (GString) all = g_string_new (NULL);
  g_autofree gchar *content = NULL;

  g_assert_true (g_file_get_contents (text, &content, NULL, NULL));
  for (guint i = 0; i < 30; i++)
    g_string_append (all, content);
  g_file_set_contents (long_text, all->str, -1, NULL);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  directory = g_dir_make_tmp ("rdtrain-XXXXXX", NULL);
  g_assert_nonnull (directory);
  out = g_build_filename (directory, "out.gguf", NULL);
  checkpoint = g_build_filename (directory, "out.gguf.checkpoint", NULL);
  windows = g_build_filename (directory, "windows.json", NULL);
  start = g_build_filename (directory, "start.gguf", NULL);
  training = g_build_filename (directory, "training", NULL);
  trained = g_build_filename (directory, "trained.gguf", NULL);
  text = st_test_data_path ("hamlet20k.txt");
  model = st_tiny_model_temp (NULL);
  long_text = g_build_filename (directory, "long.txt", NULL);
  write_windows ();
  write_long_text ();
  make_start ();
  g_test_add_func ("/rdtrain/usage", test_usage);
  g_test_add_func ("/rdtrain/errors", test_errors);
  g_test_add_func ("/rdtrain/other-vocabulary", test_other_vocabulary);
  g_test_add_func ("/rdtrain/writes", test_writes);
  g_test_add_func ("/rdtrain/windows", test_windows);
  g_test_add_func ("/rdtrain/from-scratch", test_from_scratch);
  g_test_add_func ("/rdtrain/interrupt", test_interrupt);
  g_test_add_func ("/rdtrain/trains", test_trains);
  g_test_add_func ("/rdtrain/full-weights", test_full_weights);
  g_test_add_func ("/rdtrain/evaluate", test_evaluate);
  g_test_add_func ("/rdtrain/interrupt-training", test_interrupt_training);
  g_test_add_func ("/rdtrain/interrupt-from-scratch",
      test_interrupt_from_scratch);
  status = g_test_run ();
  g_unlink (model);
  g_unlink (windows);
  g_unlink (start);
  g_unlink (long_text);
  g_rmdir (directory);
  g_free (model);
  g_free (text);
  g_free (long_text);
  g_free (out);
  g_free (checkpoint);
  g_free (windows);
  g_free (start);
  g_free (training);
  g_free (trained);
  g_free (directory);
  return status;
}
