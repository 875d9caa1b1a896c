/* Plays a string in one process and changes the encoder while it runs:
 * the text on standard output, bits per token on standard error, live.
 *
 * With a codec file the quality goes down step by step; the built-in codecs
 * have one quality each, so packing is switched off and on instead.
 *
 *   change-quality --model FILE.gguf --codec CODEC.gguf Once upon a time */
#include <gst/gst.h>
#include <stdlib.h>

static const gdouble qualities[] = { 90, 70, 50, 30, 10 };

typedef struct
{
  GMainLoop *loop;
  GstElement *encoder;
  gboolean fixed;               /* a built-in codec */
  gint step;                    /* tokens from one change to the next */
  guint n_changes;
  guint64 tokens, bytes;        /* at the last change */
  int status;
} App;

static void
change (App * app)
{
  guint n = app->n_changes++;

  if (app->fixed)
    g_object_set (app->encoder, "pack", n % 2 == 0, NULL);
  else
    g_object_set (app->encoder, "quality",
        qualities[n % G_N_ELEMENTS (qualities)], NULL);
}

static void
print_setting (App * app, guint64 tokens, gdouble bits)
{
  gdouble quality;
  gboolean pack;

  g_object_get (app->encoder, "quality", &quality, "pack", &pack, NULL);
  if (app->fixed)
    g_printerr ("\n[%" G_GUINT64_FORMAT " tokens, pack=%s: %.0f bits per "
        "token]\n", tokens, pack ? "true" : "false", bits);
  else
    g_printerr ("\n[%" G_GUINT64_FORMAT " tokens, quality=%.0f: %.0f bits per "
        "token]\n", tokens, quality, bits);
}

/* rdencoder-stats comes with every buffer (stats-interval=1). Each setting is
 * kept for some tokens, then what they took is shown and the next one set. */
static void
on_stats (App * app, const GstStructure * stats)
{
  guint64 tokens = 0, bytes = 0;

  gst_structure_get_uint64 (stats, "tokens", &tokens);
  gst_structure_get_uint64 (stats, "bytes", &bytes);
  if (tokens < app->tokens + (guint64) app->step)
    return;
  print_setting (app, tokens - app->tokens, 8.0 * (gdouble) (bytes
          - app->bytes) / (gdouble) (tokens - app->tokens));
  app->tokens = tokens;
  app->bytes = bytes;
  change (app);
}

static void
on_element_message (App * app, const GstStructure * s)
{
  gdouble bits = 0;

  if (!gst_structure_has_name (s, "rdencoder-stats"))
    return;
  if (!gst_structure_has_field (s, "session")) {
    on_stats (app, s);
  } else if (gst_structure_get_double (s, "bits-per-token", &bits)) {
    /* the one at a session's end, over all of it */
    g_printerr ("\n[on the whole: %.0f bits per token]\n", bits);
  }
}

static gboolean
on_bus (GstBus * bus, GstMessage * message, gpointer user_data)
{
  App *app = user_data;
  g_autoptr (GError) error = NULL;

  (void) bus;
  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_ERROR:
      gst_message_parse_error (message, &error, NULL);
      g_printerr ("%s: %s\n", GST_OBJECT_NAME (message->src), error->message);
      app->status = EXIT_FAILURE;
      g_main_loop_quit (app->loop);
      break;
    case GST_MESSAGE_WARNING:
      gst_message_parse_warning (message, &error, NULL);
      g_printerr ("%s: %s\n", GST_OBJECT_NAME (message->src), error->message);
      break;
    case GST_MESSAGE_EOS:
      g_main_loop_quit (app->loop);
      break;
    case GST_MESSAGE_ELEMENT:
      on_element_message (app, gst_message_get_structure (message));
      break;
    default:
      break;
  }
  return G_SOURCE_CONTINUE;
}

typedef struct
{
  gchar *model, *codec, *prompt;
  gint split, max_tokens, step;
} Options;

static GstElement *
build (const Options * options, App * app, GError ** error)
{
  /* without the flag a string with an unknown element gives a part of the pipeline */
  GstElement *pipeline = gst_parse_launch_full
      ("tokensrc name=tokens ! transformerhead name=head ! "
      "rdencoder name=encoder stats-interval=1 ! rddecoder name=decoder ! "
      "transformertail name=tail ! fdsink sync=false async=false", NULL,
      GST_PARSE_FLAG_FATAL_ERRORS, error);
  const gchar *codec = options->codec ? options->codec : "f16";
  static const gchar *const built_in[] = { "f32", "f16", "int8", "int4", NULL };

  if (!pipeline)
    return NULL;
  g_autoptr (GstElement) tokens = gst_bin_get_by_name (GST_BIN (pipeline),
      "tokens");
  g_autoptr (GstElement) head = gst_bin_get_by_name (GST_BIN (pipeline),
      "head");
  g_autoptr (GstElement) decoder = gst_bin_get_by_name (GST_BIN (pipeline),
      "decoder");
  g_autoptr (GstElement) tail = gst_bin_get_by_name (GST_BIN (pipeline),
      "tail");
  app->encoder = gst_bin_get_by_name (GST_BIN (pipeline), "encoder");
  app->fixed = g_strv_contains (built_in, codec);
  app->step = options->step;
  g_object_set (tokens, "model", options->model, "prompt", options->prompt,
      "max-tokens", options->max_tokens, NULL);
  g_object_set (head, "model", options->model, "split-layer", options->split,
      "codec", codec, NULL);
  g_object_set (tail, "model", options->model, "codec", codec, NULL);
  g_object_set (app->encoder, "codec", codec, NULL);
  /* the built-in ones are named by the stream */
  if (!app->fixed)
    g_object_set (decoder, "codec", codec, NULL);
  change (app);
  return pipeline;
}

static gboolean
play (const Options * options, App * app)
{
  g_autoptr (GError) error = NULL;
  GstElement *pipeline = build (options, app, &error);
  GstBus *bus;

  if (!pipeline) {
    g_printerr ("%s\n", error->message);
    return FALSE;
  }
  app->loop = g_main_loop_new (NULL, FALSE);
  bus = gst_element_get_bus (pipeline);
  gst_bus_add_watch (bus, on_bus, app);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  g_main_loop_run (app->loop);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  g_print ("\n");
  gst_bus_remove_watch (bus);
  gst_object_unref (bus);
  gst_object_unref (app->encoder);
  gst_object_unref (pipeline);
  g_main_loop_unref (app->loop);
  return app->status == EXIT_SUCCESS;
}

int
main (int argc, char **argv)
{
  Options options = {.split = 10,.max_tokens = 200,.step = 20 };
  GOptionEntry entries[] = {
    {"model", 'm', 0, G_OPTION_ARG_FILENAME, &options.model, "GGUF file",
        "FILE"},
    {"codec", 'c', 0, G_OPTION_ARG_STRING, &options.codec,
        "codec file, or f32, f16 (default), int8, int4", "CODEC"},
    {"split", 's', 0, G_OPTION_ARG_INT, &options.split,
        "cut before this block (10)", "K"},
    {"max-tokens", 'n', 0, G_OPTION_ARG_INT, &options.max_tokens,
        "tokens of the answer at most (200)", "N"},
    {"step", 't', 0, G_OPTION_ARG_INT, &options.step,
        "tokens from one change to the next (20)", "N"},
    {NULL, 0, 0, 0, NULL, NULL, NULL}
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("PROMPT");
  g_autoptr (GError) error = NULL;
  App app = {.status = EXIT_SUCCESS };
  gboolean good;

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_add_group (context, gst_init_get_option_group ());
  if (!g_option_context_parse (context, &argc, &argv, &error)) {
    g_printerr ("%s\n", error->message);
    return EXIT_FAILURE;
  }
  if (!options.model || argc < 2 || options.step < 1) {
    g_printerr ("usage: change-quality --model FILE.gguf PROMPT (see --help)"
        "\n");
    return EXIT_FAILURE;
  }
  options.prompt = g_strjoinv (" ", argv + 1);
  good = play (&options, &app);
  g_free (options.model);
  g_free (options.codec);
  g_free (options.prompt);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
