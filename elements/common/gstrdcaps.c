/* Caps of hidden states, and the rows of a buffer under them. */
#include "elements/common/gstrdcaps.h"
#include "models/gguf/types.h"
#include "models/model.h"
#include <string.h>

/* NNStreamer's header of a flexible tensor (tensor_typedef.h: GstTensorMetaInfo), 32-bit little-endian words. */
#define TENSOR_HEADER_SIZE 128
#define TENSOR_MAGIC 0xfeedccedu
#define TENSOR_VERSION_1_0 0xde001000u
#define TENSOR_VERSION_MARK 0xde000000u
#define TENSOR_VERSION_MAJOR(v) (((v) >> 12) & 0xfffu)
#define TENSOR_RANK 16
#define TENSOR_FLOAT32 7u
#define TENSOR_FLOAT16 10u
#define TENSOR_FORMAT_STATIC 0u
#define TENSOR_FORMAT_FLEXIBLE 1u
#define TENSOR_MEDIA_TENSOR 4u
enum
{
  WORD_MAGIC,
  WORD_VERSION,
  WORD_TYPE,
  WORD_DIMENSION,
  WORD_FORMAT = WORD_DIMENSION + TENSOR_RANK,
  WORD_MEDIA,
};

static gsize
format_bytes (GstRdFormat format)
{
  return format == GST_RD_F16 ? 2 : 4;
}

/* "576:8:1" -> hidden size and rows. */
static gboolean
parse_dimensions (GstRdStateInfo * info, const gchar * text, GError ** error)
{
  guint64 rows = 1;
  gboolean good = TRUE;

  g_auto (GStrv) parts = g_strsplit (text, ":", TENSOR_RANK + 1);
  guint n = g_strv_length (parts);
  good = n >= 1 && n <= TENSOR_RANK;
  for (guint i = 0; good && i < n; i++) {
    guint64 d;

    good = g_ascii_string_to_unsigned (g_strstrip (parts[i]), 10, 1,
        i == 0 ? G_MAXINT : G_MAXUINT32, &d, NULL);
    if (good && i == 0)
      info->hidden_size = (guint) d;
    else if (good)
      good = g_uint64_checked_mul (&rows, rows, d) && rows <= G_MAXUINT32;
  }
  if (!good) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "dimensions=\"%s\" are not those of hidden states; "
        "HIDDEN_SIZE:ROWS is expected, innermost first", text);
    return FALSE;
  }
  info->rows = (guint) rows;
  return TRUE;
}

static gboolean
tensors_from_structure (GstRdStateInfo * info, const GstStructure * s,
    GError ** error)
{
  const gchar *format = gst_structure_get_string (s, "format");
  const gchar *types = gst_structure_get_string (s, "types");
  const gchar *dimensions = gst_structure_get_string (s, "dimensions");
  gint n = 1;

  if (g_strcmp0 (format, "flexible") == 0) {
    info->layout = GST_RD_LAYOUT_TENSORS_FLEXIBLE;
    info->format = GST_RD_F32;
    return TRUE;
  }
  info->layout = GST_RD_LAYOUT_TENSORS_STATIC;
  gst_structure_get_int (s, "num_tensors", &n);
  if ((format && strcmp (format, "static") != 0) || n != 1 || !dimensions
      || (g_strcmp0 (types, "float32") != 0
          && g_strcmp0 (types, "float16") != 0)) {
    g_autofree gchar *text = gst_structure_to_string (s);

    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "%s is not one tensor of hidden states; needed are format=static "
        "with num_tensors=1, types=float32 or float16 and dimensions, or "
        "format=flexible", text);
    return FALSE;
  }
  info->format = strcmp (types, "float16") == 0 ? GST_RD_F16 : GST_RD_F32;
  return parse_dimensions (info, dimensions, error);
}

static gboolean
states_from_structure (GstRdStateInfo * info, const GstStructure * s,
    GError ** error)
{
  const gchar *format = gst_structure_get_string (s, "format");
  const gchar *id = gst_structure_get_string (s, "model-id");
  const gchar *name = gst_structure_get_string (s, "model-name");
  const gchar *adapters = gst_structure_get_string (s, "adapters");
  gint size = 0, vocab = 0;

  info->layout = GST_RD_LAYOUT_HIDDEN_STATES;
  gst_structure_get_int (s, "hidden-size", &size);
  gst_structure_get_int (s, "split-layer", &info->split_layer);
  gst_structure_get_int (s, "vocab-size", &vocab);
  if (g_strcmp0 (format, "F16LE") == 0)
    info->format = GST_RD_F16;
  else if (g_strcmp0 (format, "F32LE") == 0)
    info->format = GST_RD_F32;
  else
    size = 0;
  if (size <= 0 || vocab < 0 || (id && *id && strlen (id) != 64)) {
    g_autofree gchar *text = gst_structure_to_string (s);

    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "%s does not describe hidden states; needed are format=F32LE or "
        "F16LE and hidden-size, and a model-id of 64 hex digits if there is "
        "one", text);
    return FALSE;
  }
  info->hidden_size = (guint) size;
  info->vocab_size = (guint) vocab;
  g_strlcpy (info->model_id, id ? id : "", sizeof info->model_id);
  st_name_copy (info->model_name, sizeof info->model_name, name ? name : "");
  g_strlcpy (info->adapters, adapters ? adapters : "", sizeof info->adapters);
  return TRUE;
}

gboolean
gst_rd_state_info_from_caps (GstRdStateInfo * info, const GstCaps * caps,
    GError ** error)
{
  memset (info, 0, sizeof *info);
  info->split_layer = -1;
  if (caps && gst_caps_get_size (caps) == 1) {
    const GstStructure *s = gst_caps_get_structure (caps, 0);

    if (gst_structure_has_name (s, GST_RD_HIDDEN_STATES_MEDIA))
      return states_from_structure (info, s, error);
    if (gst_structure_has_name (s, GST_RD_TENSORS_MEDIA))
      return tensors_from_structure (info, s, error);
  }
  g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
      "not hidden states; " GST_RD_HIDDEN_STATES_MEDIA " or "
      GST_RD_TENSORS_MEDIA " is expected");
  return FALSE;
}

static GstCaps *
tensors_to_caps (const GstRdStateInfo * info)
{
  if (info->layout == GST_RD_LAYOUT_TENSORS_FLEXIBLE)
    return gst_caps_new_simple (GST_RD_TENSORS_MEDIA,
        "format", G_TYPE_STRING, "flexible",
        "framerate", GST_TYPE_FRACTION, 0, 1, NULL);
  g_autofree gchar *dimensions =
      g_strdup_printf ("%u:%u", info->hidden_size, MAX (info->rows, 1));
  return gst_caps_new_simple (GST_RD_TENSORS_MEDIA,
      "format", G_TYPE_STRING, "static",
      "num_tensors", G_TYPE_INT, 1,
      "framerate", GST_TYPE_FRACTION, 0, 1,
      "dimensions", G_TYPE_STRING, dimensions,
      "types", G_TYPE_STRING,
      info->format == GST_RD_F16 ? "float16" : "float32", NULL);
}

GstCaps *
gst_rd_state_info_to_caps (const GstRdStateInfo * info)
{
  if (info->layout != GST_RD_LAYOUT_HIDDEN_STATES)
    return tensors_to_caps (info);
  GstCaps *caps = gst_caps_new_simple (GST_RD_HIDDEN_STATES_MEDIA,
      "format", G_TYPE_STRING, info->format == GST_RD_F16 ? "F16LE" : "F32LE",
      "hidden-size", G_TYPE_INT, (gint) info->hidden_size, NULL);
  if (info->split_layer >= 0)
    gst_caps_set_simple (caps, "split-layer", G_TYPE_INT, info->split_layer,
        NULL);
  if (info->vocab_size > 0)
    gst_caps_set_simple (caps, "vocab-size", G_TYPE_INT,
        (gint) info->vocab_size, NULL);
  if (info->model_id[0])
    gst_caps_set_simple (caps, "model-id", G_TYPE_STRING, info->model_id, NULL);
  if (info->model_name[0])
    gst_caps_set_simple (caps, "model-name", G_TYPE_STRING, info->model_name,
        NULL);
  if (info->adapters[0])
    gst_caps_set_simple (caps, "adapters", G_TYPE_STRING, info->adapters, NULL);
  return caps;
}

/* Rows that the flexible header declares, checked against what the buffer holds. */
static gboolean
read_flexible_header (const guint8 * data, gsize size, guint hidden_size,
    GstRdFormat * format, gsize * rows, GError ** error)
{
  guint64 n = 1;
  gboolean good = size >= TENSOR_HEADER_SIZE;
#define WORD(i) GST_READ_UINT32_LE (data + 4 * (gsize) (i))

  good = good && WORD (WORD_MAGIC) == TENSOR_MAGIC
      && (WORD (WORD_VERSION) & 0xff000000u) == TENSOR_VERSION_MARK
      && TENSOR_VERSION_MAJOR (WORD (WORD_VERSION)) == 1;
  if (!good) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_DECODE,
        "a buffer of %" G_GSIZE_FORMAT " bytes has no flexible tensor header "
        "(version 1, 128 bytes)", size);
    return FALSE;
  }
  good = (WORD (WORD_TYPE) == TENSOR_FLOAT32
      || WORD (WORD_TYPE) == TENSOR_FLOAT16)
      && WORD (WORD_FORMAT) <= TENSOR_FORMAT_FLEXIBLE
      && WORD (WORD_DIMENSION) == hidden_size;
  for (guint i = 1; good && i < TENSOR_RANK; i++) {
    guint32 d = WORD (WORD_DIMENSION + i);

    if (d == 0)
      break;
    good = g_uint64_checked_mul (&n, n, d) && n <= G_MAXUINT32;
  }
  if (!good) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "a flexible tensor of type %u, format %u and innermost dimension %u "
        "is not hidden states; dense float32 or float16 rows of %u are "
        "expected", WORD (WORD_TYPE), WORD (WORD_FORMAT),
        WORD (WORD_DIMENSION), hidden_size);
    return FALSE;
  }
  *format = WORD (WORD_TYPE) == TENSOR_FLOAT16 ? GST_RD_F16 : GST_RD_F32;
  *rows = (gsize) n;
#undef WORD
  return TRUE;
}

static gfloat *
rows_to_float (const guint8 * data, GstRdFormat format, gsize count)
{
  gfloat *x = g_try_new (gfloat, count);

  for (gsize i = 0; x && i < count; i++) {
    if (format == GST_RD_F16)
      x[i] = st_half_to_float (GST_READ_UINT16_LE (data + 2 * i));
    else
      x[i] = GST_READ_FLOAT_LE (data + 4 * i);
  }
  return x;
}

guint
gst_rd_state_info_peek_hidden_size (const GstRdStateInfo * info,
    GstBuffer * buffer, GError ** error)
{
  guint8 header[TENSOR_HEADER_SIZE];

  if (info->hidden_size)
    return info->hidden_size;
  gsize got = gst_buffer_extract (buffer, 0, header, sizeof header);
  guint size = got < sizeof header ? 0 :
      GST_READ_UINT32_LE (header + 4 * WORD_DIMENSION);
  if (size == 0 || size > G_MAXINT) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "a buffer of %" G_GSIZE_FORMAT " bytes does not tell how many values "
        "a row of hidden states has", gst_buffer_get_size (buffer));
    return 0;
  }
  return size;
}

gfloat *
gst_rd_state_info_read (const GstRdStateInfo * info, GstBuffer * buffer,
    guint hidden_size, gsize * n, GError ** error)
{
  gboolean flexible = info->layout == GST_RD_LAYOUT_TENSORS_FLEXIBLE;
  GstRdFormat format = info->format;
  gfloat *x = NULL;
  gsize rows = 0;
  GstMapInfo map;

  if (!gst_buffer_map (buffer, &map, GST_MAP_READ)) {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ,
        "cannot map a buffer of hidden states");
    return NULL;
  }
  if (flexible && !read_flexible_header (map.data, map.size, hidden_size,
          &format, &rows, error))
    goto done;
  gsize skip = flexible ? TENSOR_HEADER_SIZE : 0;
  gsize payload = map.size - skip;
  gsize row_bytes = format_bytes (format) * (gsize) hidden_size;
  if (payload == 0 || payload % row_bytes != 0
      || (flexible && payload / row_bytes != rows)
      || (info->rows > 0 && payload / row_bytes != info->rows)) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "a buffer of %" G_GSIZE_FORMAT " bytes does not hold %s rows of %u "
        "%s (%" G_GSIZE_FORMAT " bytes each)", map.size,
        flexible || info->rows ? "the declared number of" : "whole",
        hidden_size, format == GST_RD_F16 ? "halves" : "floats", row_bytes);
    goto done;
  }
  *n = payload / row_bytes;
  x = rows_to_float (map.data + skip, format, *n * hidden_size);
  if (!x)
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
        "no memory for %" G_GSIZE_FORMAT " rows of hidden states", *n);

done:
  gst_buffer_unmap (buffer, &map);
  return x;
}

static void
write_flexible_header (guint8 * data, GstRdFormat format, guint hidden_size,
    gsize n)
{
  memset (data, 0, TENSOR_HEADER_SIZE);
#define PUT(i, v) GST_WRITE_UINT32_LE (data + 4 * (gsize) (i), (v))
  PUT (WORD_MAGIC, TENSOR_MAGIC);
  PUT (WORD_VERSION, TENSOR_VERSION_1_0);
  PUT (WORD_TYPE, format == GST_RD_F16 ? TENSOR_FLOAT16 : TENSOR_FLOAT32);
  PUT (WORD_DIMENSION, hidden_size);
  PUT (WORD_DIMENSION + 1, (guint32) n);
  PUT (WORD_FORMAT, TENSOR_FORMAT_FLEXIBLE);
  PUT (WORD_MEDIA, TENSOR_MEDIA_TENSOR);
#undef PUT
}

GstBuffer *
gst_rd_state_info_write (const GstRdStateInfo * info, const gfloat * x,
    gsize n, guint hidden_size)
{
  gboolean flexible = info->layout == GST_RD_LAYOUT_TENSORS_FLEXIBLE;
  gsize skip = flexible ? TENSOR_HEADER_SIZE : 0;
  gsize count = n * hidden_size;
  GstBuffer *buffer = gst_buffer_new_allocate (NULL,
      skip + count * format_bytes (info->format), NULL);
  GstMapInfo map;

  if (!buffer || !gst_buffer_map (buffer, &map, GST_MAP_WRITE)) {
    gst_clear_buffer (&buffer);
    return NULL;
  }
  if (flexible)
    write_flexible_header (map.data, info->format, hidden_size, n);
  for (gsize i = 0; i < count; i++) {
    if (info->format == GST_RD_F16)
      GST_WRITE_UINT16_LE (map.data + skip + 2 * i, st_float_to_half (x[i]));
    else
      GST_WRITE_FLOAT_LE (map.data + skip + 4 * i, x[i]);
  }
  gst_buffer_unmap (buffer, &map);
  return buffer;
}

GstCaps *
gst_rd_token_ids_caps (guint vocab_size, const gchar * tokenizer_id)
{
  return gst_caps_new_simple (GST_RD_TOKEN_IDS_MEDIA,
      "format", G_TYPE_STRING, "S32LE",
      "vocab-size", G_TYPE_INT, (gint) vocab_size,
      "tokenizer-id", G_TYPE_STRING, tokenizer_id, NULL);
}
