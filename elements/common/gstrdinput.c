/* Rows of token ids or hidden states as they come in on a pad. */
#include "elements/common/gstrdinput.h"
#include <string.h>

void
gst_rd_input_init (GstRdInput * input)
{
  memset (input, 0, sizeof *input);
  input->adapter = gst_adapter_new ();
}

void
gst_rd_input_clear (GstRdInput * input)
{
  g_clear_object (&input->adapter);
}

void
gst_rd_input_reset (GstRdInput * input)
{
  GstAdapter *adapter = input->adapter;

  gst_adapter_clear (adapter);
  memset (input, 0, sizeof *input);
  input->adapter = adapter;
}

gsize
gst_rd_input_flush (GstRdInput * input)
{
  gsize rest = gst_adapter_available (input->adapter);

  gst_adapter_clear (input->adapter);
  return rest;
}

gboolean
gst_rd_input_set_caps (GstRdInput * input, const GstCaps * caps,
    GError ** error)
{
  const GstStructure *s = gst_caps_get_structure (caps, 0);

  gst_rd_input_flush (input);
  input->ids = gst_structure_has_name (s, GST_RD_TOKEN_IDS_MEDIA);
  if (input->ids) {
    const gchar *id = gst_structure_get_string (s, "tokenizer-id");
    gint vocab = 0;

    gst_structure_get_int (s, "vocab-size", &vocab);
    input->vocab_size = (guint) MAX (vocab, 0);
    g_strlcpy (input->tokenizer_id, id ? id : "", sizeof input->tokenizer_id);
    input->configured = TRUE;
  } else {
    input->configured = gst_rd_state_info_from_caps (&input->info, caps, error);
  }
  return input->configured;
}

static gsize
row_bytes (const GstRdInput * input, guint hidden_size)
{
  if (input->ids)
    return sizeof (gint32);
  return (input->info.format == GST_RD_F16 ? 2 : 4) * (gsize) hidden_size;
}

static gboolean
read_ids (GstBuffer * buffer, GstRdRows * rows, GError ** error)
{
  GstMapInfo map;

  if (!gst_buffer_map (buffer, &map, GST_MAP_READ)) {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ,
        "cannot map a buffer of token ids");
    return FALSE;
  }
  rows->n = map.size / sizeof (gint32);
  gboolean good = map.size > 0 && map.size % sizeof (gint32) == 0;
  if (good) {
    rows->ids = g_try_new (gint32, rows->n);
    good = rows->ids != NULL;
    for (gsize i = 0; good && i < rows->n; i++)
      rows->ids[i] = (gint32) GST_READ_UINT32_LE (map.data + 4 * i);
  }
  if (!good)
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "a buffer of %" G_GSIZE_FORMAT " bytes does not hold whole 32-bit "
        "token ids", map.size);
  gst_buffer_unmap (buffer, &map);
  return good;
}

static gboolean
read_rows (const GstRdInput * input, GstBuffer * buffer, guint hidden_size,
    GstRdRows * rows, GError ** error)
{
  if (input->ids)
    return read_ids (buffer, rows, error);
  rows->x = gst_rd_state_info_read (&input->info, buffer, hidden_size,
      &rows->n, error);
  return rows->x != NULL;
}

static gboolean
take_meta (GstRdMeta * meta, GstRdRows * rows, GError ** error)
{
  rows->has_meta = TRUE;
  rows->session = meta->session;
  rows->epoch = meta->epoch;
  rows->position = meta->position;
  rows->flags = meta->flags;
  rows->given_id = meta->given_id;
  if (meta->count != rows->n) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "a buffer holds %" G_GSIZE_FORMAT " rows, its meta says %u", rows->n,
        meta->count);
    return FALSE;
  }
  if (!rows->ids && meta->ids)
    rows->ids = g_memdup2 (meta->ids, sizeof (gint32) * rows->n);
  rows->levels = g_memdup2 (meta->levels, rows->n);
  return TRUE;
}

/* Without meta nothing says that a buffer ends with a row: filesrc's blocks do not. */
static gboolean
take_unaligned (GstRdInput * input, GstBuffer * buffer, guint hidden_size,
    GstRdRows * rows, GError ** error)
{
  gsize bytes = row_bytes (input, hidden_size);

  if (rows->discont)
    gst_adapter_clear (input->adapter);
  gst_adapter_push (input->adapter, gst_buffer_ref (buffer));
  gsize whole = gst_adapter_available (input->adapter) / bytes * bytes;
  if (whole == 0)
    return TRUE;
  g_autoptr (GstBuffer) taken = gst_adapter_take_buffer (input->adapter, whole);
  return read_rows (input, taken, hidden_size, rows, error);
}

gboolean
gst_rd_input_take (GstRdInput * input, GstBuffer * buffer, guint hidden_size,
    GstRdRows * rows, GError ** error)
{
  GstRdMeta *meta = gst_buffer_get_rd_meta (buffer);
  gboolean good;

  memset (rows, 0, sizeof *rows);
  rows->pts = GST_BUFFER_PTS (buffer);
  rows->given_id = -1;
  rows->discont = GST_BUFFER_IS_DISCONT (buffer);
  if (!meta && (input->ids
          || input->info.layout == GST_RD_LAYOUT_HIDDEN_STATES))
    good = take_unaligned (input, buffer, hidden_size, rows, error);
  else
    good = read_rows (input, buffer, hidden_size, rows, error);
  if (good && meta)
    good = take_meta (meta, rows, error);
  if (!good)
    gst_rd_rows_clear (rows);
  return good;
}

void
gst_rd_rows_clear (GstRdRows * rows)
{
  g_clear_pointer (&rows->ids, g_free);
  g_clear_pointer (&rows->levels, g_free);
  g_clear_pointer (&rows->x, g_free);
  rows->n = 0;
}
