#include "codec/training/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "codec/training/settings-text.h"
#include "codec/wire/frame.h"

#define MAGIC "rdcalib1"
#define MAX_SETTINGS 65536u

/* All numbers that are not arrays. */
typedef struct
{
  guint64 done, kept, massive, states[2], gradients;
  double limit[2];
} Numbers;

typedef struct
{
  gpointer data;
  gsize size;
} Part;

#define MAX_PARTS 12

/* The file behind the settings: what is read or written where. */
static gsize
list_parts (const RdStatistics * s, Numbers * numbers, Part * parts)
{
  const gsize row = s->size.hidden_size * sizeof (float);
  const gsize kept = (gsize) numbers->kept;
  gsize n = 0;

  for (guint i = 0; i < 3; i++) {
    const RdMoments *moments = i < 2 ? &s->states[i] : &s->gradients;
    const gsize size = moments->width * sizeof (double);

    parts[n++] = (Part) {
    moments->sum, size};
    parts[n++] = (Part) {
    moments->square, size * moments->width};
  }
  parts[n++] = (Part) {
  s->kept.x, kept * row};
  parts[n++] = (Part) {
  s->kept.gradient, kept * row};
  parts[n++] = (Part) {
  s->kept.features, s->size.features ? kept * row : 0};
  parts[n++] = (Part) {
  s->kept.sequence, kept * sizeof (guint32)};
  parts[n++] = (Part) {
  s->massive, (gsize) numbers->massive * row};
  return n;
}

static void
get_numbers (const RdStatistics * s, Numbers * numbers)
{
  *numbers = (Numbers) {
    s->done, s->kept.n, s->n_massive, {
    s->states[0].n, s->states[1].n}, s->gradients.n, {
    s->limit[0], s->limit[1]}
  };
}

static void
set_numbers (const Numbers * numbers, RdStatistics * s)
{
  s->done = (gsize) numbers->done;
  s->kept.n = (gsize) numbers->kept;
  s->n_massive = (gsize) numbers->massive;
  s->states[0].n = (gsize) numbers->states[0];
  s->states[1].n = (gsize) numbers->states[1];
  s->gradients.n = (gsize) numbers->gradients;
  s->limit[0] = numbers->limit[0];
  s->limit[1] = numbers->limit[1];
}

/* Counts that the memory of statistics of this size has room for. */
static gboolean
check_numbers (const RdStatistics * s, const Numbers * numbers)
{
  const RdStatisticsSize *size = &s->size;

  return numbers->done <= size->sequences
      && numbers->kept <= size->gradient_sequences * (size->length - 1)
      && numbers->massive <= RD_STATISTICS_MAX_MASSIVE;
}

/* ---- writing ---- */

typedef struct
{
  FILE *file;
  guint32 crc;
} Stream;

static gboolean
put (Stream * stream, gconstpointer data, gsize size)
{
  stream->crc = rd_crc32c (stream->crc, data, size);
  return size == 0 || fwrite (data, size, 1, stream->file) == 1;
}

static gboolean
put_all (Stream * stream, const gchar * settings, const RdStatistics * s)
{
  const guint32 length = (guint32) strlen (settings);
  Part parts[MAX_PARTS];
  Numbers numbers;
  guint32 crc;
  gsize n;

  get_numbers (s, &numbers);
  n = list_parts (s, &numbers, parts);
  if (!put (stream, MAGIC, sizeof (MAGIC) - 1)
      || !put (stream, &length, sizeof (length))
      || !put (stream, settings, length)
      || !put (stream, &numbers, sizeof (numbers)))
    return FALSE;
  for (gsize i = 0; i < n; i++) {
    if (!put (stream, parts[i].data, parts[i].size))
      return FALSE;
  }
  crc = stream->crc;
  return put (stream, &crc, sizeof (crc)) && fflush (stream->file) == 0
      && fsync (fileno (stream->file)) == 0;
}

gboolean
rd_checkpoint_write (const gchar * path, const gchar * settings,
    const RdStatistics * statistics, GError ** error)
{
  g_autofree gchar *temporary = g_strconcat (path, ".part", NULL);
  Stream stream = { g_fopen (temporary, "wb"), 0 };
  gboolean ok = FALSE;
  gint saved;

  g_return_val_if_fail (strlen (settings) <= MAX_SETTINGS, FALSE);
  if (stream.file != NULL) {
    ok = put_all (&stream, settings, statistics);
    saved = errno;
    if (fclose (stream.file) != 0 && ok) {
      ok = FALSE;
      saved = errno;
    }
    errno = saved;
  }
  if (ok && g_rename (temporary, path) == 0)
    return TRUE;
  saved = errno;
  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (saved),
      "%s: %s", temporary, g_strerror (saved));
  g_unlink (temporary);
  return FALSE;
}

/* ---- reading ---- */

static gboolean
get (Stream * stream, gpointer data, gsize size)
{
  if (size > 0 && fread (data, size, 1, stream->file) != 1)
    return FALSE;
  stream->crc = rd_crc32c (stream->crc, data, size);
  return TRUE;
}

static gboolean
fail_damaged (const gchar * path, GError ** error)
{
  g_set_error (error, RD_CHECKPOINT_ERROR, RD_CHECKPOINT_ERROR_DAMAGED,
      "%s is a damaged checkpoint: to start anew remove it", path);
  return FALSE;
}

/* The settings in the file. */
static gchar *
get_settings (Stream * stream, const gchar * path, GError ** error)
{
  gchar magic[sizeof (MAGIC) - 1];
  g_autofree gchar *settings = NULL;
  guint32 length;

  if (!get (stream, magic, sizeof (magic))
      || memcmp (magic, MAGIC, sizeof (magic)) != 0) {
    g_set_error (error, RD_CHECKPOINT_ERROR, RD_CHECKPOINT_ERROR_OTHER,
        "%s is not a checkpoint of rdtrain calibrate", path);
    return NULL;
  }
  if (get (stream, &length, sizeof (length)) && length <= MAX_SETTINGS) {
    settings = g_malloc0 (length + 1);
    if (get (stream, settings, length))
      return g_steal_pointer (&settings);
  }
  fail_damaged (path, error);
  return NULL;
}

static gboolean
get_statistics (Stream * stream, RdStatistics * s)
{
  Part parts[MAX_PARTS];
  Numbers numbers;
  guint32 crc, expected;
  gsize n;

  if (!get (stream, &numbers, sizeof (numbers))
      || !check_numbers (s, &numbers))
    return FALSE;
  n = list_parts (s, &numbers, parts);
  for (gsize i = 0; i < n; i++) {
    if (!get (stream, parts[i].data, parts[i].size))
      return FALSE;
  }
  expected = stream->crc;
  if (!get (stream, &crc, sizeof (crc)) || crc != expected
      || getc (stream->file) != EOF)
    return FALSE;
  set_numbers (&numbers, s);
  return TRUE;
}

static gboolean
read_all (Stream * stream, const gchar * path, const gchar * settings,
    RdStatistics * s, GError ** error)
{
  g_autofree gchar *found = get_settings (stream, path, error);
  g_autofree gchar *difference = NULL;

  if (found == NULL)
    return FALSE;
  if (strcmp (found, settings) != 0) {
    difference = rd_settings_difference (found, settings);
    g_set_error (error, RD_CHECKPOINT_ERROR, RD_CHECKPOINT_ERROR_OTHER,
        "%s is of a calibration with other settings: %s", path,
        difference ? difference : found);
    return FALSE;
  }
  return get_statistics (stream, s) || fail_damaged (path, error);
}

static gboolean
open_file (Stream * stream, const gchar * path, GError ** error)
{
  gint saved;

  stream->file = g_fopen (path, "rb");
  if (stream->file != NULL)
    return TRUE;
  saved = errno;
  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (saved), "%s: %s",
      path, g_strerror (saved));
  return FALSE;
}

gboolean
rd_checkpoint_read (const gchar * path, const gchar * settings,
    RdStatistics * statistics, GError ** error)
{
  Stream stream = { NULL, 0 };
  gboolean ok;

  if (!open_file (&stream, path, error))
    return FALSE;
  ok = read_all (&stream, path, settings, statistics, error);
  fclose (stream.file);
  return ok;
}

gchar *
rd_checkpoint_settings (const gchar * path, GError ** error)
{
  Stream stream = { NULL, 0 };
  gchar *settings;

  if (!open_file (&stream, path, error))
    return NULL;
  settings = get_settings (&stream, path, error);
  fclose (stream.file);
  return settings;
}

G_DEFINE_QUARK (rd_checkpoint_error_quark, rd_checkpoint_error)
