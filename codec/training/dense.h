/* Fully connected layers of an entropy model's networks. What only encoders run may be anything; what decoders run is a matrix, a bias that moves
 * with the level, and ReLU, which integers do exactly. T rows. */
#pragma once
#include "codec/training/arena.h"
#include "codec/training/parameters.h"

G_BEGIN_DECLS

/** RdDense: y = W x + b + level * slope, negative values 0 with @relu. The arrays are an arena's. */
typedef struct
{
  gsize inputs, outputs;
  gboolean relu;
  float *w;                     /* (outputs, inputs) */
  float *b, *slope;             /* (outputs) */
} RdDense;

/** RdDensePass: some rows and where derivatives by the layer are added. */
typedef struct
{
  gsize t;
  float level;                  /* about -1 .. 1 */
  const RdArena *arena;         /* of the layer */
  float *gradient;              /* laid out like @arena, or NULL */
} RdDensePass;

/** rd_dense_lay_out: takes the arrays of @layer, whose sizes are set. */
void rd_dense_lay_out (RdDense * layer, RdArena * arena);
/** rd_dense_start: W uniform with variance @gain^2 * 2 / inputs (He et al. 2015) from @seed and @stream, the rest 0. */
void rd_dense_start (const RdDense * layer, guint64 seed, guint64 stream, float gain);
/** rd_dense_parameters: appends the arrays, padding included, as NAME.weight, NAME.bias, NAME.slope. */
void rd_dense_parameters (const RdDense * layer, const gchar * name, RdParameters * parameters);

/** rd_dense_forward: y (T, outputs) = or (@accumulate) += from x (T, inputs). */
void rd_dense_forward (const RdDense * layer, const RdDensePass * pass, const float *x, gboolean accumulate, float *y);
/** rd_dense_backward: from d_y (T, outputs), which becomes that by the sum before ReLU: d_x (T, inputs; NULL: not wanted) = and gradients +=. @y is read with
 * ReLU alone. */
void rd_dense_backward (const RdDense * layer, const RdDensePass * pass, const float *x, const float *y, float *d_y, float *d_x);

/** rd_relu, rd_relu_backward: in place; @y is what rd_relu() left. */
void rd_relu (float *y, gsize n);
void rd_relu_backward (const float *y, gsize n, float *d_y);

G_END_DECLS
