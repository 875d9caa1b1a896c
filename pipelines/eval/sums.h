/* What the evaluation measures: sums over positions, and the figures made of them. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** EvalSum: what was measured at one position of a text, or the sum over several. Bits are those on the wire. */
typedef struct
{
  gdouble positions;
  gdouble kl;                   /* KL (uncompressed || coded) of the next-token distribution behind the position, nats */
  gdouble agree;                /* 1 if both have the same most likely next token */
  gdouble targets;              /* 1 if the text goes on behind the position */
  gdouble nll, nll_ref;         /* nats for the id that follows: behind the codec, without it */
  gdouble frame_bits;           /* of the STATES frame, shared evenly by its positions; payload and ids are in it */
  gdouble payload_bits;
  gdouble id_bits;
  gdouble header_bits;          /* of HEADER frames, shared evenly by all positions but the first */
  gdouble control_bits;         /* of the other frames, likewise */
  gdouble ideal_bits;           /* ideal code length of the payload; NAN where the codec does not tell it */
} EvalSum;

void eval_sum_add (EvalSum * sum, const EvalSum * other);

/** EvalMetric: the figures of a sum. */
typedef enum
{
  EVAL_WIRE_BPT,                /* bits a token, all frames */
  EVAL_PAYLOAD_BPT,
  EVAL_IDEAL_BPT,
  EVAL_ID_BPT,
  EVAL_HEADER_BPT,
  EVAL_KL,                      /* nats */
  EVAL_PPL,                     /* perplexity of the text behind the codec */
  EVAL_PPL_REF,                 /* ... without it */
  EVAL_PPL_RATIO,               /* the first divided by the second */
  EVAL_TOP1,                    /* share of positions where the most likely next token stays the same */
  EVAL_N_METRICS,
} EvalMetric;

/** Name in CSV and JSON, for example "wire_bpt". */
const gchar *eval_metric_name (EvalMetric metric);
/** NAN for an empty sum and for figures that were not measured. */
gdouble eval_metric_value (EvalMetric metric, const EvalSum * sum);

G_END_DECLS
