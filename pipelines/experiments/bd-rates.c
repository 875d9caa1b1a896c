/* bd-rates: differences between rate-distortion curves. Lines "CURVE<tab>RATE<tab>DISTORTION" on standard input; for each pair of curves a line
 * "ANCHOR<tab>CURVE<tab>SHARE" on standard output, -0.1: CURVE needs 10 % fewer bits than ANCHOR at the same distortion. Pairs that share no
 * distortion are left out. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipelines/eval/curve.h"

typedef struct
{
  gchar *name;
  GArray *rate, *distortion;    /* gdouble */
} Curve;

static void
curve_free (gpointer pointer)
{
  Curve *curve = pointer;

  g_free (curve->name);
  g_array_unref (curve->rate);
  g_array_unref (curve->distortion);
  g_free (curve);
}

static Curve *
find_curve (GPtrArray * curves, const gchar * name)
{
  Curve *curve;

  for (guint i = 0; i < curves->len; i++) {
    curve = g_ptr_array_index (curves, i);
    if (g_str_equal (curve->name, name))
      return curve;
  }
  curve = g_new (Curve, 1);
  curve->name = g_strdup (name);
  curve->rate = g_array_new (FALSE, FALSE, sizeof (gdouble));
  curve->distortion = g_array_new (FALSE, FALSE, sizeof (gdouble));
  g_ptr_array_add (curves, curve);
  return curve;
}

static gboolean
read_number (const gchar * text, gdouble * value)
{
  gchar *end;

  *value = g_ascii_strtod (text, &end);
  return end != text && *end == '\0' && isfinite (*value);
}

static gboolean
read_line (GPtrArray * curves, const gchar * line)
{
  g_auto (GStrv) parts = g_strsplit (line, "\t", -1);
  gdouble rate, distortion;
  Curve *curve;

  if (g_strv_length (parts) != 3 || !read_number (parts[1], &rate)
      || !read_number (parts[2], &distortion))
    return FALSE;
  curve = find_curve (curves, parts[0]);
  g_array_append_val (curve->rate, rate);
  g_array_append_val (curve->distortion, distortion);
  return TRUE;
}

static gboolean
read_curves (GPtrArray * curves)
{
  g_autoptr (GIOChannel) in = g_io_channel_unix_new (0);

  for (guint number = 1;; number++) {
    g_autofree gchar *line = NULL;
    gsize end;

    if (g_io_channel_read_line (in, &line, NULL, &end, NULL)
        != G_IO_STATUS_NORMAL)
      return TRUE;
    line[end] = '\0';
    if (!read_line (curves, line)) {
      g_printerr ("bd-rates: line %u is not CURVE, rate and distortion\n",
          number);
      return FALSE;
    }
  }
}

static gdouble
difference (const Curve * anchor, const Curve * test)
{
  const EvalCurve a = { (const gdouble *) anchor->rate->data,
    (const gdouble *) anchor->distortion->data, anchor->rate->len
  };
  const EvalCurve t = { (const gdouble *) test->rate->data,
    (const gdouble *) test->distortion->data, test->rate->len
  };

  return eval_bd_rate (&a, &t);
}

int
main (void)
{
  g_autoptr (GPtrArray) curves = g_ptr_array_new_with_free_func (curve_free);

  if (!read_curves (curves))
    return EXIT_FAILURE;
  for (guint i = 0; i < curves->len; i++) {
    for (guint j = 0; j < curves->len; j++) {
      const Curve *anchor = g_ptr_array_index (curves, i);
      const Curve *test = g_ptr_array_index (curves, j);
      const gdouble share = difference (anchor, test);

      if (i != j && isfinite (share))
        printf ("%s\t%s\t%.5f\n", anchor->name, test->name, share);
    }
  }
  return EXIT_SUCCESS;
}
