/* One interface for every codec of hidden states. `f32`, `f16`, `int8`, `int4` are built in (codec/simple/FORMAT.md); a path names a
 * codec file.
 *
 * Encoding and decoding are exact: the same values give the same bytes before packing, and the same bytes give the same values, on every
 * machine, whatever floating-point mode (rounding, flush to zero, traps) the calling thread has set. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#define RD_CODEC_ERROR (rd_codec_error_quark ())
GQuark rd_codec_error_quark (void);
typedef enum
{
  RD_CODEC_ERROR_UNKNOWN,       /* no such codec; the message lists what there is */
  RD_CODEC_ERROR_INPUT,         /* NaN or infinity among the values (row and channel are named), sizes */
  RD_CODEC_ERROR_PAYLOAD,       /* damaged payload */
} RdCodecError;

#define RD_CODEC_MAX_HIDDEN_SIZE (1u << 20)
/* A packed payload stands for at most this many times its own size, so that a few bytes never ask for gigabytes. */
#define RD_CODEC_MAX_PACK_RATIO 256

typedef struct _RdCodec RdCodec;

/** RdSideInfo: what a codec file's predictor is fed with. */
typedef enum
{
  RD_SIDE_INFO_NONE,            /* no predictor */
  RD_SIDE_INFO_EMBEDDING,       /* the token's embedding */
  RD_SIDE_INFO_BLOCKS,          /* the hidden state behind the model's first blocks, run on the ids of all tokens so far */
} RdSideInfo;

/** RdRows: what is encoded or decoded in one frame. */
typedef struct
{
  gsize n;                      /* rows (tokens) */
  guint32 position;             /* of the first row */
  const gint32 *ids;            /* n token ids, or NULL when not known */
  const gfloat *features;       /* n x hidden size: what rd_codec_info()->side_info asks for, or NULL: nothing is predicted. Both sides give the
                                 * same but for rounding */
} RdRows;

/** RdSettings: what an encoder may change from frame to frame; codecs without such a choice ignore it. */
typedef struct
{
  gdouble quality;              /* 0 (coarsest) .. 100 */
  guint complexity;             /* 0 .. RD_COMPLEXITY_MAX: search effort */
  gboolean lossless;            /* values come back bit-exact */
} RdSettings;

#define RD_QUALITY_DEFAULT 50.0
#define RD_COMPLEXITY_MAX 10u
#define RD_COMPLEXITY_DEFAULT 5u

/** RdCodecInfo: what a codec file was made for. */
typedef struct
{
  guint8 model_id[32];          /* all zero: any model */
  const gchar *model_name;      /* for messages; lives as long as the codec */
  guint split_layer, hidden_size;
  RdSideInfo side_info;
  guint n_blocks;               /* of RD_SIDE_INFO_BLOCKS: how many of the first blocks are run */
  gboolean adapters;            /* the file has adapters, which both halves of the model run with */
} RdCodecInfo;

/* Levels of codec files, 0 (coarsest) to 127: what the gates of adapters depend on. */
#define RD_CODEC_LEVELS 128
/** rd_codec_quality_level: the level that codec files code with at @quality. */
guint rd_codec_quality_level (gdouble quality);

/** rd_codec_new: @name is a built-in name, or the path of a codec file (codec/learned/FORMAT.md) if it has a slash or ends in .gguf; @hidden_size floats a token;
 * 0 takes what a codec file says. Free with rd_codec_free().
 * A codec object is used by one thread at a time. */
RdCodec *rd_codec_new (const gchar * name, guint hidden_size, GError ** error);
void rd_codec_free (RdCodec * codec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdCodec, rd_codec_free)

/** Name that goes into HEADER. */
const gchar *rd_codec_id (const RdCodec * codec);
/** TRUE if @id in a HEADER is built in, so that the decoder needs no file. */
gboolean rd_codec_is_builtin (const gchar * id);
/** rd_codec_info: NULL for built-in codecs, which fit every model. */
const RdCodecInfo *rd_codec_info (const RdCodec * codec);
/** rd_codec_set: from the next rd_codec_encode() on. */
void rd_codec_set (RdCodec * codec, const RdSettings * settings);
/** rd_codec_level: what rd_codec_payload_level() will say of the next payload. */
gint rd_codec_level (const RdCodec * codec);
/** Bytes that n tokens can need at most (packing never makes a payload larger), 0 on overflow. */
gsize rd_codec_bound (const RdCodec * codec, gsize n);

/** rd_codec_encode: appends the payload of @x (rows->n x hidden_size, F32) to @out. @allow_pack: zstd is tried and kept where it is
 * smaller; *packed tells. NaN and infinity are INPUT errors that name row, position and channel; finite values outside of the codec's
 * range are clipped to it and counted. On an error @out is what it was. */
gboolean rd_codec_encode (RdCodec * codec, const RdRows * rows, const gfloat * x, gboolean allow_pack, GByteArray * out, gboolean * packed,
    GError ** error);

/** rd_codec_check: whether a payload of @size bytes can hold @n tokens at all. For callers that allocate n x hidden_size floats on the
 * word of a peer; rd_codec_decode() checks the same. PAYLOAD error that names both sizes. */
gboolean rd_codec_check (const RdCodec * codec, gsize n, gsize size, gboolean packed, GError ** error);
/** rd_codec_needs_features: whether a payload was encoded with RdRows.features and cannot be decoded without. Damaged ones give either. */
gboolean rd_codec_needs_features (const RdCodec * codec, const guint8 * payload, gsize size, gboolean packed);
/** rd_codec_payload_level: the level that a payload of a codec file was coded with, the last one if it is lossless; -1 for built-in codecs and what
 * is damaged. */
gint rd_codec_payload_level (const RdCodec * codec, const guint8 * payload, gsize size, gboolean packed);
/** rd_codec_decode: the payload must hold exactly rows->n tokens. Every value written is finite. On an error @x is undefined. */
gboolean rd_codec_decode (RdCodec * codec, const RdRows * rows, const guint8 * payload, gsize size, gboolean packed, gfloat * x, GError ** error);

/** rd_codec_ideal_bits: what the payload's symbols would take under a perfect entropy coder, side information included; for built-in codecs all
 * of the payload. Features are not needed; negative if it is damaged. For reports: slow. */
gdouble rd_codec_ideal_bits (RdCodec * codec, const RdRows * rows, const guint8 * payload, gsize size);

/** Values that were outside of the codec's range and clipped, since the codec was made (f16 beyond 65504, int4 beyond 8 x 65504). */
guint64 rd_codec_clipped (const RdCodec * codec);

G_END_DECLS
