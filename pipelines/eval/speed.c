/* How fast codecs are. */
#include "pipelines/eval/speed.h"
#include <json-glib/json-glib.h>
#include <math.h>

/* ---- measuring ---- */

static void
speed_clear (gpointer data)
{
  EvalSpeed *speed = data;

  g_array_unref (speed->encode);
  g_array_unref (speed->decode);
}

void
eval_speeds_free (EvalSpeeds * speeds)
{
  g_array_unref (speeds->speeds);
  g_array_unref (speeds->head);
  g_free (speeds);
}

static EvalSpeeds *
speeds_new (EvalRun * run)
{
  EvalSpeeds *speeds = g_new0 (EvalSpeeds, 1);

  speeds->speeds = g_array_new (FALSE, FALSE, sizeof (EvalSpeed));
  g_array_set_clear_func (speeds->speeds, speed_clear);
  speeds->head = g_array_new (FALSE, FALSE, sizeof (gdouble));
  speeds->hidden = run->model.config->hidden_size;
  return speeds;
}

/* Links of the variants that have a clock, each with its place in @speeds. */
static GPtrArray *
open_links (EvalRun * run, const GPtrArray * variants, EvalSpeeds * speeds,
    GError ** error)
{
  g_autoptr (GPtrArray) links =
      g_ptr_array_new_with_free_func ((GDestroyNotify) eval_link_free);

  for (guint i = 0; i < variants->len; i++) {
    const EvalVariant *variant = g_ptr_array_index (variants, i);
    EvalLink *link = eval_run_link (run, variant, 1, error);
    EvalTimes times;

    if (!link)
      return NULL;
    if (!eval_link_times (link, &times)) {
      eval_link_free (link);
      continue;
    }
    EvalSpeed speed = {
      .variant = variant,.encode = g_array_new (FALSE, FALSE, sizeof (gdouble)),
      .decode = g_array_new (FALSE, FALSE, sizeof (gdouble)),
    };
    g_array_append_val (speeds->speeds, speed);
    g_ptr_array_add (links, link);
  }
  return g_steal_pointer (&links);
}

typedef struct
{
  EvalRun *run;
  const EvalText *text;
  float *rows;                  /* what comes out; n x hidden size */
  EvalSum *sums;
} Bench;

static gboolean
time_head (Bench * bench, gdouble * ns, GError ** error)
{
  gint64 start = g_get_monotonic_time ();

  if (!eval_model_head (&bench->run->model, bench->text->ids, bench->text->n,
          -1, bench->rows, error))
    return FALSE;
  *ns = 1000.0 * (gdouble) (g_get_monotonic_time () - start) / bench->text->n;
  return TRUE;
}

static gboolean
time_link (Bench * bench, EvalLink * link, gdouble ns[2], GError ** error)
{
  EvalTimes before, after;

  eval_link_times (link, &before);
  if (!eval_link_send (link, bench->text, eval_run_states (bench->run, 0),
          bench->rows, bench->sums, error))
    return FALSE;
  eval_link_times (link, &after);
  ns[0] = (after.encode_ns - before.encode_ns) / bench->text->n;
  ns[1] = (after.decode_ns - before.decode_ns) / bench->text->n;
  return TRUE;
}

static gboolean
run_round (Bench * bench, const GPtrArray * links, EvalSpeeds * speeds,
    gboolean counts, GError ** error)
{
  g_autofree gdouble *ns = g_new (gdouble, (gsize) 2 * links->len);
  gdouble head;

  if (!time_head (bench, &head, error))
    return FALSE;
  for (guint i = 0; i < links->len; i++)
    if (!time_link (bench, g_ptr_array_index (links, i), ns + (gsize) 2 * i,
            error))
      return FALSE;
  if (!counts)
    return TRUE;
  g_array_append_val (speeds->head, head);
  for (guint i = 0; i < links->len; i++) {
    EvalSpeed *speed = &g_array_index (speeds->speeds, EvalSpeed, i);

    g_array_append_val (speed->encode, ns[2 * i]);
    g_array_append_val (speed->decode, ns[2 * i + 1]);
  }
  return TRUE;
}

gboolean
eval_run_speed (EvalRun * run, const GPtrArray * variants, guint rounds,
    EvalSpeeds ** speeds, GError ** error)
{
  const EvalText *text = eval_run_text (run, 0);
  g_autofree float *rows = g_new (float,
      (gsize) text->n * run->model.config->hidden_size);
  g_autofree EvalSum *sums = g_new0 (EvalSum, text->n);
  Bench bench = { run, text, rows, sums };
  g_autoptr (GPtrArray) links = NULL;

  *speeds = speeds_new (run);
  links = open_links (run, variants, *speeds, error);
  if (!links)
    return FALSE;
  for (guint i = 0; i <= rounds; i++)
    if (!run_round (&bench, links, *speeds, i > 0, error))
      return FALSE;
  return TRUE;
}

/* ---- report ---- */

static gdouble
median (GArray * values)
{
  return values->len ? eval_quantile ((gdouble *) values->data, values->len,
      0.5) : NAN;
}

gchar *
eval_speeds_text (EvalSpeeds * speeds)
{
  gdouble head = median (speeds->head);
  GString *out = g_string_new (NULL);

  g_string_append_printf (out, "median of %u rounds, one thread; the head's "
      "own prefill: %.0f ns a token\n%-28s %7s %10s %10s %9s %9s %7s %7s\n",
      speeds->head->len, head, "curve", "quality", "enc ns/t", "dec ns/t",
      "enc ns/v", "dec ns/v", "enc %", "dec %");
  for (guint i = 0; i < speeds->speeds->len; i++) {
    EvalSpeed *s = &g_array_index (speeds->speeds, EvalSpeed, i);
    gdouble encode = median (s->encode), decode = median (s->decode);
    g_autofree gchar *value = isnan (s->variant->value) ? g_strdup ("-") :
        g_strdup_printf ("%g", s->variant->value);

    g_string_append_printf (out,
        "%-28s %7s %10.0f %10.0f %9.2f %9.2f %7.2f %7.2f\n", s->variant->curve,
        value, encode, decode, encode / speeds->hidden,
        decode / speeds->hidden, 100 * encode / head, 100 * decode / head);
  }
  g_string_append (out, "t: token; v: value of a hidden state; %: of the "
      "head's prefill\n");
  return g_string_free (out, FALSE);
}

static void
add_number (JsonBuilder * b, const gchar * name, gdouble value)
{
  json_builder_set_member_name (b, name);
  if (isnan (value))
    json_builder_add_null_value (b);
  else
    json_builder_add_double_value (b, value);
}

gchar *
eval_speeds_json (EvalSpeeds * speeds)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;

  json_builder_begin_object (b);
  json_builder_set_member_name (b, "rounds");
  json_builder_add_int_value (b, speeds->head->len);
  add_number (b, "head_ns_per_token", median (speeds->head));
  json_builder_set_member_name (b, "speeds");
  json_builder_begin_array (b);
  for (guint i = 0; i < speeds->speeds->len; i++) {
    EvalSpeed *s = &g_array_index (speeds->speeds, EvalSpeed, i);

    json_builder_begin_object (b);
    json_builder_set_member_name (b, "curve");
    json_builder_add_string_value (b, s->variant->curve);
    add_number (b, "quality", s->variant->value);
    json_builder_set_member_name (b, "frame_tokens");
    json_builder_add_int_value (b, s->variant->frame_tokens);
    add_number (b, "encode_ns_per_token", median (s->encode));
    add_number (b, "decode_ns_per_token", median (s->decode));
    json_builder_end_object (b);
  }
  json_builder_end_array (b);
  json_builder_end_object (b);
  root = json_builder_get_root (b);
  return json_to_string (root, TRUE);
}
