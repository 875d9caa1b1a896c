/* A codec for tests of token side information. */
#include "tests/support/side-codec.h"
#include <string.h>
#include "elements/common/gstrdframes.h"
#include "tests/support/test-codec.h"

static gint n_rows[2];
static gchar model_id[65];

guint
side_codec_rows (gboolean features)
{
  return (guint) g_atomic_int_get (&n_rows[features ? 1 : 0]);
}

void
side_codec_set_model (const gchar * id)
{
  g_strlcpy (model_id, id ? id : "", sizeof model_id);
}

static gsize
side_bound (const RdCodec * codec, gsize n)
{
  return 1 + 4 * n * codec->hidden_size;
}

static guint32
bits_of (const gfloat * values, gsize i)
{
  guint32 bits = 0;

  if (values)
    memcpy (&bits, values + i, sizeof bits);
  return bits;
}

static gboolean
side_encode (RdCodec * codec, const RdRows * rows, const gfloat * x,
    gboolean allow_pack, GByteArray * out, gboolean * packed, GError ** error)
{
  guint8 flag = rows->features != NULL;

  (void) allow_pack;
  (void) packed;
  (void) error;
  g_byte_array_append (out, &flag, 1);
  for (gsize i = 0; i < rows->n * codec->hidden_size; i++) {
    guint32 le = GUINT32_TO_LE (bits_of (x, i) ^ bits_of (rows->features, i));

    g_byte_array_append (out, (const guint8 *) &le, sizeof le);
  }
  g_atomic_int_add (&n_rows[flag], (gint) rows->n);
  return TRUE;
}

static gboolean
side_check (const RdCodec * codec, gsize n, gsize size, gboolean packed,
    GError ** error)
{
  (void) packed;
  if (size == side_bound (codec, n))
    return TRUE;
  g_set_error (error, RD_CODEC_ERROR, RD_CODEC_ERROR_PAYLOAD, "another size");
  return FALSE;
}

static gboolean
side_decode (RdCodec * codec, const RdRows * rows, const guint8 * payload,
    gsize size, gboolean packed, gfloat * x, GError ** error)
{
  (void) size;
  (void) packed;
  (void) error;
  for (gsize i = 0; i < rows->n * codec->hidden_size; i++) {
    guint32 bits;

    memcpy (&bits, payload + 1 + 4 * i, sizeof bits);
    bits = GUINT32_FROM_LE (bits) ^ bits_of (rows->features, i);
    memcpy (x + i, &bits, sizeof bits);
  }
  return TRUE;
}

static gboolean
side_needs_features (const RdCodec * codec, const guint8 * payload,
    gsize size, gboolean packed)
{
  (void) codec;
  (void) packed;
  return size > 0 && payload[0];
}

RdCodec *
__wrap_rd_codec_new (const gchar * name, guint hidden_size, GError ** error)
{
  static const RdCodecClass klass = {
    .bound = side_bound,.encode = side_encode,.check = side_check,
    .decode = side_decode,.free = test_codec_free,.set = test_codec_set,
    .info = test_codec_info,.needs_features = side_needs_features
  };
  static const gchar *const names[] = { SIDE_CODEC_NONE, SIDE_CODEC_EMBEDDING,
    SIDE_CODEC_BLOCKS, NULL
  };

  if (!name || !g_strv_contains (names, name))
    return __real_rd_codec_new (name, hidden_size, error);
  TestCodec *codec = (TestCodec *) test_codec_new (&klass, name, hidden_size);
  codec->info.model_name = "tiny";
  codec->info.split_layer = strcmp (name, SIDE_CODEC_NONE) == 0 ? 3 : 2;
  codec->info.hidden_size = 64;
  codec->info.n_blocks = 1;
  codec->info.side_info = strcmp (name, SIDE_CODEC_BLOCKS) == 0 ?
      RD_SIDE_INFO_BLOCKS : strcmp (name, SIDE_CODEC_EMBEDDING) == 0 ?
      RD_SIDE_INFO_EMBEDDING : RD_SIDE_INFO_NONE;
  if (model_id[0])
    gst_rd_id_from_hex (model_id, codec->info.model_id);
  return &codec->parent;
}
