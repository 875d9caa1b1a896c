/* What the user wants measured: codecs, their settings, the ladder of qualities. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#define EVAL_SPEC_HELP \
    "NAME[:SETTING]...; NAME is a codec of rdencoder (f32, f16, int8, int4, a codec file), or one of two that are computed: rounding, ids"

typedef enum
{
  EVAL_ELEMENTS,                /* rdencoder and rddecoder */
  EVAL_ROUNDING,                /* computed: plain rounding, adaptive tables a channel */
  EVAL_IDS,                     /* computed: the token ids instead of states */
} EvalKind;

/** EvalSetting: a property of rdencoder, rddecoder or both. */
typedef struct
{
  gchar *name, *value;
} EvalSetting;

/** EvalSpec: one --codec. */
typedef struct
{
  EvalKind kind;
  gchar *name;                  /* the property codec */
  gchar *label;                 /* name of the curve */
  GArray *ladder;               /* gdouble: values of quality (of the step for EVAL_ROUNDING); empty = one point without */
  GArray *frame_tokens;         /* guint; elements only */
  GPtrArray *settings;          /* EvalSetting */
  gboolean send_ids;            /* the ids may go in band */
} EvalSpec;

/** eval_spec_parse: a text like "int4:nopack" or "x.gguf:quality=20,40:frame-tokens=1,64:label=mine". Settings: pack, nopack, send-ids,
 * label=TEXT, quality=LIST (rounding: step=LIST), frame-tokens=LIST (@frame_tokens, of guint, otherwise), PROPERTY=VALUE. */
EvalSpec *eval_spec_parse (const gchar * text, const GArray * frame_tokens, GError ** error);
void eval_spec_free (EvalSpec * spec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvalSpec, eval_spec_free)

/** eval_parse_doubles, eval_parse_counts: numbers with commas between them: finite and at least @min, or integers from 1 to @max. NULL and
 * an error that starts with @what. */
GArray *eval_parse_doubles (const gchar * what, const gchar * text, gdouble min, GError ** error);
GArray *eval_parse_counts (const gchar * what, const gchar * text, guint max, GError ** error);

/** The baselines that every result should stand beside: fp16, int8 and int4 with and without zstd, per token and in blocks of
 * @block_tokens; plain rounding; the ids. Adds EvalSpec to @specs. */
void eval_spec_add_baselines (GPtrArray * specs, guint block_tokens);

/** EvalIdCode: the points of EVAL_IDS. */
typedef enum
{
  EVAL_IDS_FIXED,               /* all ids in the same number of bits */
  EVAL_IDS_COUNTS,              /* adaptive counts of single ids */
  EVAL_IDS_MODEL,               /* under the model's own prediction: the receiver runs all of it */
  EVAL_N_ID_CODES,
} EvalIdCode;

/** EvalVariant: one point to measure. */
typedef struct
{
  const EvalSpec *spec;
  gdouble value;                /* of the ladder; NAN if it has none */
  EvalIdCode id_code;           /* EVAL_IDS */
  guint frame_tokens;           /* 0 if computed */
  gchar *curve;                 /* points of the same curve differ in value only */
} EvalVariant;

/** All points of @spec, of EvalVariant; they point to @spec. */
GPtrArray *eval_spec_expand (const EvalSpec * spec);

G_END_DECLS
