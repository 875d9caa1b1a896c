#include "codec/training/adapters-reduce.h"

#include <math.h>
#include <string.h>

#include "codec/training/checks.h"
#include "codec/training/linear.h"

/* Eigenvalues below this share of the largest are those of nothing. */
#define NOTHING 1e-14

typedef struct
{
  gsize n, outputs, inputs;     /* n: rank as it is */
  double *u, *v;                /* (outputs, n), (n, inputs) */
  double *gram, *values;        /* (n, n), (n) */
  double *there, *back;         /* (n, n) to rows of V that are orthonormal, and what undoes it for columns of U */
  double *work;                 /* (n, n) */
  double *out;                  /* (max (outputs, inputs), n) */
} Scratch;

static void
scratch_clear (Scratch * s)
{
  double *const arrays[] = { s->u, s->v, s->gram, s->values, s->there, s->back,
    s->work, s->out
  };

  for (guint i = 0; i < G_N_ELEMENTS (arrays); i++)
    g_free (arrays[i]);
}

static gboolean
scratch_init (Scratch * s, const gchar * what, GError ** error)
{
  const struct
  {
    double **array;
    gsize rows, cols;
  } arrays[] = {
    {&s->u, s->outputs, s->n}, {&s->v, s->n, s->inputs}, {&s->gram, s->n, s->n},
    {&s->values, 1, s->n}, {&s->there, s->n, s->n}, {&s->back, s->n, s->n},
    {&s->work, s->n, s->n}, {&s->out, MAX (s->outputs, s->inputs), s->n}
  };

  for (guint i = 0; i < G_N_ELEMENTS (arrays); i++) {
    *arrays[i].array =
        rd_linear_new (arrays[i].rows, arrays[i].cols, what, error);
    if (*arrays[i].array == NULL)
      return FALSE;
  }
  return TRUE;
}

/* there = D^-1/2 Q, back = D^1/2 Q of V V^T = Q^T D Q. */
static gboolean
whiten (Scratch * s, const gchar * what, GError ** error)
{
  const gsize n = s->n;

  rd_linear_product (s->v, s->v, n, n, s->inputs, TRUE, s->gram);
  if (!rd_linear_eigen (s->gram, n, s->values, what, error))
    return FALSE;
  for (gsize i = 0; i < n; i++) {
    const gboolean nothing = !(s->values[i] > NOTHING * s->values[0]);
    const double root = nothing ? 0 : sqrt (s->values[i]);

    for (gsize j = 0; j < n; j++) {
      s->back[i * n + j] = root * s->gram[i * n + j];
      s->there[i * n + j] = nothing ? 0 : s->gram[i * n + j] / root;
    }
  }
  return TRUE;
}

/* gram = the right singular vectors of U V, one a row, over the orthonormal rows. */
static gboolean
find_directions (Scratch * s, const gchar * what, GError ** error)
{
  const gsize n = s->n;

  memset (s->gram, 0, n * n * sizeof (double));
  rd_linear_gram (s->u, s->outputs, n, s->gram);
  rd_linear_mirror (s->gram, n);
  rd_linear_product (s->back, s->gram, n, n, n, FALSE, s->work);
  rd_linear_product (s->work, s->back, n, n, n, TRUE, s->gram);
  return rd_linear_eigen (s->gram, n, s->values, what, error);
}

/* The first @rank of them, as factors. */
static void
project (Scratch * s, guint rank, float *u, float *v)
{
  const gsize n = s->n;

  rd_linear_product (s->gram, s->back, n, n, n, FALSE, s->work);
  rd_linear_product (s->u, s->work, s->outputs, n, n, TRUE, s->out);
  for (gsize i = 0; i < s->outputs * n; i++)
    u[i] = i % n < rank ? (float) s->out[i] : 0;
  rd_linear_product (s->gram, s->there, n, n, n, FALSE, s->work);
  rd_linear_product (s->work, s->v, n, s->inputs, n, FALSE, s->out);
  for (gsize i = 0; i < n * s->inputs; i++)
    v[i] = i < rank * s->inputs ? (float) s->out[i] : 0;
}

static gboolean
reduce (Scratch * s, guint rank, float *u, float *v, const gchar * what,
    GError ** error)
{
  if (!scratch_init (s, what, error))
    return FALSE;
  for (gsize i = 0; i < s->outputs * s->n; i++)
    s->u[i] = (double) u[i];
  for (gsize i = 0; i < s->n * s->inputs; i++)
    s->v[i] = (double) v[i];
  if (!whiten (s, what, error) || !find_directions (s, what, error))
    return FALSE;
  project (s, rank, u, v);
  return TRUE;
}

gboolean
rd_adapters_reduce (RdAdapters * adapters, guint rank, GError ** error)
{
  if (!rd_check_number ("rank of the codec file's adapters", rank, 1,
          adapters->rank, error))
    return FALSE;
  for (guint i = 0; i < adapters->config.n_blocks * RD_N_MATRICES; i++) {
    const guint block = i / RD_N_MATRICES;
    const RdMatrix matrix = (RdMatrix) (i % RD_N_MATRICES);
    g_autofree gchar *name = rd_matrix_full_name (block, matrix);
    Scratch s = {.n = adapters->rank };
    float *u, *v;
    gboolean ok;

    if (!rd_adapters_find (adapters, block, matrix, &u, &v))
      continue;
    rd_matrix_shape (&adapters->config, matrix, &s.outputs, &s.inputs);
    ok = reduce (&s, rank, u, v, name, error);
    scratch_clear (&s);
    if (!ok)
      return FALSE;
  }
  return TRUE;
}
