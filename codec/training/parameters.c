#include "codec/training/parameters.h"

#include <string.h>

G_DEFINE_QUARK (rd_training_error_quark, rd_training_error)
     static void clear_parameter (gpointer parameter)
{
  g_free (((RdParameter *) parameter)->name);
}

gsize
rd_parameters_add (RdParameters * parameters, const gchar * name,
    float *values, gsize n, gboolean decay, float rate)
{
  const RdParameter parameter = {
    g_strdup (name), values, n, parameters->n, decay, rate
  };

  g_assert (strlen (name) <= RD_PARAMETER_NAME_MAX && n > 0
      && n <= G_MAXSIZE / sizeof (float) - parameters->n);
  if (parameters->list == NULL) {
    parameters->list = g_array_new (FALSE, FALSE, sizeof (RdParameter));
    g_array_set_clear_func (parameters->list, clear_parameter);
  }
  g_array_append_val (parameters->list, parameter);
  parameters->n += n;
  return parameter.offset;
}

void
rd_parameters_clear (RdParameters * parameters)
{
  g_clear_pointer (&parameters->list, g_array_unref);
  parameters->n = 0;
}
