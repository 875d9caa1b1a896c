/* Properties that transformerhead and transformertail share: which model, which part of it, and how it runs. */
#pragma once
#include <gst/gst.h>

G_BEGIN_DECLS

typedef enum { GST_RD_CACHE_F32, GST_RD_CACHE_F16 } GstRdCacheType;
typedef enum { GST_RD_VERIFY_SAMPLED, GST_RD_VERIFY_FULL } GstRdVerify;
typedef enum { GST_RD_MODEL_CHECK_STRICT, GST_RD_MODEL_CHECK_ARCHITECTURE } GstRdModelCheck;

GType gst_rd_cache_type_get_type (void);
GType gst_rd_verify_get_type (void);
GType gst_rd_model_check_get_type (void);

typedef struct
{
  gchar *model;                  /* path of the GGUF file */
  gchar *layers;                 /* "a-b", "all" or NULL */
  gchar *codec;                  /* path of a codec file, name of a codec, or NULL */
  guint context_size;            /* positions; 0 = as trained */
  guint threads;                 /* 0 = all CPUs */
  guint max_sessions;
  GstRdCacheType cache_type;
  gboolean deterministic;
  GstRdVerify verify;
  GstRdModelCheck model_check;
} GstRdSettings;

/** Property ids GST_RD_SETTINGS_FIRST ... are taken by gst_rd_settings_install(); an element's own begin at GST_RD_SETTINGS_END. */
enum
{
  GST_RD_SETTINGS_FIRST = 1,
  GST_RD_SETTINGS_END = GST_RD_SETTINGS_FIRST + 10,
};

void gst_rd_settings_init (GstRdSettings * settings);
void gst_rd_settings_clear (GstRdSettings * settings);
void gst_rd_settings_copy (GstRdSettings * dst, const GstRdSettings * src);
void gst_rd_settings_install (GObjectClass * klass);
/** FALSE if @id is not one of these. Take the object lock around both. */
gboolean gst_rd_settings_set (GstRdSettings * settings, guint id, const GValue * value);
gboolean gst_rd_settings_get (const GstRdSettings * settings, guint id, GValue * value);

/** FALSE and an error if no model is set. */
gboolean gst_rd_settings_have_model (const GstRdSettings * settings, GError ** error);

/** gst_rd_property_settable: whether @pspec may be set in the element's present state, by its GST_PARAM_MUTABLE flag (none or READY =
 * in NULL and READY). If not, posts a warning that says so. */
gboolean gst_rd_property_settable (GstElement * element, GParamSpec * pspec);

/** Blocks @first .. @last - 1 (*last -1 = to the end) from "a-b" or "all". */
gboolean gst_rd_parse_layers (const gchar * text, gint * first, gint * last, GError ** error);

G_END_DECLS
