/* Frames: golden bytes of the second implementation, sizes that the design promises, every truncation and bit flip, limits. */
#include <string.h>
#include "codec/wire/crc32c.h"
#include "codec/wire/frame.h"
#include "tests/support/test-model.h"

#define MAX_FRAME (1u << 24)

/* ---- the golden frames' text ---- */

static void
put_hex (GString * out, const gchar * key, gconstpointer data, gsize size)
{
  const guint8 *p = data;
  gsize i;

  g_string_append_printf (out, " %s=", key);
  for (i = 0; i < size; i++)
    g_string_append_printf (out, "%02x", p[i]);
  if (!size)
    g_string_append_c (out, '-');
}

static void
put_ids (GString * out, const RdFrame * f)
{
  g_autofree gint32 *ids = g_new0 (gint32, f->n_ids + 1);
  guint32 i;

  rd_frame_ids (f, ids);
  g_string_append (out, " ids=");
  for (i = 0; i < f->n_ids; i++)
    g_string_append_printf (out, "%s%d", i ? "," : "", ids[i]);
  if (!f->n_ids)
    g_string_append_c (out, '-');
}

static void
describe_states (GString * out, const RdFrame * f)
{
  g_string_append_printf (out, " step=%d sample=%d count=%u", f->step,
      f->sample, f->count);
  if (f->has_epoch)
    g_string_append_printf (out, " epoch=%u", f->epoch);
  else
    g_string_append (out, " epoch=-");
  g_string_append_printf (out, " truncate=%d given=%d packed=%d", f->truncate,
      f->given, f->packed);
  put_ids (out, f);
  if (f->fragment_total)
    g_string_append_printf (out, " fragment=%u,%u", f->fragment_offset,
        f->fragment_total);
  else
    g_string_append (out, " fragment=-");
  put_hex (out, "payload", f->payload, f->payload_size);
}

static void
describe_control (GString * out, const RdFrame * f)
{
  static const gchar *names[] = { "ACK", "REPLAY", "KEY", "PROBE", "WORKING",
    "END", "END_ACK", "CANCEL", "ERROR", "KEEPALIVE"
  };

  g_assert_cmpuint (f->control, <, G_N_ELEMENTS (names));
  g_string_append_printf (out, " subtype=%s check=%u instance=%u epoch=%u "
      "value=%" G_GUINT64_FORMAT " aux=%" G_GUINT64_FORMAT, names[f->control],
      f->check, f->instance, f->epoch, f->value, f->aux);
  put_hex (out, "data", f->payload, f->payload_size);
  put_hex (out, "cookie", f->cookie, f->has_cookie ? RD_COOKIE_BYTES : 0);
}

static void
put_le (GString * out, const gchar * key, guint64 value, gsize bytes)
{
  value = GUINT64_TO_LE (value);
  put_hex (out, key, &value, bytes);
}

static void
put_float (GString * out, const gchar * key, gfloat value)
{
  guint32 bits;

  memcpy (&bits, &value, 4);
  put_le (out, key, bits, 4);
}

static void
describe_wishes (GString * out, const RdWishes * w)
{
  guint i;

  if (w->mask & RD_WISH_TEMPERATURE)
    put_float (out, "temperature", w->temperature);
  if (w->mask & RD_WISH_TOP_K)
    put_le (out, "top-k", (guint32) w->top_k, 4);
  if (w->mask & RD_WISH_TOP_P)
    put_float (out, "top-p", w->top_p);
  if (w->mask & RD_WISH_MIN_P)
    put_float (out, "min-p", w->min_p);
  if (w->mask & RD_WISH_REPEAT_PENALTY)
    put_float (out, "repeat-penalty", w->repeat_penalty);
  if (w->mask & RD_WISH_REPEAT_LAST_N)
    put_le (out, "repeat-last-n", (guint32) w->repeat_last_n, 4);
  if (w->mask & RD_WISH_PRESENCE_PENALTY)
    put_float (out, "presence-penalty", w->presence_penalty);
  if (w->mask & RD_WISH_FREQUENCY_PENALTY)
    put_float (out, "frequency-penalty", w->frequency_penalty);
  if (w->mask & RD_WISH_SEED)
    put_le (out, "seed", w->seed, 8);
  if (w->mask & RD_WISH_MAX_TOKENS)
    put_le (out, "max-tokens", w->max_tokens, 4);
  if (w->mask & RD_WISH_IGNORE_EOS)
    put_le (out, "ignore-eos", w->ignore_eos != 0, 1);
  if (!(w->mask & RD_WISH_STOP))
    return;
  if (!w->stop)
    g_string_append (out, " stop=-");
  for (i = 0; w->stop && w->stop[i]; i++) {
    if (i == 0) {
      put_hex (out, "stop", w->stop[i], strlen (w->stop[i]));
    } else {
      g_autoptr (GString) next = g_string_new (NULL);

      put_hex (next, "", w->stop[i], strlen (w->stop[i]));
      g_string_append_printf (out, ",%s", next->str + 2);
    }
  }
}

static void
describe_header (GString * out, const RdHeader * h)
{
  static const guint8 no_cookie[RD_COOKIE_BYTES] = { 0, };

  put_hex (out, "session", h->session_id, sizeof h->session_id);
  put_hex (out, "model", h->model_id, sizeof h->model_id);
  put_hex (out, "tokenizer", h->tokenizer_id, sizeof h->tokenizer_id);
  g_string_append_printf (out, " codec=%s split=%u hidden=%u vocab=%u next=%u "
      "first=%u feedback=%d name=%s", h->codec, h->split_layer, h->hidden_size,
      h->vocab_size, h->next_sequence, h->first_sequence, h->has_feedback,
      h->model_name[0] ? h->model_name : "-");
  if (h->reply_port)
    g_string_append_printf (out, " port=%u", h->reply_port);
  else
    g_string_append (out, " port=-");
  put_hex (out, "cookie", h->cookie, memcmp (h->cookie, no_cookie,
          sizeof no_cookie) ? sizeof h->cookie : 0);
  describe_wishes (out, &h->wishes);
}

static gchar *
describe (const RdFrame * f, const RdHeader * header)
{
  static const gchar *types[] = { "HEADER", "STATES", "TOKENS", "CONTROL" };
  GString *out = g_string_new (NULL);

  g_assert_cmpuint (f->type, <, G_N_ELEMENTS (types));
  g_string_append_printf (out, "type=%s alias=%u sequence=%u position=%u",
      types[f->type], f->alias, f->sequence, f->position);
  if (f->type == RD_FRAME_STATES)
    describe_states (out, f);
  if (f->type == RD_FRAME_HEADER)
    describe_header (out, header);
  if (f->type == RD_FRAME_CONTROL)
    describe_control (out, f);
  if (f->type == RD_FRAME_TOKENS) {
    g_string_append_printf (out, " check=%u instance=%u epoch=%u ack=%u held=%"
        G_GUINT64_FORMAT " finish=%d", f->check, f->instance, f->epoch,
        f->ack_position, f->value, f->finish);
    put_ids (out, f);
    put_hex (out, "cookie", f->cookie, f->has_cookie ? RD_COOKIE_BYTES : 0);
  }
  return g_string_free (out, FALSE);
}

/* ---- helpers ---- */

static guint8 *
from_hex (const gchar * hex, gsize * size)
{
  guint8 *out;
  gsize i;

  *size = strlen (hex) / 2;
  out = g_malloc (MAX (*size, 1));
  for (i = 0; i < *size; i++)
    out[i] = (guint8) (g_ascii_xdigit_value (hex[2 * i]) << 4
        | g_ascii_xdigit_value (hex[2 * i + 1]));
  return out;
}

/* Parses a copy in a heap block of exact size, so that a sanitizer sees a read beyond; for a HEADER its contents too. */
static gboolean
parse_exact (const guint8 * data, gsize size, GError ** error)
{
  g_autofree guint8 *exact = g_memdup2 (data, size);
  RdFrame f;
  RdHeader header;

  if (!rd_frame_parse (exact, size, MAX_FRAME, &f, error))
    return FALSE;
  if (f.type != RD_FRAME_HEADER)
    return TRUE;
  if (!rd_frame_parse_header (&f, &header, error))
    return FALSE;
  rd_header_clear (&header);
  return TRUE;
}

static GByteArray *
write_again (const RdFrame * f, const RdHeader * header)
{
  g_autofree gint32 *ids = g_new0 (gint32, f->n_ids + 1);
  GByteArray *out = g_byte_array_new ();
  GError *error = NULL;

  rd_frame_ids (f, ids);
  rd_frame_write (f, header, ids, out, &error);
  g_assert_no_error (error);
  return out;
}

static gchar **
golden_lines (void)
{
  g_autofree gchar *path = st_test_data_path ("wire/frames.txt");
  g_autofree gchar *text = NULL;
  GError *error = NULL;

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  return g_strsplit (g_strchomp (text), "\n", -1);
}

/* ---- tests ---- */

static void
check_good (const gchar * line)
{
  g_auto (GStrv) words = g_strsplit (line, " ", 2);
  g_autofree gchar *text = NULL;
  g_autofree guint8 *data = NULL;
  g_autoptr (GByteArray) again = NULL;
  GError *error = NULL;
  RdHeader header = { 0, };
  RdFrame f;
  gsize size;

  data = from_hex (words[0], &size);
  rd_frame_parse (data, size, MAX_FRAME, &f, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (f.size, ==, size);
  if (f.type == RD_FRAME_HEADER)
    rd_frame_parse_header (&f, &header, &error);
  g_assert_no_error (error);
  text = describe (&f, &header);
  g_assert_cmpstr (text, ==, words[1]);
  again = write_again (&f, &header);
  g_assert_cmpmem (again->data, again->len, data, size);
  rd_header_clear (&header);
}

static void
check_bad (const gchar * line)
{
  static const gchar *codes[] = { "TRUNCATED", "SYNC", "CRC", "VERSION",
    "INVALID"
  };
  g_auto (GStrv) words = g_strsplit (line, " ", 3);
  g_autofree guint8 *data = NULL;
  g_autoptr (GError) error = NULL;
  gsize size;

  data = from_hex (words[2], &size);
  g_assert_false (parse_exact (data, size, &error));
  g_assert_true (error->domain == RD_WIRE_ERROR);
  g_assert_cmpstr (codes[error->code], ==, words[1]);
}

static void
test_golden (void)
{
  g_auto (GStrv) lines = golden_lines ();
  guint i;

  g_assert_cmpuint (g_strv_length (lines), >, 60);
  for (i = 0; lines[i]; i++) {
    if (g_str_has_prefix (lines[i], "bad "))
      check_bad (lines[i]);
    else
      check_good (lines[i]);
  }
}

/* A part of a frame asks for more and tells the size once it can; no flipped bit goes unnoticed. */
static void
damage_one (const guint8 * data, gsize size)
{
  g_autofree guint8 *copy = g_memdup2 (data, size);
  GError *error = NULL;
  RdFrame f;
  gsize i, bit;

  for (i = 0; i < size; i++) {
    g_autofree guint8 *exact = g_memdup2 (data, i);

    g_assert_false (rd_frame_parse (exact, i, MAX_FRAME, &f, &error));
    g_assert_error (error, RD_WIRE_ERROR, RD_WIRE_ERROR_TRUNCATED);
    g_assert_true (f.size == size || (f.size == 0 && i < RD_WIRE_MAX_PREFIX));
    g_clear_error (&error);
  }
  for (bit = 0; bit < 8 * size; bit++) {
    copy[bit / 8] ^= (guint8) (1 << bit % 8);
    g_assert_false (parse_exact (copy, size, &error));
    g_clear_error (&error);
    copy[bit / 8] = data[bit / 8];
  }
}

static void
test_damage (void)
{
  g_auto (GStrv) lines = golden_lines ();
  guint i;

  for (i = 0; lines[i]; i++) {
    g_auto (GStrv) words = g_strsplit (lines[i], " ", 2);
    g_autofree guint8 *data = NULL;
    gsize size;

    if (g_str_has_prefix (lines[i], "bad "))
      continue;
    data = from_hex (words[0], &size);
    damage_one (data, size);
  }
}

/* The compact form of the design: at most 12 bytes beside the payload. */
static void
test_compact (void)
{
  guint8 payload[128] = { 1, 2, 3 };
  RdFrame f = {.type = RD_FRAME_STATES,.alias = 7,.sequence = 0x1234,
    .position = 16383,.count = 1,.step = TRUE,.sample = TRUE,
    .payload = payload,.payload_size = 127
  }, g;
  g_autoptr (GByteArray) b = write_again (&f, NULL);
  g_autoptr (GByteArray) smallest = NULL;

  g_assert_cmpuint (b->len, ==, 127 + 12);
  g_assert_true (rd_frame_parse (b->data, b->len, MAX_FRAME, &g, NULL));
  g_assert_cmpuint (g.sequence, ==, 0x34);
  g_assert_true (g.step && g.sample && !g.has_epoch && !g.given);
  g_assert_cmpint (rd_frame_given_id (&g), ==, -1);

  f.position = 0;
  f.payload_size = 0;
  smallest = write_again (&f, NULL);
  g_assert_cmpuint (smallest->len, ==, RD_WIRE_MIN_FRAME);
}

static void
test_ids (void)
{
  const gint32 ids[] = { 11, 22, 33, 44 };
  gint32 read[4];
  RdFrame f = {.type = RD_FRAME_STATES,.count = 3,.given = TRUE,.n_ids = 4 };
  g_autoptr (GByteArray) all = g_byte_array_new ();
  g_autoptr (GByteArray) one = g_byte_array_new ();
  RdFrame g;

  g_assert_true (rd_frame_write (&f, NULL, ids, all, NULL));
  g_assert_true (rd_frame_parse (all->data, all->len, MAX_FRAME, &g, NULL));
  g_assert_cmpuint (rd_frame_n_row_ids (&g), ==, 3);
  rd_frame_ids (&g, read);
  g_assert_cmpmem (read, sizeof read, ids, sizeof ids);
  g_assert_cmpint (rd_frame_given_id (&g), ==, 44);

  f.n_ids = 1;
  g_assert_true (rd_frame_write (&f, NULL, ids, one, NULL));
  g_assert_true (rd_frame_parse (one->data, one->len, MAX_FRAME, &g, NULL));
  g_assert_cmpuint (rd_frame_n_row_ids (&g), ==, 0);
  g_assert_cmpint (rd_frame_given_id (&g), ==, 11);
}

/* What cannot be written is refused, and leaves the output as it was. */
static void
test_refused (void)
{
  const gint32 ids[] = { 1, -2, 3 };
  guint8 payload[4] = { 0, };
  const RdFrame bad[] = {
    {.type = RD_FRAME_STATES,.count = 0},
    {.type = RD_FRAME_STATES,.count = RD_MAX_FRAME_TOKENS + 1},
    {.type = RD_FRAME_STATES,.count = 2,.position = G_MAXUINT32 - 1},
    {.type = RD_FRAME_STATES,.count = 1,.truncate = TRUE},
    {.type = RD_FRAME_STATES,.count = 1,.given = TRUE},
    {.type = RD_FRAME_STATES,.count = 2,.n_ids = 1},
    {.type = RD_FRAME_STATES,.count = 3,.n_ids = 3},
    {.type = RD_FRAME_STATES,.count = 1,.fragment_total = 3,
        .payload = payload,.payload_size = 4},
    {.type = RD_FRAME_STATES,.count = 1,.fragment_offset = 3},
    {.type = RD_FRAME_TOKENS,.n_ids = 3},
    {.type = RD_FRAME_TOKENS,.finish = 9},
    {.type = RD_FRAME_CONTROL,.control = 99},
    {.type = RD_FRAME_CONTROL,.payload = payload,.payload_size = 513},
    {.type = RD_FRAME_HEADER},
    {.type = 4},
  };
  g_autoptr (GByteArray) out = g_byte_array_new ();
  guint i;

  for (i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (rd_frame_write (&bad[i], NULL, ids, out, &error));
    g_assert_error (error, RD_WIRE_ERROR, RD_WIRE_ERROR_INVALID);
    g_assert_cmpuint (out->len, ==, 0);
  }
}

/* A newer writer may use types, subtypes and odd records that we do not know. */
static void
test_unknown (void)
{
  const gchar *unknown[] = {
    /* type 5 with any body; CONTROL subtype 200; a STATES frame with extension record 3 of 2 bytes */
    "68070000046d6f7265", "580700000ac80000000000000000ff",
    "4c0700000780040302aabb55", NULL
  };
  guint i;

  for (i = 0; unknown[i]; i++) {
    g_autofree gchar *hex = g_strconcat ("fd7e", unknown[i], NULL);
    g_autofree guint8 *data = NULL;
    g_autoptr (GByteArray) frame = g_byte_array_new ();
    GError *error = NULL;
    guint32 crc;
    gsize size;
    RdFrame f;

    data = from_hex (hex, &size);
    g_byte_array_append (frame, data, (guint) size);
    crc = GUINT32_TO_LE (rd_crc32c (0, data, size));
    g_byte_array_append (frame, (const guint8 *) &crc, 4);
    rd_frame_parse (frame->data, frame->len, MAX_FRAME, &f, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (f.size, ==, frame->len);
  }
}

static void
test_max_frame (void)
{
  guint8 payload[100] = { 0, };
  RdFrame f = {.type = RD_FRAME_STATES,.count = 1,.payload = payload,
    .payload_size = sizeof payload
  }, g;
  g_autoptr (GByteArray) b = write_again (&f, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_true (rd_frame_parse (b->data, b->len, b->len, &g, NULL));
  g_assert_false (rd_frame_parse (b->data, b->len, b->len - 1, &g, &error));
  g_assert_error (error, RD_WIRE_ERROR, RD_WIRE_ERROR_INVALID);
  g_clear_error (&error);
  /* told from the first bytes alone */
  g_assert_false (rd_frame_parse (b->data, 8, b->len - 1, &g, &error));
  g_assert_error (error, RD_WIRE_ERROR, RD_WIRE_ERROR_INVALID);
}

static void
test_scan (void)
{
  static const guint8 data[] = { 1, 0xfd, 2, 0xfd, 0xfd, 0x7e, 9, 0xfd };

  g_assert_cmpuint (rd_frame_scan (data, sizeof data), ==, 4);
  g_assert_cmpuint (rd_frame_scan (data, 4), ==, 3);
  g_assert_cmpuint (rd_frame_scan (data, 3), ==, 3);
  g_assert_cmpuint (rd_frame_scan (data + 6, 2), ==, 1);
  g_assert_cmpuint (rd_frame_scan (data, 0), ==, 0);
}

static void
test_crc (void)
{
  static const guint8 digits[] = "123456789";
  guint8 buf[300];
  gsize i, n;

  /* check value of the catalogue of parametrised CRCs, and RFC 3720 B.4 */
  g_assert_cmphex (rd_crc32c (0, digits, 9), ==, 0xe3069283);
  memset (buf, 0, 32);
  g_assert_cmphex (rd_crc32c (0, buf, 32), ==, 0x8a9136aa);
  memset (buf, 0xff, 32);
  g_assert_cmphex (rd_crc32c (0, buf, 32), ==, 0x62a8ab43);

  for (i = 0; i < sizeof buf; i++)
    buf[i] = (guint8) g_test_rand_int ();
  for (n = 0; n <= 280; n++) {
    guint32 whole = rd_crc32c_table (0, buf + n % 9, n);

    g_assert_cmphex (rd_crc32c (rd_crc32c (0, buf + n % 9, n / 3),
            buf + n % 9 + n / 3, n - n / 3), ==, whole);
    if (rd_crc32c_has_sse42 ())
      g_assert_cmphex (rd_crc32c_sse42 (0, buf + n % 9, n), ==, whole);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/frame/golden", test_golden);
  g_test_add_func ("/frame/damage", test_damage);
  g_test_add_func ("/frame/compact", test_compact);
  g_test_add_func ("/frame/ids", test_ids);
  g_test_add_func ("/frame/refused", test_refused);
  g_test_add_func ("/frame/unknown", test_unknown);
  g_test_add_func ("/frame/max-frame", test_max_frame);
  g_test_add_func ("/frame/scan", test_scan);
  g_test_add_func ("/frame/crc32c", test_crc);
  return g_test_run ();
}
