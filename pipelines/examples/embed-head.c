/* An application that embeds the head half: prompt in, the answer back on
 * standard output, live figures on standard error.
 *
 * It shows what an application needs: the bus (errors, warnings, element
 * messages, end of stream), reading `stats` while the stream plays, and
 * changing a property of the encoder in PLAYING.
 *
 * The tail runs elsewhere, for example pipelines/udp-tail. */
#include <gst/app/gstappsink.h>
#include <gst/gst.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct
{
  GMainLoop *loop;
  GstElement *pipeline;
  GstElement *encoder;
  int status;
} App;

static gboolean
on_bus (GstBus * bus, GstMessage * message, gpointer user_data)
{
  App *app = user_data;
  g_autoptr (GError) error = NULL;
  g_autofree gchar *debug = NULL;

  (void) bus;
  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_ERROR:
      gst_message_parse_error (message, &error, &debug);
      g_printerr ("%s: %s\n", GST_OBJECT_NAME (message->src), error->message);
      app->status = EXIT_FAILURE;
      g_main_loop_quit (app->loop);
      break;
    case GST_MESSAGE_WARNING:
      gst_message_parse_warning (message, &error, &debug);
      g_printerr ("%s: %s\n", GST_OBJECT_NAME (message->src), error->message);
      break;
    case GST_MESSAGE_EOS:
      g_main_loop_quit (app->loop);
      break;
    case GST_MESSAGE_ELEMENT:{
      g_autofree gchar *text =
          gst_structure_to_string (gst_message_get_structure (message));
      g_printerr ("\n%s\n", text);
      break;
    }
    default:
      break;
  }
  return G_SOURCE_CONTINUE;
}

/* The answer's text, as the head's own tokenizer spells it. */
static GstFlowReturn
on_answer (GstAppSink * sink, gpointer user_data)
{
  g_autoptr (GstSample) sample = gst_app_sink_pull_sample (sink);
  GstMapInfo map;

  (void) user_data;
  if (sample && gst_buffer_map (gst_sample_get_buffer (sample), &map,
          GST_MAP_READ)) {
    fwrite (map.data, 1, map.size, stdout);
    fflush (stdout);
    gst_buffer_unmap (gst_sample_get_buffer (sample), &map);
  }
  return GST_FLOW_OK;
}

/* Once a second: what the encoder has spent so far. After the first look
 * zstd is left out, which shows in the figures that follow: a property
 * changed while playing. */
static gboolean
on_tick (gpointer user_data)
{
  App *app = user_data;
  GstStructure *stats = NULL;
  gdouble bits = 0;
  guint64 tokens = 0;

  g_object_get (app->encoder, "stats", &stats, NULL);
  if (!stats)
    return G_SOURCE_CONTINUE;
  gst_structure_get_uint64 (stats, "tokens", &tokens);
  gst_structure_get_double (stats, "bits-per-token", &bits);
  gst_structure_free (stats);
  if (tokens > 0) {
    g_printerr ("[%" G_GUINT64_FORMAT " tokens, %.0f bits per token]\n",
        tokens, bits);
    g_object_set (app->encoder, "pack", FALSE, NULL);
  }
  return G_SOURCE_CONTINUE;
}

static GstElement *
build (const gchar * model, gint split, const gchar * prompt, gint max_tokens,
    const gchar * codec, const gchar * host, gint port, gint reply_port,
    GError ** error)
{
  GstElement *pipeline, *element;

  pipeline = gst_parse_launch
      ("tokensrc name=tokens ! transformerhead name=head ! "
      "rdencoder name=encoder ! udpsink name=out sync=false async=false "
      "udpsrc name=in ! rdparse ! encoder.feedback "
      "tokens.answer ! appsink name=answer sync=false async=false", error);
  if (!pipeline)
    return NULL;

  /* Values are set, not pasted into the string: a prompt may hold quotes. */
  element = gst_bin_get_by_name (GST_BIN (pipeline), "tokens");
  g_object_set (element, "model", model, "prompt", prompt,
      "chat-template", "auto", "max-tokens", max_tokens, NULL);
  gst_object_unref (element);
  element = gst_bin_get_by_name (GST_BIN (pipeline), "head");
  g_object_set (element, "model", model, "split-layer", split, "codec",
      codec, NULL);
  gst_object_unref (element);
  element = gst_bin_get_by_name (GST_BIN (pipeline), "encoder");
  g_object_set (element, "codec", codec, "reply-port", reply_port, NULL);
  gst_object_unref (element);
  element = gst_bin_get_by_name (GST_BIN (pipeline), "out");
  g_object_set (element, "host", host, "port", port, NULL);
  gst_object_unref (element);
  element = gst_bin_get_by_name (GST_BIN (pipeline), "in");
  g_object_set (element, "port", reply_port, "reuse", FALSE, NULL);
  gst_object_unref (element);
  return pipeline;
}

int
main (int argc, char **argv)
{
  g_autofree gchar *model = NULL, *host = NULL, *codec = NULL, *prompt = NULL;
  gint port = 5000, reply_port = 5001, split = 10, max_tokens = 200;
  GOptionEntry entries[] = {
    {"model", 'm', 0, G_OPTION_ARG_FILENAME, &model, "GGUF file", "FILE"},
    {"split", 's', 0, G_OPTION_ARG_INT, &split,
        "cut before this block (10)", "K"},
    {"max-tokens", 'n', 0, G_OPTION_ARG_INT, &max_tokens,
        "tokens of the answer at most (200)", "N"},
    {"host", 'H', 0, G_OPTION_ARG_STRING, &host, "the tail's address", "HOST"},
    {"port", 'p', 0, G_OPTION_ARG_INT, &port, "the tail's udp port", "N"},
    {"reply-port", 'r', 0, G_OPTION_ARG_INT, &reply_port,
        "our udp port for the way back", "N"},
    {"codec", 'c', 0, G_OPTION_ARG_STRING, &codec, "f32, f16, int8, int4",
        "NAME"},
    {NULL, 0, 0, 0, NULL, NULL, NULL}
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("PROMPT");
  g_autoptr (GError) error = NULL;
  GstAppSinkCallbacks callbacks = {.new_sample = on_answer };
  App app = {.status = EXIT_SUCCESS };
  GstElement *answer;
  GstBus *bus;
  guint tick;

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_add_group (context, gst_init_get_option_group ());
  if (!g_option_context_parse (context, &argc, &argv, &error)) {
    g_printerr ("%s\n", error->message);
    return EXIT_FAILURE;
  }
  if (!model || argc < 2) {
    g_printerr ("usage: embed-head --model FILE.gguf PROMPT (see --help)\n");
    return EXIT_FAILURE;
  }
  prompt = g_strjoinv (" ", argv + 1);
  app.pipeline = build (model, split, prompt, max_tokens,
      codec ? codec : "f16", host ? host : "127.0.0.1", port, reply_port,
      &error);
  if (!app.pipeline) {
    g_printerr ("%s\n", error->message);
    return EXIT_FAILURE;
  }

  app.loop = g_main_loop_new (NULL, FALSE);
  app.encoder = gst_bin_get_by_name (GST_BIN (app.pipeline), "encoder");
  answer = gst_bin_get_by_name (GST_BIN (app.pipeline), "answer");
  gst_app_sink_set_callbacks (GST_APP_SINK (answer), &callbacks, NULL, NULL);
  bus = gst_element_get_bus (app.pipeline);
  gst_bus_add_watch (bus, on_bus, &app);
  tick = g_timeout_add_seconds (1, on_tick, &app);

  gst_element_set_state (app.pipeline, GST_STATE_PLAYING);
  g_main_loop_run (app.loop);
  gst_element_set_state (app.pipeline, GST_STATE_NULL);
  g_print ("\n");

  g_source_remove (tick);
  gst_bus_remove_watch (bus);
  gst_object_unref (bus);
  gst_object_unref (answer);
  gst_object_unref (app.encoder);
  gst_object_unref (app.pipeline);
  g_main_loop_unref (app.loop);
  return app.status;
}
