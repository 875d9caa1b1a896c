#include "codec/training/train-state.h"

#include <string.h>

#include "codec/training/settings-text.h"
#include "codec/wire/frame.h"
#include "models/gguf/gguf-writer.h"

#define KEY_VERSION "rdtraining.version"
#define KEY_SETTINGS "rdtraining.settings"
#define KEY_STEPS "rdtraining.steps"
#define KEY_COUNTERS "rdtraining.counters"
#define KEY_CHECKSUM "rdtraining.crc32c"
#define FILE_VERSION 1u

/* The three arrays that a parameter has in the file. */
#define N_PARTS 3
static const gchar *const part_names[N_PARTS] = { "value", "mean", "square" };

static float *
part_of (const RdTrainState * state, const RdParameter * p, guint part)
{
  switch (part) {
    case 0:
      return p->values;
    case 1:
      return state->adamw->mean + p->offset;
    default:
      return state->adamw->square + p->offset;
  }
}

/* Continues @crc with all that is not an array. */
static guint32
sum_numbers (guint32 crc, const gchar * settings, guint64 steps,
    const guint64 * counters)
{
  crc = rd_crc32c (crc, settings, strlen (settings));
  crc = rd_crc32c (crc, &steps, sizeof (steps));
  return rd_crc32c (crc, counters, RD_TRAIN_STATE_COUNTERS * sizeof (guint64));
}

static gboolean
add_arrays (StGgufWriter * writer, const RdTrainState * state, guint32 * crc,
    GError ** error)
{
  for (guint i = 0; i < rd_parameters_count (state->parameters); i++) {
    const RdParameter *p = rd_parameters_get (state->parameters, i);
    const guint64 n = p->n;

    for (guint part = 0; part < N_PARTS; part++) {
      const float *data = part_of (state, p, part);
      g_autofree gchar *name =
          g_strdup_printf ("%s.%s", p->name, part_names[part]);

      *crc = rd_crc32c (*crc, data, p->n * sizeof (float));
      if (!st_gguf_writer_add_tensor (writer, name, ST_TYPE_F32, 1, &n, data,
              error))
        return FALSE;
    }
  }
  return TRUE;
}

gboolean
rd_train_state_write (const gchar * path, const RdTrainState * state,
    GError ** error)
{
  g_autoptr (StGgufWriter) writer = st_gguf_writer_new ();
  const guint64 steps = state->adamw->steps;
  guint32 crc = sum_numbers (0, state->settings, steps, state->counters);

  st_gguf_writer_set_uint32 (writer, KEY_VERSION, FILE_VERSION);
  st_gguf_writer_set_string (writer, KEY_SETTINGS, state->settings);
  st_gguf_writer_set_uint64 (writer, KEY_STEPS, steps);
  st_gguf_writer_set_array (writer, KEY_COUNTERS, ST_GGUF_UINT64,
      state->counters, RD_TRAIN_STATE_COUNTERS);
  if (!add_arrays (writer, state, &crc, error))
    return FALSE;
  st_gguf_writer_set_uint32 (writer, KEY_CHECKSUM, crc);
  return st_gguf_writer_write (writer, path, error);
}

G_GNUC_PRINTF (3, 4)
     static gboolean
         fail_damaged (GError ** error, const StGguf * gguf,
    const gchar * format, ...)
{
  g_autofree gchar *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_DAMAGED,
      "%s is a damaged checkpoint (%s)", st_gguf_path (gguf), what);
  return FALSE;
}

static gboolean
fail_other (GError ** error, const StGguf * gguf, const gchar * settings,
    const gchar * wanted)
{
  g_autofree gchar *difference = rd_settings_difference (settings, wanted);

  if (difference != NULL)
    g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER,
        "%s is of a training with other settings: %s", st_gguf_path (gguf),
        difference);
  else
    g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER,
        "%s is of another kind of training, with\n  %s", st_gguf_path (gguf),
        settings);
  return FALSE;
}

/* A file of any other kind may be worth more than a checkpoint: nothing is said that would have it removed. */
static const gchar *
find_settings (const StGguf * gguf, GError ** error)
{
  const gchar *settings = st_gguf_get_string (gguf, KEY_SETTINGS);
  guint64 version = 0;

  if (!st_gguf_get_uint (gguf, KEY_VERSION, &version) || settings == NULL) {
    g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_NO_CHECKPOINT,
        "%s is not a checkpoint of rdtrain train or from-scratch",
        st_gguf_path (gguf));
    return NULL;
  }
  if (version == FILE_VERSION)
    return settings;
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_NO_CHECKPOINT,
      "%s is a checkpoint of version %" G_GUINT64_FORMAT ", not %u",
      st_gguf_path (gguf), version, FILE_VERSION);
  return NULL;
}

/* What the file says beside its arrays. */
typedef struct
{
  const gchar *settings;        /* the file's */
  guint64 steps, checksum;
  guint64 counters[RD_TRAIN_STATE_COUNTERS];
} Numbers;

static gboolean
read_numbers (const StGguf * gguf, const gchar * wanted, Numbers * numbers,
    GError ** error)
{
  const StGgufEntry *counters = st_gguf_find_entry (gguf, KEY_COUNTERS);
  const gchar *settings = find_settings (gguf, error);

  if (settings == NULL)
    return FALSE;
  if (wanted != NULL && strcmp (settings, wanted) != 0)
    return fail_other (error, gguf, settings, wanted);
  if (counters == NULL || counters->type != ST_GGUF_ARRAY
      || counters->element_type != ST_GGUF_UINT64
      || counters->n != RD_TRAIN_STATE_COUNTERS
      || !st_gguf_get_uint (gguf, KEY_STEPS, &numbers->steps)
      || !st_gguf_get_uint (gguf, KEY_CHECKSUM, &numbers->checksum)) {
    fail_damaged (error, gguf, "counters are missing");
    return FALSE;
  }
  numbers->settings = settings;
  memcpy (numbers->counters, counters->value + ST_GGUF_ARRAY_HEADER_BYTES,
      sizeof (numbers->counters));
  return TRUE;
}

/* Data of an array in the file's mapping. */
static const guint8 *
find_array (const StGguf * gguf, const RdParameter * p, guint part,
    GError ** error)
{
  g_autofree gchar *name = g_strdup_printf ("%s.%s", p->name, part_names[part]);
  const StTensor *tensor = st_gguf_find (gguf, name);

  if (tensor != NULL && tensor->type == ST_TYPE_F32
      && tensor->size == p->n * sizeof (float))
    return tensor->data;
  fail_damaged (error, gguf, "no %s of %" G_GSIZE_FORMAT " numbers", name,
      p->n);
  return NULL;
}

/* The arrays are in the file in the order in which they were summed. */
static gboolean
check_sum (const StGguf * gguf, const Numbers * numbers, GError ** error)
{
  guint32 crc = sum_numbers (0, numbers->settings, numbers->steps,
      numbers->counters);

  for (guint64 i = 0; i < st_gguf_n_tensors (gguf); i++) {
    const StTensor *tensor = st_gguf_tensor (gguf, i);

    crc = rd_crc32c (crc, tensor->data, tensor->size);
  }
  return crc == numbers->checksum
      || fail_damaged (error, gguf, "its checksum is wrong");
}

/* Looks for the arrays, or (@copy) takes them over. */
static gboolean
read_arrays (const StGguf * gguf, const RdTrainState * state, gboolean copy,
    GError ** error)
{
  for (guint i = 0; i < rd_parameters_count (state->parameters); i++) {
    const RdParameter *p = rd_parameters_get (state->parameters, i);

    for (guint part = 0; part < N_PARTS; part++) {
      const guint8 *data = find_array (gguf, p, part, error);

      if (data == NULL)
        return FALSE;
      if (copy)
        memcpy (part_of (state, p, part), data, p->n * sizeof (float));
    }
  }
  return TRUE;
}

gboolean
rd_train_state_read (const gchar * path, RdTrainState * state, GError ** error)
{
  g_autoptr (StGguf) gguf = st_gguf_open (path, error);
  Numbers numbers = { 0 };

  if (gguf == NULL || !read_numbers (gguf, state->settings, &numbers, error)
      || !check_sum (gguf, &numbers, error)
      || !read_arrays (gguf, state, FALSE, error)
      || !read_arrays (gguf, state, TRUE, error))
    return FALSE;
  state->adamw->steps = numbers.steps;
  memcpy (state->counters, numbers.counters, sizeof (state->counters));
  return TRUE;
}

gchar *
rd_train_state_settings (const gchar * path, GError ** error)
{
  g_autoptr (StGguf) gguf = st_gguf_open (path, error);
  Numbers numbers = { 0 };

  if (gguf == NULL || !read_numbers (gguf, NULL, &numbers, error))
    return NULL;
  return g_strdup (numbers.settings);
}

gboolean
rd_train_state_read_values (const gchar * path,
    const RdParameters * parameters, gsize * n, GError ** error)
{
  g_autoptr (StGguf) gguf = st_gguf_open (path, error);
  Numbers numbers = { 0 };

  *n = 0;
  if (gguf == NULL || !read_numbers (gguf, NULL, &numbers, error)
      || !check_sum (gguf, &numbers, error))
    return FALSE;
  for (guint i = 0; i < rd_parameters_count (parameters); i++) {
    const RdParameter *p = rd_parameters_get (parameters, i);
    g_autofree gchar *name = g_strdup_printf ("%s.%s", p->name, part_names[0]);
    const StTensor *tensor = st_gguf_find (gguf, name);

    if (tensor == NULL || tensor->type != ST_TYPE_F32
        || tensor->size != p->n * sizeof (float))
      continue;
    memcpy (p->values, tensor->data, p->n * sizeof (float));
    (*n)++;
  }
  if (*n > 0)
    return TRUE;
  g_set_error (error, RD_TRAINING_ERROR, RD_TRAINING_ERROR_OTHER,
      "%s has no array of what is to be trained: it is of a training with\n  %s",
      path, numbers.settings);
  return FALSE;
}

void
rd_train_state_advise (GError ** error)
{
  gchar *message;

  if (error == NULL || !g_error_matches (*error, RD_TRAINING_ERROR,
          RD_TRAINING_ERROR_DAMAGED))
    return;
  message = g_strconcat ((*error)->message, ": to start anew remove it", NULL);
  g_free ((*error)->message);
  (*error)->message = message;
}

gboolean
rd_train_state_refuse (const gchar * path, GQuark domain, gint code,
    GError ** error)
{
  g_autofree gchar *settings = rd_train_state_settings (path, error);

  if (settings != NULL)
    g_set_error (error, domain, code,
        "%s is there from an earlier run: --resume goes on from it; to start "
        "anew remove it", path);
  else
    rd_train_state_advise (error);
  return FALSE;
}
