/* Processor time of the learned codec and of its parts, of single-token and of 64-token frames, and as a share of what the model's head takes - a long prefill
 * in the case of parts and of frames of 64 tokens, a token after the other in that of frames of one -, all in one interleaved run on one thread.
 *
 * usage: bench-learned CODEC.gguf [MODEL.gguf] [BITS]    BITS a token to aim at (900). Without the model, states are drawn at random. */
#include "codec/entropy/rans.h"
#include "codec/learned/coder.h"
#include "models/model.h"
#include "tests/support/test-model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TOKENS 512u
#define ROUNDS 7
#define N_BLOCKS (TOKENS / RD_BLOCK_ROWS)
#define DEFAULT_BITS 900
/* Of the head, one after the other. */
#define STEPS 32u

static const guint complexities[] =
    { 0, RD_COMPLEXITY_DEFAULT, RD_COMPLEXITY_MAX };
static const guint frames[] = { 64, 1 };

typedef struct
{
  RdCodec *codec;
  RdLearnedModel *learned;
  RdCoder *coder;
  StModel *model;               /* NULL: no head */
  StKvCache *cache;
  gint32 *ids;
  guint d, level;
  gfloat *x, *y;                /* (TOKENS, D) */
  GByteArray *payloads[TOKENS];
  /* of the blocks: what each part works on */
  gint32 *symbols;              /* (N_BLOCKS, D + 2, RD_BLOCK_ROWS) */
  guint16 *tables;
  gfloat *values;               /* (TOKENS / RD_TRELLIS_ROWS, D, RD_TRELLIS_ROWS) in steps */
  gint32 offsets[TOKENS];
  GByteArray *streams[N_BLOCKS];
} Bench;

typedef struct _Task
{
  gchar *name;
  void (*run) (Bench * bench, const struct _Task * task);
  guint frame, complexity;
  guint tokens;                 /* that it runs */
  gdouble ns[ROUNDS];           /* a token */
  gdouble bits, ideal;
} Task;

static void
fail (const GError * error)
{
  g_printerr ("bench-learned: %s\n", error->message);
  exit (1);
}

/* Of the processor, so that others on the machine count less. */
static gdouble
now_ns (void)
{
  struct timespec t;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &t);
  return (gdouble) t.tv_sec * 1e9 + (gdouble) t.tv_nsec;
}

/* ---- whole codec ---- */

static void
set_codec (Bench * b, guint complexity)
{
  RdSettings settings = { b->level * 100. / (RD_LEARNED_LEVELS - 1),
    complexity, FALSE
  };

  rd_codec_set (b->codec, &settings);
}

static void
run_encode (Bench * b, const Task * task)
{
  g_autoptr (GError) error = NULL;
  gboolean packed;

  set_codec (b, task->complexity);
  for (guint t = 0; t < TOKENS; t += task->frame) {
    RdRows rows = {.n = task->frame,.position = t };

    g_byte_array_set_size (b->payloads[t], 0);
    if (!rd_codec_encode (b->codec, &rows, b->x + (gsize) t * b->d, FALSE,
            b->payloads[t], &packed, &error))
      fail (error);
  }
}

/* Of what run_encode() made just before. */
static void
run_decode (Bench * b, const Task * task)
{
  g_autoptr (GError) error = NULL;

  for (guint t = 0; t < TOKENS; t += task->frame) {
    RdRows rows = {.n = task->frame,.position = t };

    if (!rd_codec_decode (b->codec, &rows, b->payloads[t]->data,
            b->payloads[t]->len, FALSE, b->y + (gsize) t * b->d, &error))
      fail (error);
  }
}

static void
count_bits (Bench * b, Task * task)
{
  run_encode (b, task);
  task->bits = task->ideal = 0;
  for (guint t = 0; t < TOKENS; t += task->frame) {
    RdRows rows = {.n = task->frame,.position = t };

    task->bits += 8. * b->payloads[t]->len / TOKENS;
    task->ideal += rd_codec_ideal_bits (b->codec, &rows, b->payloads[t]->data,
        b->payloads[t]->len) / TOKENS;
  }
}

/* ---- parts ---- */

static gsize
block_symbols (const Bench * b)
{
  return (gsize) (b->d + 2) * RD_BLOCK_ROWS;
}

/* Of the rows from @t on. */
static RdTrellis
trellis_of (const Bench * b, gsize t)
{
  const gfloat *bits = b->learned->bits;
  RdTrellis trellis = {
    .hidden_size = b->d,
    .bits = {bits, bits + RD_LEARNED_SCALES * RD_TRELLIS_COSTS},
    .log_step = b->coder->steps.log_step,.base = b->coder->steps.base,
    .weights = b->coder->context.weights,
    .magnitude = b->coder->context.magnitude,.decisions = b->coder->decisions,
  };

  memcpy (trellis.offset, b->offsets + t, sizeof trellis.offset);
  return trellis;
}

static void
prepare_parts (Bench * b)
{
  gsize n = block_symbols (b);
  g_autoptr (GError) error = NULL;

  if (!rd_coder_set_encoder (b->coder, 0, b->level, FALSE, &error))
    fail (error);
  b->symbols = g_new (gint32, N_BLOCKS * n);
  b->tables = g_new (guint16, N_BLOCKS * n);
  b->values = g_new (gfloat, TOKENS * b->d);
  for (guint i = 0; i < N_BLOCKS; i++) {
    RdRows rows = {.n = TOKENS };
    gsize at = (gsize) i * RD_BLOCK_ROWS;

    rd_coder_quantise (b->coder, &rows, b->x, at, RD_BLOCK_ROWS, NULL);
    memcpy (b->symbols + i * n, b->coder->symbols, n * sizeof (gint32));
    memcpy (b->tables + i * n, b->coder->tables, n * sizeof (guint16));
    memcpy (b->offsets + at, b->coder->context.offset,
        RD_BLOCK_ROWS * sizeof (gint32));
    for (gsize t = 0; t < RD_BLOCK_ROWS; t += RD_TRELLIS_ROWS) {
      RdTrellis trellis = trellis_of (b, at + t);

      rd_trellis_steps (&trellis, b->coder->coefficients + t * b->d,
          RD_TRELLIS_ROWS, b->values + (at + t) * b->d);
    }
    b->streams[i] = g_byte_array_new ();
  }
}

static void
run_analysis (Bench * b, const Task * task)
{
  (void) task;
  for (guint t = 0; t < TOKENS; t += RD_BLOCK_ROWS) {
    const RdFactor x = { b->x + (gsize) t * b->d, RD_BLOCK_ROWS, b->d, 1 };

    rd_packed_matrix_apply (b->coder->analysis, &x, b->y + (gsize) t * b->d);
  }
}

static void
run_trellis (Bench * b, const Task * task)
{
  (void) task;
  for (gsize t = 0; t < TOKENS; t += RD_TRELLIS_ROWS) {
    RdTrellis trellis = trellis_of (b, t);

    rd_trellis_run (&trellis, b->values + t * b->d, b->coder->row_symbols);
  }
}

static void
run_contexts (Bench * b, const Task * task)
{
  (void) task;
  for (guint i = 0; i < N_BLOCKS; i++) {
    const gint32 *symbols = b->symbols + i * block_symbols (b);
    RdContext *context = &b->coder->context;

    memcpy (context->offset, b->offsets + i * RD_BLOCK_ROWS,
        sizeof context->offset);
    context->n = RD_BLOCK_ROWS;
    rd_context_start (context);
    for (gsize j = 0; j < b->d; j++)
      rd_context_next (context, symbols + (j + 1) * RD_BLOCK_ROWS, j,
          b->coder->tables);
  }
}

static void
run_rans_encode (Bench * b, const Task * task)
{
  (void) task;
  for (guint i = 0; i < N_BLOCKS; i++) {
    g_byte_array_set_size (b->streams[i], 0);
    if (!rd_rans_encode (b->learned->tables, rd_block_lanes (RD_BLOCK_ROWS),
            b->symbols + i * block_symbols (b),
            b->tables + i * block_symbols (b), block_symbols (b),
            b->streams[i], NULL))
      g_assert_not_reached ();
  }
}

/* In lines of a coefficient each, as contexts make the decoder do. */
static void
run_rans_decode (Bench * b, const Task * task)
{
  (void) task;
  for (guint i = 0; i < N_BLOCKS; i++) {
    const guint16 *tables = b->tables + i * block_symbols (b);
    RdRansDecoder decoder;

    if (!rd_rans_decoder_init (&decoder, b->learned->tables,
            rd_block_lanes (RD_BLOCK_ROWS), block_symbols (b),
            b->streams[i]->data, b->streams[i]->len, NULL))
      g_assert_not_reached ();
    for (gsize at = 0; at < block_symbols (b); at += RD_BLOCK_ROWS)
      rd_rans_decode (&decoder, tables + at, b->coder->symbols + at,
          RD_BLOCK_ROWS);
    if (!rd_rans_decoder_finish (&decoder, NULL))
      g_assert_not_reached ();
  }
}

/* Those of a codec file with networks: what both sides run, and then what encoders alone do for latents. */
static void
run_networks (Bench * b, const Task * task)
{
  RdCoder *coder = b->coder;

  for (guint t = 0; t < TOKENS; t += task->frame) {
    const gint32 *symbols = b->symbols + t / RD_BLOCK_ROWS * block_symbols (b);

    memcpy (coder->context.offset, b->offsets + t,
        task->frame * sizeof (gint32));
    coder->context.n = task->frame;
    rd_network_run_start (coder->networks, &coder->context, b->level, symbols);
    for (gsize j = 0; j < b->d; j++)
      rd_network_run_next (coder->networks, &coder->context, symbols, j);
  }
}

static void
run_latents (Bench * b, const Task * task)
{
  RdCoder *coder = b->coder;

  for (guint t = 0; t < TOKENS; t += task->frame) {
    memcpy (coder->context.offset, b->offsets + t,
        task->frame * sizeof (gint32));
    rd_coder_set_rows (coder, task->frame);
    memcpy (coder->symbols,
        b->symbols + t / RD_BLOCK_ROWS * block_symbols (b),
        (b->d + 2) * task->frame * sizeof (gint32));
    rd_coder_choose_latents (coder, task->frame);
  }
}

/* ---- head ---- */

static void
run_head (Bench * b, const Task * task)
{
  g_autoptr (GError) error = NULL;

  (void) task;
  st_kv_cache_truncate (b->cache, 0);
  if (!st_model_embed (b->model, b->ids, TOKENS, b->y, &error)
      || !st_model_run (b->model, b->cache, b->y, TOKENS, ST_REGIME_PREFILL,
          NULL, &error))
    fail (error);
}

/* Behind what run_head() left. */
static void
run_head_steps (Bench * b, const Task * task)
{
  g_autoptr (GError) error = NULL;

  st_kv_cache_truncate (b->cache, TOKENS - task->tokens);
  for (guint t = TOKENS - task->tokens; t < TOKENS; t++) {
    if (!st_model_embed (b->model, b->ids + t, 1, b->y, &error)
        || !st_model_run (b->model, b->cache, b->y, 1, ST_REGIME_STEP, NULL,
            &error))
      fail (error);
  }
}

static void
read_ids (Bench * b)
{
  g_autofree gchar *path = st_test_data_path ("hamlet20k.txt");
  g_autofree gchar *text = NULL;
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_autoptr (GError) error = NULL;
  gsize size;

  if (!g_file_get_contents (path, &text, &size, &error)
      || !st_tokenizer_encode (st_model_tokenizer (b->model), text, size,
          FALSE, ids, &error))
    fail (error);
  g_assert_cmpuint (ids->len, >=, TOKENS);
  b->ids = g_memdup2 (ids->data, TOKENS * sizeof (gint32));
}

static void
open_head (Bench * b, const gchar * path)
{
  StModelOptions options = {
    .last_block = (gint) rd_codec_info (b->codec)->split_layer,.embed = TRUE,
    .threads = 1,.deterministic = TRUE
  };
  g_autoptr (GError) error = NULL;

  b->model = st_model_open (path, &options, &error);
  if (!b->model)
    fail (error);
  b->cache = st_kv_cache_new (b->model, TOKENS, ST_TYPE_F32, &error);
  if (!b->cache)
    fail (error);
  read_ids (b);
  run_head (b, NULL);
  memcpy (b->x, b->y, (gsize) TOKENS * b->d * sizeof (gfloat));
}

/* ---- states without a model ---- */

/* Mean and coefficients of a Laplace distribution. */
static void
draw_states (Bench * b)
{
  const RdLearnedSet *set = &b->learned->p->set[0];
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  g_autofree gfloat *c = g_new (gfloat, TOKENS * b->d);
  RdRows rows = {.n = TOKENS };

  for (gsize i = 0; i < (gsize) TOKENS * b->d; i++) {
    gdouble u = g_rand_double_range (rand, -0.9999, 0.9999);

    c[i] = (gfloat) (copysign (-log (1 - fabs (u)), u) / G_SQRT2)
        * rd_exp2_step (set->scale[i % b->d]);
  }
  const RdFactor factor = { c, TOKENS, b->d, 1 };
  rd_model_start (b->learned, &rows, 0, TOKENS, b->x);
  rd_packed_matrix_apply (b->learned->synthesis[0], &factor, b->x);
}

/* ---- report ---- */

static void
add_task (GPtrArray * tasks, gchar * name, void (*run) (Bench *,
        const Task *), guint frame, guint complexity)
{
  Task *task = g_new0 (Task, 1);

  *task = (Task) {
  .name = name,.run = run,.frame = frame,.complexity = complexity,.tokens =
        run == run_head_steps ? STEPS : TOKENS};
  g_ptr_array_add (tasks, task);
}

static GPtrArray *
make_tasks (const Bench * b)
{
  GPtrArray *tasks = g_ptr_array_new ();

  if (b->model) {
    add_task (tasks, g_strdup ("head, prefill"), run_head, 64, 0);
    add_task (tasks, g_strdup ("head, one by one"), run_head_steps, 1, 0);
  }
  for (guint f = 0; f < G_N_ELEMENTS (frames); f++)
    for (guint c = 0; c < G_N_ELEMENTS (complexities); c++) {
      add_task (tasks, g_strdup_printf ("encode, complexity %u, frames of %u",
              complexities[c], frames[f]), run_encode, frames[f],
          complexities[c]);
      add_task (tasks, g_strdup_printf ("decode, complexity %u, frames of %u",
              complexities[c], frames[f]), run_decode, frames[f],
          complexities[c]);
    }
  add_task (tasks, g_strdup ("  transform"), run_analysis, 64, 0);
  add_task (tasks, g_strdup ("  trellis"), run_trellis, 64, 0);
  add_task (tasks, g_strdup ("  contexts"), run_contexts, 64, 0);
  add_task (tasks, g_strdup ("  rANS encode"), run_rans_encode, 64, 0);
  add_task (tasks, g_strdup ("  rANS decode"), run_rans_decode, 64, 0);
  for (guint f = 0; f < G_N_ELEMENTS (frames) && b->coder->networks; f++) {
    add_task (tasks, g_strdup_printf ("  networks, frames of %u", frames[f]),
        run_networks, frames[f], 0);
    if (b->coder->n_latents > 0)
      add_task (tasks, g_strdup_printf ("  networks for latents, frames of %u",
              frames[f]), run_latents, frames[f], 0);
  }
  return tasks;
}

static gint
compare (gconstpointer a, gconstpointer b)
{
  const gdouble *x = a, *y = b;

  return (*x > *y) - (*x < *y);
}

static gdouble
median (Task * task)
{
  qsort (task->ns, ROUNDS, sizeof (gdouble), compare);
  return task->ns[ROUNDS / 2];
}

/* Share of the head, and of encoder and decoder together where a decoder is timed. */
static void
report (const Bench * b, GPtrArray * tasks)
{
  gdouble prefill = b->model ? median (tasks->pdata[0]) : 0;
  gdouble step = b->model ? median (tasks->pdata[1]) : 0, encode = 0;

  for (guint i = 0; i < tasks->len; i++) {
    Task *task = tasks->pdata[i];
    gdouble ns = median (task), head = task->frame == 1 ? step : prefill;

    g_print ("%-38s %9.0f %8.2f", task->name, ns, ns / b->d);
    if (head > 0)
      g_print (" %8.2f %%", 100 * ns / head);
    if (task->run == run_encode)
      encode = ns;
    if (task->run == run_decode && head > 0)
      g_print ("   both %.2f %%", 100 * (ns + encode) / head);
    if (task->bits > 0)
      g_print ("   %.1f bits, %.1f (%.2f %%) above the ideal", task->bits,
          task->bits - task->ideal, 100 * (task->bits / task->ideal - 1));
    g_print ("\n");
  }
}

static void
measure (Bench * b, GPtrArray * tasks)
{
  for (guint round = 0; round < ROUNDS; round++)
    for (guint i = 0; i < tasks->len; i++) {
      Task *task = tasks->pdata[i];
      gdouble begin = now_ns ();

      task->run (b, task);
      task->ns[round] = (now_ns () - begin) / task->tokens;
    }
  for (guint i = 0; i < tasks->len; i++)
    if (((Task *) tasks->pdata[i])->run == run_encode)
      count_bits (b, tasks->pdata[i]);
}

/* The level at which frames of 64 tokens come closest to @bits. */
static void
choose_level (Bench * b, gdouble bits)
{
  Task task = {.frame = 64,.complexity = RD_COMPLEXITY_DEFAULT };
  guint low = 0, high = RD_LEARNED_LEVELS - 1;

  while (low < high) {
    b->level = (low + high) / 2;
    count_bits (b, &task);
    if (task.bits < bits)
      low = b->level + 1;
    else
      high = b->level;
  }
  b->level = low;
}

static void
open_codec (Bench * b, const gchar * path)
{
  g_autoptr (GError) error = NULL;
  RdLearnedParameters *parameters;

  b->codec = rd_codec_new (path, 0, &error);
  if (!b->codec)
    fail (error);
  parameters = rd_learned_parameters_load (path, &error);
  b->learned = parameters ? rd_learned_model_new (parameters, &error) : NULL;
  if (!b->learned)
    fail (error);
  b->coder = rd_coder_new (b->learned);
  b->d = rd_codec_info (b->codec)->hidden_size;
  b->x = g_new (gfloat, (gsize) TOKENS * b->d);
  b->y = g_new0 (gfloat, (gsize) TOKENS * b->d);
  for (guint t = 0; t < TOKENS; t++)
    b->payloads[t] = g_byte_array_new ();
}

static void
clear (Bench * b)
{
  for (guint t = 0; t < TOKENS; t++)
    g_byte_array_unref (b->payloads[t]);
  for (guint i = 0; i < N_BLOCKS; i++)
    g_byte_array_unref (b->streams[i]);
  g_free (b->symbols);
  g_free (b->tables);
  g_free (b->values);
  g_free (b->x);
  g_free (b->y);
  g_free (b->ids);
  if (b->cache)
    st_kv_cache_free (b->cache);
  if (b->model)
    st_model_unref (b->model);
  rd_coder_free (b->coder);
  rd_learned_model_free (b->learned);
  rd_codec_free (b->codec);
}

int
main (int argc, char **argv)
{
  Bench b = { 0 };
  gdouble bits = argc > 3 ? g_ascii_strtod (argv[3], NULL) : DEFAULT_BITS;

  if (argc < 2) {
    g_printerr ("usage: bench-learned CODEC.gguf [MODEL.gguf] [BITS]\n");
    return 2;
  }
  open_codec (&b, argv[1]);
  if (argc > 2)
    open_head (&b, argv[2]);
  else
    draw_states (&b);
  choose_level (&b, bits);
  prepare_parts (&b);
  g_autoptr (GPtrArray) tasks = make_tasks (&b);
  measure (&b, tasks);
  g_print ("level %u, %s; medians of %u rounds over %u tokens\n", b.level,
      rd_rans_instruction_set (), ROUNDS, TOKENS);
  g_print ("%-38s %9s %8s %s\n", "", "ns/token", "ns/value",
      b.model ? "of the head" : "");
  report (&b, tasks);
  for (guint i = 0; i < tasks->len; i++) {
    g_free (((Task *) tasks->pdata[i])->name);
    g_free (tasks->pdata[i]);
  }
  clear (&b);
  return 0;
}
