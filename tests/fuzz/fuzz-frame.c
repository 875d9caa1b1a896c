/* rd_frame_parse() on a stream of damaged frames, found by scanning as a byte-stream parser does it. */
#include <string.h>
#include "codec/wire/frame.h"
#include "tests/fuzz/fuzz.h"

#define MAX_FRAME (1u << 20)

/* What was parsed can be written, and comes back the same. Unknown records and flags are not kept. */
static void
check_again (const RdFrame * f, const RdHeader * header)
{
  g_autofree gint32 *ids = g_new0 (gint32, f->n_ids + 1);
  g_autoptr (GByteArray) out = g_byte_array_new ();
  RdFrame g;

  rd_frame_ids (f, ids);
  g_assert_true (rd_frame_write (f, header, ids, out, NULL));
  g_assert_true (rd_frame_parse (out->data, out->len, G_MAXUINT32, &g, NULL));
  g_assert_cmpuint (g.type, ==, f->type);
  g_assert_cmpuint (g.epoch, ==, f->epoch);
  g_assert_cmpuint (g.position, ==, f->position);
  g_assert_cmpuint (g.count, ==, f->count);
  g_assert_cmpuint (g.ack_position, ==, f->ack_position);
  g_assert_cmpuint (g.n_ids, ==, f->n_ids);
  g_assert_cmpint (rd_frame_given_id (&g), ==, rd_frame_given_id (f));
  if (f->type == RD_FRAME_STATES || f->type == RD_FRAME_CONTROL)
    g_assert_cmpmem (g.payload, g.payload_size, f->payload, f->payload_size);
}

static void
use (const RdFrame * f)
{
  RdHeader header = { 0, };

  if (f->type == RD_FRAME_HEADER && !rd_frame_parse_header (f, &header, NULL))
    return;
  /* COUNT means nothing outside STATES; a newer subtype cannot be written */
  if (f->type == RD_FRAME_STATES || f->type == RD_FRAME_TOKENS
      || f->type == RD_FRAME_HEADER || (f->type == RD_FRAME_CONTROL
          && f->control <= RD_CONTROL_KEEPALIVE)) {
    RdFrame plain = *f;

    if (f->type != RD_FRAME_STATES) {
      plain.count = 1;
      plain.epoch = f->type == RD_FRAME_HEADER ? 0 : f->epoch;
      plain.given = FALSE;
      plain.n_ids = f->type == RD_FRAME_TOKENS ? f->n_ids : 0;
    }
    check_again (&plain, &header);
  }
  rd_header_clear (&header);
}

void
fuzz_one (const guint8 * data, gsize size)
{
  gsize at = 0;

  while ((at += rd_frame_scan (data + at, size - at)) < size) {
    g_autofree guint8 *exact = g_memdup2 (data + at, size - at);
    g_autoptr (GError) error = NULL;
    RdFrame f;

    if (rd_frame_parse (exact, size - at, MAX_FRAME, &f, &error)) {
      g_assert_cmpuint (f.size, <=, size - at);
      use (&f);
      at += f.size;
    } else {
      g_assert_nonnull (error);
      at++;
    }
  }
}

static void
put (GByteArray * out, RdFrame f, const RdHeader * header, const gint32 * ids)
{
  static const guint8 payload[300] = { 1, 2, 3, 0xfd, 0x7e };

  if (f.payload_size)
    f.payload = payload;
  g_assert_true (rd_frame_write (&f, header, ids, out, NULL));
}

GBytes *
fuzz_seed (guint i)
{
  static const gint32 ids[] = { 5, 49151, 3, 4 };
  /* these are coded: hits, a wide field, one beyond the ranges */
  static const gint32 prose[] = { 504, 2085, 436, 260, 1143, 314, 49160, 28,
    284, 260, 2085, 30, 70000, 260, 1143, 314
  };
  static gchar *stop[] = { (gchar *) "\n", (gchar *) "end", NULL };
  const RdHeader header = {.codec = "f16",.model_name = "fuzz",
    .hidden_size = 576,.vocab_size = 49152,.reply_port = 5001,
    .cookie = {1},.wishes = {.mask = 0xfff,.temperature = 0.8f,.stop = stop}
  };
  GByteArray *out;

  if (i > 3)
    return NULL;
  out = g_byte_array_new ();
  if (i == 0 || i == 3)
    put (out, (RdFrame) {
        .type = RD_FRAME_HEADER,.alias = 1}
      , &header, NULL);
  if (i == 1 || i == 3) {
    put (out, (RdFrame) {
        .type = RD_FRAME_STATES,.count = 1,.step = TRUE,.sample =
          TRUE,.position = 300,.payload_size = 100}
        , NULL, NULL);
    put (out, (RdFrame) {
        .type = RD_FRAME_STATES,.count = 3,.n_ids = 4,.given = TRUE,.epoch =
          4,.has_epoch = TRUE,.truncate = TRUE,.packed =
          TRUE,.fragment_total = 1000,.fragment_offset = 300,.payload_size =
          300}
        , NULL, ids);
  }
  if (i == 2 || i == 3) {
    put (out, (RdFrame) {
        .type = RD_FRAME_TOKENS,.n_ids = 2,.position = 7,.ack_position =
          3,.has_cookie = TRUE}
        , NULL, ids);
    put (out, (RdFrame) {
        .type = RD_FRAME_TOKENS,.n_ids = G_N_ELEMENTS (prose)}
        , NULL, prose);
    put (out, (RdFrame) {
        .type = RD_FRAME_CONTROL,.control = RD_CONTROL_REPLAY,.payload_size =
          5,.value = 70000,.aux = 3}
        , NULL, NULL);
  }
  return g_byte_array_free_to_bytes (out);
}
