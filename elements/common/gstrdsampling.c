/* The sampling properties of transformertail and tokensrc. */
#include "elements/common/gstrdsampling.h"
#include <string.h>

/* In the order of the property ids. */
enum
{
  TEMPERATURE,
  TOP_K,
  TOP_P,
  MIN_P,
  REPEAT_PENALTY,
  REPEAT_LAST_N,
  PRESENCE_PENALTY,
  FREQUENCY_PENALTY,
  SEED,
  MAX_TOKENS,
  STOP,
  IGNORE_EOS,
};
G_STATIC_ASSERT (IGNORE_EOS + 1 == GST_RD_SAMPLING_COUNT);

static const StSamplerParams defaults = ST_SAMPLER_PARAMS_DEFAULT;

void
gst_rd_sampling_init (GstRdSampling * sampling)
{
  memset (sampling, 0, sizeof *sampling);
  sampling->values.temperature = defaults.temperature;
  sampling->values.top_k = defaults.top_k;
  sampling->values.top_p = defaults.top_p;
  sampling->values.min_p = defaults.min_p;
  sampling->values.repeat_penalty = defaults.repeat_penalty;
  sampling->values.repeat_last_n = defaults.repeat_last_n;
  sampling->values.presence_penalty = defaults.presence_penalty;
  sampling->values.frequency_penalty = defaults.frequency_penalty;
  sampling->seed = -1;
  sampling->max_tokens = -1;
}

void
gst_rd_sampling_clear (GstRdSampling * sampling)
{
  rd_wishes_clear (&sampling->values);
  g_clear_pointer (&sampling->stop, g_free);
}

static GParamSpec *
float_property (guint which, GParamFlags flags)
{
  switch (which) {
    case TEMPERATURE:
      return g_param_spec_float ("temperature", "Temperature",
          "Randomness of sampling (0 = always the most likely token)", 0, 100,
          defaults.temperature, flags);
    case TOP_P:
      return g_param_spec_float ("top-p", "Top p",
          "Sample from the most likely tokens that together reach this "
          "probability (1 = off)", 0, 1, defaults.top_p, flags);
    case MIN_P:
      return g_param_spec_float ("min-p", "Min p",
          "Drop tokens less likely than this fraction of the most likely one "
          "(0 = off)", 0, 1, defaults.min_p, flags);
    case REPEAT_PENALTY:
      return g_param_spec_float ("repeat-penalty", "Repeat penalty",
          "Divides the logits of tokens that occurred (1 = off)", 0.01f, 100,
          defaults.repeat_penalty, flags);
    case PRESENCE_PENALTY:
      return g_param_spec_float ("presence-penalty", "Presence penalty",
          "Subtracted from the logits of tokens that occurred (0 = off)", -100,
          100, defaults.presence_penalty, flags);
    default:
      return g_param_spec_float ("frequency-penalty", "Frequency penalty",
          "Subtracted from the logits of tokens once for each occurrence "
          "(0 = off)", -100, 100, defaults.frequency_penalty, flags);
  }
}

static GParamSpec *
other_property (guint which, GParamFlags flags)
{
  switch (which) {
    case TOP_K:
      return g_param_spec_int ("top-k", "Top k",
          "Sample from the k most likely tokens (0 = off)", 0, G_MAXINT,
          defaults.top_k, flags);
    case REPEAT_LAST_N:
      return g_param_spec_int ("repeat-last-n", "Repeat last n",
          "Tokens that the penalties look back on (0 = off, -1 = the whole "
          "context); of the prompt only with send-ids", -1, G_MAXINT,
          defaults.repeat_last_n, flags);
    case SEED:
      return g_param_spec_int64 ("seed", "Seed",
          "Seed of the random numbers (-1 = a random one); tokensrc's counts "
          "where there is one", -1, G_MAXINT64, -1, flags);
    case MAX_TOKENS:
      return g_param_spec_int ("max-tokens", "Maximum tokens",
          "Tokens of an answer at most (-1 = until the context is full)", -1,
          G_MAXINT, -1, flags);
    case STOP:
      return g_param_spec_string ("stop", "Stop strings",
          "Strings that end an answer and are not printed, separated by '|'; "
          "\\n, \\t, \\\\ and \\| are understood", NULL, flags);
    default:
      return g_param_spec_boolean ("ignore-eos", "Ignore end of text",
          "Never sample a token that ends the answer", FALSE, flags);
  }
}

void
gst_rd_sampling_install (GObjectClass * klass, guint first, gboolean wishes)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS
      | (wishes ? GST_PARAM_MUTABLE_READY : GST_PARAM_MUTABLE_PLAYING);

  for (guint i = 0; i < GST_RD_SAMPLING_COUNT; i++) {
    gboolean is_float = i == TEMPERATURE || i == TOP_P || i == MIN_P
        || i == REPEAT_PENALTY || i == PRESENCE_PENALTY
        || i == FREQUENCY_PENALTY;

    g_object_class_install_property (klass, first + i,
        is_float ? float_property (i, flags) : other_property (i, flags));
  }
}

gchar *
gst_rd_unescape (const gchar * text)
{
  return g_strcompress (text);
}

/* "a|b\|c\n" -> {"a", "b|c<newline>"}; empty strings are left out. */
static gchar **
split_stops (const gchar * text)
{
  g_autoptr (GPtrArray) list = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GString) part = g_string_new (NULL);

  for (const gchar * c = text;; c++) {
    if (*c == '\\' && c[1] == '|') {
      g_string_append_c (part, *++c);
    } else if (*c == '\\' && c[1]) {
      g_string_append_len (part, c++, 2);
    } else if (*c == '|' || *c == '\0') {
      if (part->len)
        g_ptr_array_add (list, gst_rd_unescape (part->str));
      g_string_truncate (part, 0);
      if (!*c)
        break;
    } else {
      g_string_append_c (part, *c);
    }
  }
  g_ptr_array_add (list, NULL);
  return g_strdupv ((gchar **) list->pdata);
}

static void
set_stop (GstRdSampling * s, const gchar * text)
{
  g_free (s->stop);
  s->stop = g_strdup (text);
  g_clear_pointer (&s->values.stop, g_strfreev);
  if (text && *text)
    s->values.stop = split_stops (text);
}

gboolean
gst_rd_sampling_set (GstRdSampling * s, guint first, guint id,
    const GValue * value)
{
  RdWishes *v = &s->values;

  if (id < first || id - first >= GST_RD_SAMPLING_COUNT)
    return FALSE;
  switch (id - first) {
    case TEMPERATURE:
      v->temperature = g_value_get_float (value);
      break;
    case TOP_K:
      v->top_k = g_value_get_int (value);
      break;
    case TOP_P:
      v->top_p = g_value_get_float (value);
      break;
    case MIN_P:
      v->min_p = g_value_get_float (value);
      break;
    case REPEAT_PENALTY:
      v->repeat_penalty = g_value_get_float (value);
      break;
    case REPEAT_LAST_N:
      v->repeat_last_n = g_value_get_int (value);
      break;
    case PRESENCE_PENALTY:
      v->presence_penalty = g_value_get_float (value);
      break;
    case FREQUENCY_PENALTY:
      v->frequency_penalty = g_value_get_float (value);
      break;
    case SEED:
      s->seed = g_value_get_int64 (value);
      break;
    case MAX_TOKENS:
      s->max_tokens = g_value_get_int (value);
      break;
    case STOP:
      set_stop (s, g_value_get_string (value));
      break;
    default:
      v->ignore_eos = g_value_get_boolean (value);
      break;
  }
  /* The wish bits are in the order of the properties. */
  v->mask |= 1u << (id - first);
  return TRUE;
}

gboolean
gst_rd_sampling_get (const GstRdSampling * s, guint first, guint id,
    GValue * value)
{
  const RdWishes *v = &s->values;

  if (id < first || id - first >= GST_RD_SAMPLING_COUNT)
    return FALSE;
  switch (id - first) {
    case TEMPERATURE:
      g_value_set_float (value, v->temperature);
      break;
    case TOP_K:
      g_value_set_int (value, v->top_k);
      break;
    case TOP_P:
      g_value_set_float (value, v->top_p);
      break;
    case MIN_P:
      g_value_set_float (value, v->min_p);
      break;
    case REPEAT_PENALTY:
      g_value_set_float (value, v->repeat_penalty);
      break;
    case REPEAT_LAST_N:
      g_value_set_int (value, v->repeat_last_n);
      break;
    case PRESENCE_PENALTY:
      g_value_set_float (value, v->presence_penalty);
      break;
    case FREQUENCY_PENALTY:
      g_value_set_float (value, v->frequency_penalty);
      break;
    case SEED:
      g_value_set_int64 (value, s->seed);
      break;
    case MAX_TOKENS:
      g_value_set_int (value, s->max_tokens);
      break;
    case STOP:
      g_value_set_string (value, s->stop);
      break;
    default:
      g_value_set_boolean (value, v->ignore_eos);
      break;
  }
  return TRUE;
}

G_STATIC_ASSERT (RD_WISH_TEMPERATURE == 1 << TEMPERATURE);
G_STATIC_ASSERT (RD_WISH_REPEAT_LAST_N == 1 << REPEAT_LAST_N);
G_STATIC_ASSERT (RD_WISH_SEED == 1 << SEED);
G_STATIC_ASSERT (RD_WISH_IGNORE_EOS == 1 << IGNORE_EOS);

static guint64
random_seed (void)
{
  return ((guint64) g_random_int () << 32) | g_random_int ();
}

void
gst_rd_sampling_wishes (const GstRdSampling * s, RdWishes * wishes)
{
  rd_wishes_copy (wishes, &s->values);
  wishes->seed = s->seed < 0 ? random_seed () : (guint64) s->seed;
  wishes->mask |= RD_WISH_SEED;
  wishes->max_tokens = (guint32) MAX (s->max_tokens, 0);
  if (s->max_tokens < 0)
    wishes->mask &= ~(guint32) RD_WISH_MAX_TOKENS;
}

/* What a peer wishes for is held to the ranges of the properties. */
static void
apply_wishes (const RdWishes * w, GstRdTerms * t)
{
  if (w->mask & RD_WISH_TEMPERATURE)
    t->params.temperature = w->temperature;
  if (w->mask & RD_WISH_TOP_K)
    t->params.top_k = w->top_k;
  if (w->mask & RD_WISH_TOP_P)
    t->params.top_p = w->top_p;
  if (w->mask & RD_WISH_MIN_P)
    t->params.min_p = w->min_p;
  if ((w->mask & RD_WISH_REPEAT_PENALTY) && w->repeat_penalty > 0)
    t->params.repeat_penalty = w->repeat_penalty;
  if (w->mask & RD_WISH_REPEAT_LAST_N)
    t->params.repeat_last_n = w->repeat_last_n;
  if (w->mask & RD_WISH_PRESENCE_PENALTY)
    t->params.presence_penalty = w->presence_penalty;
  if (w->mask & RD_WISH_FREQUENCY_PENALTY)
    t->params.frequency_penalty = w->frequency_penalty;
  if (w->mask & RD_WISH_SEED)
    t->params.seed = w->seed;
  if (w->mask & RD_WISH_MAX_TOKENS)
    t->max_tokens = MIN (t->max_tokens, w->max_tokens);
  if (w->mask & RD_WISH_IGNORE_EOS)
    t->ignore_eos = w->ignore_eos;
  if (w->mask & RD_WISH_STOP) {
    g_strfreev (t->stop);
    t->stop = g_strdupv (w->stop);
  }
}

void
gst_rd_sampling_terms (const GstRdSampling * s, const RdWishes * wishes,
    guint64 seed, GstRdTerms * t)
{
  const RdWishes *v = &s->values;

  t->params = (StSamplerParams) {
  .temperature = v->temperature,.top_k = v->top_k,.top_p = v->top_p,.min_p =
        v->min_p,.repeat_penalty = v->repeat_penalty,.repeat_last_n =
        v->repeat_last_n,.presence_penalty =
        v->presence_penalty,.frequency_penalty = v->frequency_penalty,.seed =
        s->seed < 0 ? seed : (guint64) s->seed,};
  t->max_tokens = s->max_tokens < 0 ? G_MAXUINT32 : (guint32) s->max_tokens;
  t->ignore_eos = v->ignore_eos;
  t->stop = g_strdupv (v->stop);
  if (wishes)
    apply_wishes (wishes, t);
}

void
gst_rd_terms_clear (GstRdTerms * terms)
{
  g_clear_pointer (&terms->stop, g_strfreev);
}
