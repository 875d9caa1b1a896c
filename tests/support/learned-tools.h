/* Codec files made up in memory: orthonormal transforms and Laplacian tables, of any hidden size. */
#pragma once
#include "codec/learned/learned.h"

G_BEGIN_DECLS

/** rd_test_parameters: parameters with token steps and @n_constants constants (100 (c + 1) in every third channel), steps of 8 (level 0) to about 1/31
 * (level 127), coefficients of standard deviation 4 on the average. */
RdLearnedParameters *rd_test_parameters (guint hidden_size, RdSideInfo side_info, guint n_constants);
/** RdTestMatrix: a matrix that gets an adapter. */
typedef struct
{
  const gchar *name;            /* "blk.3.attn_q.weight" */
  guint inputs, outputs;
} RdTestMatrix;
/** rd_test_adapters: gives @parameters adapters (those it had are freed) of scale 1 for @n matrices, with random values up to @size; the gates at the three knots are .5, 1
 * and 1.25. */
void rd_test_adapters (RdLearnedParameters * parameters, const RdTestMatrix * matrices, guint n, guint rank, gdouble size, guint32 seed);
/** rd_test_save: to a new temporary file; unlink and free the path. */
gchar *rd_test_save (RdLearnedParameters * parameters);
/** rd_test_codec: rd_test_parameters() behind the interface of codecs. */
RdCodec *rd_test_codec (guint hidden_size, RdSideInfo side_info, guint n_constants);
/** rd_test_payload_bits: of rows x (rows->n, D) with @settings under @parameters, as the codec of their file codes them; y (rows->n, D; or NULL): as
 * it decodes them. */
gdouble rd_test_payload_bits (RdLearnedParameters * parameters, const RdRows * rows, const gfloat * x, const RdSettings * settings,
    gfloat * y);
/** rd_test_rows: rows that fit rd_test_parameters(); every ninth is close to a constant. Free with g_free(). */
gfloat *rd_test_rows (gsize n, guint hidden_size, guint32 seed);

G_END_DECLS
