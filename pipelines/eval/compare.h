/* Next-token distributions behind a codec against those of the uncompressed model. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** EvalReference: the uncompressed model's distributions of some rows. */
typedef struct _EvalReference EvalReference;

/** Room for @max_rows rows of @vocab logits; @threads as in StModelOptions (the figures do not depend on it). */
EvalReference *eval_reference_new (guint vocab, guint max_rows, guint threads);
void eval_reference_free (EvalReference * reference);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvalReference, eval_reference_free)

/** EvalRow: one row against its reference. */
typedef struct
{
  gdouble kl;                   /* KL (reference || row), nats */
  gdouble nll, nll_ref;         /* of the row's target, nats; 0 without a target */
  gboolean agree;               /* the same most likely id, the lowest of equals */
} EvalRow;

/** Takes @n rows of logits (n x vocab) as the reference. */
void eval_reference_set (EvalReference * reference, const float *logits, guint n);
/** Compares @n rows of logits with the first @n of the reference. @targets: an id for each row, or -1. */
void eval_reference_compare (EvalReference * reference, const float *logits, guint n, const gint32 * targets, EvalRow * rows);
/** What a row says that equals its reference. */
void eval_reference_self (EvalReference * reference, guint n, const gint32 * targets, EvalRow * rows);

/** Index of the largest of @n values, the lowest of equals. */
gint32 eval_argmax (const float *values, guint n);

G_END_DECLS
