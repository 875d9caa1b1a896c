/* The sampling properties of transformertail (its own values) and tokensrc (wishes). Names and defaults are llama.cpp's. */
#pragma once
#include <gst/gst.h>
#include "codec/wire/frame.h"
#include "models/sampler.h"

G_BEGIN_DECLS

typedef struct
{
  RdWishes values;               /* mask: which of them were set */
  gint64 seed;                   /* -1 = random; not in values */
  gint max_tokens;               /* -1 = no limit; not in values */
  gchar *stop;                   /* as set; values.stop is the list */
} GstRdSampling;

void gst_rd_sampling_init (GstRdSampling * sampling);
void gst_rd_sampling_clear (GstRdSampling * sampling);

enum { GST_RD_SAMPLING_COUNT = 12 };
/** gst_rd_sampling_install: property ids @first ... @first + GST_RD_SAMPLING_COUNT - 1. @wishes: values count only when they are set. */
void gst_rd_sampling_install (GObjectClass * klass, guint first, gboolean wishes);
/** FALSE if the id is not one of these. Take the object lock around both. */
gboolean gst_rd_sampling_set (GstRdSampling * sampling, guint first, guint id, const GValue * value);
gboolean gst_rd_sampling_get (const GstRdSampling * sampling, guint first, guint id, GValue * value);

/** gst_rd_sampling_wishes: what was set, as wishes; a seed always, -1 resolved to a random one. Free with rd_wishes_clear(). */
void gst_rd_sampling_wishes (const GstRdSampling * sampling, RdWishes * wishes);

/** GstRdTerms: what a session samples by. */
typedef struct
{
  StSamplerParams params;
  guint32 max_tokens;            /* G_MAXUINT32 = no limit */
  gboolean ignore_eos;
  gchar **stop;                  /* owned; NULL = none */
} GstRdTerms;
/** gst_rd_sampling_terms: the element's own values, each overridden by a wish (@wishes may be NULL), max-tokens the smaller of both.
 * @seed stands in for a seed that is neither set nor wished for. */
void gst_rd_sampling_terms (const GstRdSampling * sampling, const RdWishes * wishes, guint64 seed, GstRdTerms * terms);
void gst_rd_terms_clear (GstRdTerms * terms);

/** gst_rd_unescape: text with \n, \t, \\ and other C escapes resolved; newly allocated. */
gchar *gst_rd_unescape (const gchar * text);

G_END_DECLS
