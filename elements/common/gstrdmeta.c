/* GstRdMeta: where the rows of a buffer stand. */
#include "elements/common/gstrdmeta.h"
#include <string.h>

GType
gst_rd_meta_api_get_type (void)
{
  static GType type;
  static const gchar *tags[] = { NULL };

  if (g_once_init_enter (&type)) {
    GType t = gst_meta_api_type_register ("GstRdMetaAPI", tags);

    g_once_init_leave (&type, t);
  }
  return type;
}

static gboolean
gst_rd_meta_init (GstMeta * meta, gpointer params, GstBuffer * buffer)
{
  GstRdMeta *m = (GstRdMeta *) meta;

  (void) params;
  (void) buffer;
  memset ((guint8 *) m + sizeof (GstMeta), 0, sizeof *m - sizeof (GstMeta));
  return TRUE;
}

static void
gst_rd_meta_free (GstMeta * meta, GstBuffer * buffer)
{
  (void) buffer;
  g_clear_pointer (&((GstRdMeta *) meta)->ids, g_free);
  g_clear_pointer (&((GstRdMeta *) meta)->levels, g_free);
}

/* Copies the meta with the whole buffer. Part of the rows would need other numbers, so a partial copy carries none. */
static gboolean
gst_rd_meta_transform (GstBuffer * dest, GstMeta * meta, GstBuffer * buffer,
    GQuark type, gpointer data)
{
  GstRdMeta *m = (GstRdMeta *) meta;

  if (!GST_META_TRANSFORM_IS_COPY (type))
    return FALSE;
  GstMetaTransformCopy *copy = data;
  if (copy && copy->region && (copy->offset != 0
          || (copy->size != (gsize) - 1
              && copy->size != gst_buffer_get_size (buffer))))
    return TRUE;
  GstRdMeta *to = gst_buffer_add_rd_meta (dest, m->session, m->epoch,
      m->position, m->count, m->flags, m->ids);
  if (to) {
    to->given_id = m->given_id;
    to->levels = g_memdup2 (m->levels, m->count);
  }
  return TRUE;
}

const GstMetaInfo *
gst_rd_meta_get_info (void)
{
  static const GstMetaInfo *info;

  if (g_once_init_enter ((GstMetaInfo **) & info)) {
    const GstMetaInfo *i = gst_meta_register (gst_rd_meta_api_get_type (),
        "GstRdMeta", sizeof (GstRdMeta), gst_rd_meta_init, gst_rd_meta_free,
        gst_rd_meta_transform);

    g_once_init_leave ((GstMetaInfo **) & info, (GstMetaInfo *) i);
  }
  return info;
}

GstRdMeta *
gst_buffer_add_rd_meta (GstBuffer * buffer, guint32 session, guint32 epoch,
    guint32 position, guint32 count, GstRdMetaFlags flags, const gint32 * ids)
{
  GstRdMeta *m =
      (GstRdMeta *) gst_buffer_add_meta (buffer, gst_rd_meta_get_info (), NULL);

  if (!m)
    return NULL;
  m->session = session;
  m->epoch = epoch;
  m->position = position;
  m->count = count;
  m->flags = flags;
  m->given_id = -1;
  if (ids && count > 0)
    m->ids = g_memdup2 (ids, sizeof (gint32) * (gsize) count);
  return m;
}

GstRdMeta *
gst_buffer_get_rd_meta (GstBuffer * buffer)
{
  return (GstRdMeta *) gst_buffer_get_meta (buffer,
      gst_rd_meta_api_get_type ());
}
