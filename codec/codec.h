/* One interface for every codec of hidden states. `f32`, `f16`, `int8`, `int4` are built in; a path names a codec file. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#define RD_CODEC_ERROR (rd_codec_error_quark ())
GQuark rd_codec_error_quark (void);
typedef enum
{
  RD_CODEC_ERROR_UNKNOWN,       /* no such codec; the message lists what there is */
  RD_CODEC_ERROR_INPUT,         /* NaN or infinity where the codec cannot carry it, sizes */
  RD_CODEC_ERROR_PAYLOAD,       /* damaged payload */
} RdCodecError;

typedef struct _RdCodec RdCodec;

/** RdRows: what is encoded or decoded in one frame. */
typedef struct
{
  gsize n;                      /* rows (tokens) */
  guint32 position;             /* of the first row */
  const gint32 *ids;            /* n token ids, or NULL when not known */
} RdRows;

/** rd_codec_new: @name is a built-in name or a path; @hidden_size floats a token. Free with rd_codec_free().
 * A codec object is used by one thread at a time. */
RdCodec *rd_codec_new (const gchar * name, guint hidden_size, GError ** error);
void rd_codec_free (RdCodec * codec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdCodec, rd_codec_free)

/** Name that goes into HEADER. */
const gchar *rd_codec_id (const RdCodec * codec);
/** TRUE if @id in a HEADER is built in, so that the decoder needs no file. */
gboolean rd_codec_is_builtin (const gchar * id);
/** Bytes that n tokens can need at most (unpacked), 0 on overflow. */
gsize rd_codec_bound (const RdCodec * codec, gsize n);

/** rd_codec_encode: appends the payload of @x (rows->n x hidden_size, F32) to @out. @allow_pack: zstd is tried and kept where it is
 * smaller; *packed tells. */
gboolean rd_codec_encode (RdCodec * codec, const RdRows * rows, const gfloat * x, gboolean allow_pack, GByteArray * out, gboolean * packed,
    GError ** error);
/** rd_codec_decode: the payload must hold exactly rows->n tokens. Every value written is finite. */
gboolean rd_codec_decode (RdCodec * codec, const RdRows * rows, const guint8 * payload, gsize size, gboolean packed, gfloat * x, GError ** error);

G_END_DECLS
