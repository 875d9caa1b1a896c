/* What a codec at the cut costs the model: the uncut model's next-token
 * distributions against those behind a codec, teacher-forced on real text.
 *
 * Two windows of 512 tokens by default; ST_TEST_WINDOWS=12 scores the whole
 * text. Needs the real model (skipped without it). */
#include <math.h>
#include <string.h>
#include "codec/codec.h"
#include "models/model.h"
#include "tests/support/test-model.h"

#define WINDOW 512
#define CHUNK 64

static const guint cuts[] = { 0, 1, 10, 20, 29, 30 };

#define N_SEGMENTS (G_N_ELEMENTS (cuts) - 1)

typedef struct
{
  gdouble kl;
  guint agree, rows;
} Quality;

typedef struct
{
  StModel *segments[N_SEGMENTS];
  guint hidden, vocab;
  gfloat *x, *y, *logits, *ref;
} Fixture;

static void
fixture_open (Fixture * f, const gchar * path)
{
  g_autoptr (GError) error = NULL;

  memset (f, 0, sizeof *f);
  for (guint s = 0; s < N_SEGMENTS; s++) {
    StModelOptions options = {
      .first_block = (gint) cuts[s],.last_block = (gint) cuts[s + 1],
      .embed = s == 0,.output = s == N_SEGMENTS - 1,
      .threads = 2,.deterministic = TRUE
    };
    f->segments[s] = st_model_open (path, &options, &error);
    g_assert_no_error (error);
  }
  f->hidden = st_model_config (f->segments[0])->hidden_size;
  f->vocab = st_model_config (f->segments[0])->vocab_size;
  f->x = g_new (gfloat, CHUNK * f->hidden);
  f->y = g_new (gfloat, CHUNK * f->hidden);
  f->logits = g_new (gfloat, CHUNK * f->vocab);
  f->ref = g_new (gfloat, CHUNK * f->vocab);
}

static void
fixture_close (Fixture * f)
{
  for (guint s = 0; s < N_SEGMENTS; s++)
    st_model_unref (f->segments[s]);
  g_free (f->x);
  g_free (f->y);
  g_free (f->logits);
  g_free (f->ref);
}

static guint
argmax (const gfloat * v, guint n)
{
  guint best = 0;

  for (guint i = 1; i < n; i++)
    if (v[i] > v[best])
      best = i;
  return best;
}

static void
compare_rows (const Fixture * f, Quality * q)
{
  for (guint r = 0; r < CHUNK; r++) {
    const gfloat *a = f->ref + (gsize) r * f->vocab;
    const gfloat *b = f->logits + (gsize) r * f->vocab;
    gdouble za = st_log_sum_exp (a, f->vocab);
    gdouble zb = st_log_sum_exp (b, f->vocab);
    gdouble kl = 0;

    for (guint i = 0; i < f->vocab; i++)
      kl += exp (a[i] - za) * ((a[i] - za) - (b[i] - zb));
    q->kl += kl;
    q->agree += argmax (a, f->vocab) == argmax (b, f->vocab);
    q->rows++;
  }
}

/* Runs segments from @first on @x (in place) and leaves logits in @out. */
static void
run_from (Fixture * f, guint first, StKvCache ** caches, gfloat * x,
    gfloat * out)
{
  g_autoptr (GError) error = NULL;

  for (guint s = first; s < N_SEGMENTS; s++) {
    st_model_run (f->segments[s], caches[s], x, CHUNK, ST_REGIME_PREFILL,
        NULL, &error);
    g_assert_no_error (error);
  }
  st_model_logits (f->segments[N_SEGMENTS - 1], x, CHUNK, ST_REGIME_PREFILL,
      out, NULL, &error);
  g_assert_no_error (error);
}

static void
through_codec (RdCodec * codec, guint position, gfloat * x)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GByteArray) payload = g_byte_array_new ();
  RdRows rows = {.n = CHUNK,.position = position,.ids = NULL };
  gboolean packed;

  rd_codec_encode (codec, &rows, x, TRUE, payload, &packed, &error);
  g_assert_no_error (error);
  rd_codec_decode (codec, &rows, payload->data, payload->len, packed, x,
      &error);
  g_assert_no_error (error);
}

static void
score_window (Fixture * f, RdCodec * codec, const gint32 * ids, Quality * q)
{
  StKvCache *caches[N_SEGMENTS][N_SEGMENTS] = { {NULL} };
  g_autoptr (GError) error = NULL;

  for (guint v = 0; v < N_SEGMENTS; v++)
    for (guint s = v; s < N_SEGMENTS; s++) {
      caches[v][s] = st_kv_cache_new (f->segments[s], WINDOW, ST_TYPE_F32,
          &error);
      g_assert_no_error (error);
    }

  for (guint p = 0; p < WINDOW; p += CHUNK) {
    gfloat *at_cut[N_SEGMENTS];

    st_model_embed (f->segments[0], ids + p, CHUNK, f->x, &error);
    g_assert_no_error (error);
    for (guint s = 0; s < N_SEGMENTS; s++) {
      at_cut[s] = g_memdup2 (f->x, sizeof (gfloat) * CHUNK * f->hidden);
      st_model_run (f->segments[s], caches[0][s], f->x, CHUNK,
          ST_REGIME_PREFILL, NULL, &error);
      g_assert_no_error (error);
    }
    st_model_logits (f->segments[N_SEGMENTS - 1], f->x, CHUNK,
        ST_REGIME_PREFILL, f->ref, NULL, &error);
    g_assert_no_error (error);

    for (guint v = 1; v < N_SEGMENTS; v++) {
      memcpy (f->y, at_cut[v], sizeof (gfloat) * CHUNK * f->hidden);
      through_codec (codec, p, f->y);
      run_from (f, v, caches[v], f->y, f->logits);
      compare_rows (f, &q[v]);
    }
    for (guint s = 0; s < N_SEGMENTS; s++)
      g_free (at_cut[s]);
  }
  for (guint v = 0; v < N_SEGMENTS; v++)
    for (guint s = v; s < N_SEGMENTS; s++)
      st_kv_cache_free (caches[v][s]);
}

static GArray *
text_ids (Fixture * f)
{
  g_autoptr (GError) error = NULL;
  g_autofree gchar *text = NULL;
  g_autofree gchar *path = st_test_data_path ("hamlet20k.txt");
  gsize len;
  GArray *ids = g_array_new (FALSE, FALSE, sizeof (gint32));

  g_file_get_contents (path, &text, &len, &error);
  g_assert_no_error (error);
  st_tokenizer_encode (st_model_tokenizer (f->segments[0]), text, len, FALSE,
      ids, &error);
  g_assert_no_error (error);
  return ids;
}

/* Goal: top-1 agreement >= 99.5 % and mean KL <= 1e-4 nats for f16. */
static void
test_f16 (void)
{
  g_autofree gchar *path = st_test_model_path ();
  const gchar *wanted = g_getenv ("ST_TEST_WINDOWS");
  guint windows = wanted ? (guint) g_ascii_strtoull (wanted, NULL, 10) : 2;
  g_autoptr (RdCodec) codec = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) ids = NULL;
  Quality q[N_SEGMENTS] = { {0} };
  Fixture f;

  if (!path) {
    g_test_skip ("the real model is not here (pipelines/fetch-model)");
    return;
  }
  fixture_open (&f, path);
  codec = rd_codec_new ("f16", f.hidden, &error);
  g_assert_no_error (error);
  ids = text_ids (&f);
  windows = MIN (windows, ids->len / WINDOW);
  g_assert_cmpuint (windows, >, 0);
  for (guint w = 0; w < windows; w++)
    score_window (&f, codec, &g_array_index (ids, gint32, w * WINDOW), q);

  for (guint v = 1; v < N_SEGMENTS; v++) {
    gdouble kl = q[v].kl / q[v].rows;
    gdouble top1 = 100.0 * q[v].agree / q[v].rows;

    g_test_message ("f16, cut before block %u: KL %.3g nats, top-1 %.2f %%, "
        "%u positions", cuts[v], kl, top1, q[v].rows);
    g_assert_cmpfloat (kl, <=, 1e-4);
    g_assert_cmpfloat (top1, >=, 99.5);
  }
  fixture_close (&f);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/split-quality/f16", test_f16);
  return g_test_run ();
}
