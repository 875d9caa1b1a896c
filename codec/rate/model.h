/* How the bits of a token grow with the quality: a curve that is learned while frames are encoded. Private to codec/rate/. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#define RD_RATE_KNOTS 21u

/** RdRateModel: log2 (bits per token) at quality 0, 5, ... 100, always rising. */
typedef struct
{
  gdouble knot[RD_RATE_KNOTS];
} RdRateModel;

/** A first guess for tokens of @values floats. */
void rd_rate_model_init (RdRateModel * model, guint values);
/** log2 (bits per token) at @quality. */
gdouble rd_rate_model_at (const RdRateModel * model, gdouble quality);
/** The quality at which the curve has @level; 0 or 100 beyond its ends. */
gdouble rd_rate_model_find (const RdRateModel * model, gdouble level);
/** The same tokens took @level at @quality and @other_level at @other: that part of the curve, and all behind it, is moved there. */
void rd_rate_model_pair (RdRateModel * model, gdouble quality, gdouble level, gdouble other, gdouble other_level);
/** Tokens at @quality were @error octaves above the curve: the curve is moved there a little, less the further away. */
void rd_rate_model_learn (RdRateModel * model, gdouble quality, gdouble error);

G_END_DECLS
