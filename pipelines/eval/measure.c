/* Every text through every codec, and through the model behind it. */
#include "pipelines/eval/measure.h"
#include <math.h>
#include <string.h>

/* ---- points ---- */

EvalPoint *
eval_point_new (const EvalVariant * variant, guint n_domains,
    guint n_word_domains)
{
  EvalPoint *point = g_new0 (EvalPoint, 1);

  point->variant = variant;
  point->blocks = eval_blocks_new (n_domains);
  point->hits = g_new0 (EvalHits, n_word_domains);
  point->encode_ns = point->decode_ns = NAN;
  return point;
}

void
eval_point_free (EvalPoint * point)
{
  eval_blocks_free (point->blocks);
  g_free (point->hits);
  g_free (point);
}

EvalLink *
eval_run_link (EvalRun * run, const EvalVariant * variant, guint threads,
    GError ** error)
{
  const StModelConfig *config = run->model.config;

  if (variant->spec->kind == EVAL_ROUNDING)
    return eval_rounding_new (config->hidden_size, variant->value * run->scale);
  if (variant->spec->kind == EVAL_IDS)
    return eval_ids_new (variant->id_code, config->hidden_size,
        config->vocab_size);
  EvalModel *model = eval_run_model (run, variant->spec->name, error);
  return model ? eval_elements_new (variant, model, threads, error) : NULL;
}

/* ---- one text through several codecs ---- */

#define NOBODY (-2)             /* equals no other lane */
#define REFERENCE (-1)          /* equals the states without a codec */

/* One point's way through the text in work. */
typedef struct
{
  EvalPoint *point;
  EvalLink *link;
  EvalModel *model;             /* on both sides of the link */
  float *sent;                  /* states that go in, if the model is not the run's own */
  float *received;              /* what comes out of the link */
  gint8 *levels;                /* of the codec file, row by row; -1 = not known */
  float *final;                 /* behind the last block */
  EvalSum *sums;
  gint twin;                    /* an earlier lane with the same rows, or NOBODY or REFERENCE */
} Lane;

typedef struct
{
  EvalRun *run;
  Lane *lanes;
  guint n;
  gsize max_ids;
  float *logits;                /* (EVAL_CHUNK, vocab) */
} Batch;

/* Whether the same tail gets the same from both. */
static gboolean
same_rows (const Lane * a, const Lane * b, gsize size, gsize n)
{
  return a->model == b->model && memcmp (a->received, b->received, size) == 0
      && (!a->model->adapters || memcmp (a->levels, b->levels, n) == 0);
}

static gint
find_twin (const Batch * batch, guint lane, const float *x, gsize size, gsize n)
{
  const Lane *own = &batch->lanes[lane];

  if (own->model == &batch->run->model && memcmp (own->received, x, size) == 0)
    return REFERENCE;
  for (guint i = 0; i < lane; i++)
    if (batch->lanes[i].twin == NOBODY
        && same_rows (own, &batch->lanes[i], size, n))
      return (gint) i;
  return NOBODY;
}

/* What the head sends on that lane. */
static const float *
head_states (Batch * batch, Lane * lane, guint index, GError ** error)
{
  const EvalText *text = eval_run_text (batch->run, index);

  if (lane->model == &batch->run->model)
    return eval_run_states (batch->run, index);
  return eval_model_head (lane->model, text->ids, text->n,
      eval_link_level (lane->link), lane->sent, error) ? lane->sent : NULL;
}

static gboolean
send_lane (Batch * batch, Lane * lane, guint index, GError ** error)
{
  const EvalText *text = eval_run_text (batch->run, index);
  const float *x = head_states (batch, lane, index, error);
  const gint8 *levels;

  memset (lane->sums, 0, sizeof *lane->sums * text->n);
  if (!x || !eval_link_send (lane->link, text, x, lane->received, lane->sums,
          error)) {
    g_prefix_error (error, "%s: ", lane->point->variant->curve);
    return FALSE;
  }
  levels = eval_link_levels (lane->link);
  if (levels)
    memcpy (lane->levels, levels, text->n);
  else
    memset (lane->levels, -1, text->n);
  return TRUE;
}

/* Text @index through every link, and through the tail where no other lane has the same rows. */
static gboolean
send_text (Batch * batch, guint index, GError ** error)
{
  EvalRun *run = batch->run;
  const EvalText *text = eval_run_text (run, index);
  const float *x = eval_run_states (run, index);
  gsize size = sizeof *x * text->n * run->model.config->hidden_size;

  for (guint i = 0; i < batch->n; i++) {
    Lane *lane = &batch->lanes[i];

    if (!send_lane (batch, lane, index, error))
      return FALSE;
    lane->twin = find_twin (batch, i, x, size, text->n);
    if (lane->twin == NOBODY) {
      memcpy (lane->final, lane->received, size);
      if (!eval_model_tail (lane->model, lane->final, text->n, lane->levels,
              error))
        return FALSE;
    }
    eval_progress_step (&run->progress, text->n, lane->point->variant->curve);
  }
  return TRUE;
}

static void
note_rows (EvalSum * sums, const EvalText * text, gsize from, guint n,
    const EvalRow * rows)
{
  for (guint i = 0; i < n; i++) {
    EvalSum *sum = &sums[from + i];

    sum->positions = 1;
    sum->kl = rows[i].kl;
    sum->agree = rows[i].agree;
    sum->targets = from + i + 1 < text->n;
    sum->nll = rows[i].nll;
    sum->nll_ref = rows[i].nll_ref;
  }
}

/* Rows @from ... of a window: the reference's logits, then those of every lane. */
static gboolean
compare_rows (Batch * batch, guint index, gsize from, guint n, GError ** error)
{
  EvalRun *run = batch->run;
  const EvalText *text = eval_run_text (run, index);
  gsize at = from * run->model.config->hidden_size;
  const float *final = g_ptr_array_index (run->finals, index);
  gint32 targets[EVAL_CHUNK];
  EvalRow rows[EVAL_CHUNK];

  for (guint i = 0; i < n; i++)
    targets[i] = from + i + 1 < text->n ? text->ids[from + i + 1] : -1;
  if (!eval_model_logits (&run->model, final + at, n, batch->logits, error))
    return FALSE;
  eval_reference_set (run->reference, batch->logits, n);
  for (guint i = 0; i < batch->n; i++) {
    Lane *lane = &batch->lanes[i];

    if (lane->twin == REFERENCE) {
      eval_reference_self (run->reference, n, targets, rows);
    } else if (lane->twin == NOBODY) {
      if (!eval_model_logits (lane->model, lane->final + at, n, batch->logits,
              error))
        return FALSE;
      eval_reference_compare (run->reference, batch->logits, n, targets, rows);
    } else {
      continue;
    }
    note_rows (lane->sums, text, from, n, rows);
  }
  return TRUE;
}

/* Quality as another lane found it, bits as they are. */
static void
copy_quality (EvalSum * sums, const EvalSum * twin, gsize n)
{
  for (gsize p = 0; p < n; p++) {
    sums[p].positions = twin[p].positions;
    sums[p].kl = twin[p].kl;
    sums[p].agree = twin[p].agree;
    sums[p].targets = twin[p].targets;
    sums[p].nll = twin[p].nll;
    sums[p].nll_ref = twin[p].nll_ref;
  }
}

/* Ids under the model: the one at p is foretold behind p - 1. */
static void
count_ids (EvalSum * sums, gsize n)
{
  for (gsize p = 1; p < n; p++) {
    sums[p].id_bits = sums[p - 1].nll_ref / G_LN2;
    sums[p].frame_bits = sums[p].ideal_bits = sums[p].id_bits;
  }
}

static void
keep_window (Batch * batch, const EvalText * text)
{
  for (guint i = 0; i < batch->n; i++) {
    Lane *lane = &batch->lanes[i];
    EvalPoint *point = lane->point;
    const EvalVariant *variant = point->variant;

    if (lane->twin >= 0)
      copy_quality (lane->sums, batch->lanes[lane->twin].sums, text->n);
    if (variant->spec->kind == EVAL_IDS && variant->id_code == EVAL_IDS_MODEL)
      count_ids (lane->sums, text->n);
    eval_blocks_add (point->blocks, text->domain, lane->sums, text->n);
    eval_sum_add (&point->first, &lane->sums[0]);
    point->n_windows++;
  }
}

static gboolean
measure_window (Batch * batch, guint index, GError ** error)
{
  const EvalText *text = eval_run_text (batch->run, index);

  if (!send_text (batch, index, error))
    return FALSE;
  for (gsize from = 0; from < text->n; from += EVAL_CHUNK)
    if (!compare_rows (batch, index, from, (guint) MIN (EVAL_CHUNK,
                text->n - from), error))
      return FALSE;
  keep_window (batch, text);
  return TRUE;
}

static gboolean
measure_passage (Batch * batch, guint index, GError ** error)
{
  EvalRun *run = batch->run;
  const EvalText *text = eval_run_text (run, index);
  g_autofree gboolean *right = g_new (gboolean, batch->n);

  if (!send_text (batch, index, error))
    return FALSE;
  for (guint i = 0; i < batch->n; i++) {
    const Lane *lane = &batch->lanes[i];

    if (lane->twin == REFERENCE)
      right[i] = eval_run_word_right (run, index);
    else if (lane->twin != NOBODY)
      right[i] = right[lane->twin];
    else if (!eval_model_word (lane->model, text, lane->final, &right[i],
            error))
      return FALSE;
  }
  for (guint i = 0; i < batch->n; i++) {
    EvalHits *hits = &batch->lanes[i].point->hits[text->domain];

    hits->n++;
    hits->right += right[i];
  }
  return TRUE;
}

/* ---- a batch ---- */

static gboolean
open_lane (Batch * batch, Lane * lane, EvalPoint * point, GError ** error)
{
  const StModelConfig *config = batch->run->model.config;
  gsize values = batch->max_ids * config->hidden_size;

  lane->point = point;
  lane->link = eval_run_link (batch->run, point->variant, 0, error);
  if (!lane->link)
    return FALSE;
  /* the link was made with it, so it is there */
  lane->model = point->variant->spec->kind == EVAL_ELEMENTS ?
      eval_run_model (batch->run, point->variant->spec->name, NULL) :
      &batch->run->model;
  lane->sent = g_new (float, values);
  lane->levels = g_new (gint8, batch->max_ids);
  lane->received = g_new (float, values);
  lane->final = g_new (float, values);
  lane->sums = g_new (EvalSum, batch->max_ids);
  return TRUE;
}

static void
close_lane (Lane * lane)
{
  EvalTimes times;

  if (!lane->link)
    return;
  if (eval_link_times (lane->link, &times) && times.tokens > 0) {
    lane->point->encode_ns = times.encode_ns / (gdouble) times.tokens;
    lane->point->decode_ns = times.decode_ns / (gdouble) times.tokens;
  }
  eval_link_free (lane->link);
  g_free (lane->sent);
  g_free (lane->levels);
  g_free (lane->received);
  g_free (lane->final);
  g_free (lane->sums);
}

static gboolean
measure_texts (Batch * batch, GError ** error)
{
  const guint windows = batch->run->testset->texts->len;
  const guint n = eval_run_n_texts (batch->run);

  for (guint i = 0; i < windows; i++)
    if (!measure_window (batch, i, error))
      return FALSE;
  for (guint i = windows; i < n; i++)
    if (!measure_passage (batch, i, error))
      return FALSE;
  return TRUE;
}

gboolean
eval_run_measure (EvalRun * run, EvalPoint ** points, guint n_points,
    GError ** error)
{
  Batch batch = {.run = run,.lanes = g_new0 (Lane, n_points) };
  gboolean good = TRUE;

  for (guint i = 0; i < eval_run_n_texts (run); i++)
    batch.max_ids = MAX (batch.max_ids, eval_run_text (run, i)->n);
  batch.logits =
      g_new (float, (gsize) EVAL_CHUNK * run->model.config->vocab_size);
  for (batch.n = 0; good && batch.n < n_points; batch.n++)
    good = open_lane (&batch, &batch.lanes[batch.n], points[batch.n], error);
  good = good && measure_texts (&batch, error);
  for (guint i = 0; i < batch.n; i++)
    close_lane (&batch.lanes[i]);
  g_free (batch.lanes);
  g_free (batch.logits);
  return good;
}
