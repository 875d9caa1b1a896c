/* What a codec file holds, in memory. FORMAT.md has the meaning of every number. */
#pragma once
#include "codec/codec.h"
#include "codec/entropy/tables.h"
#include "codec/learned/adapters.h"
#include "codec/learned/networks.h"

G_BEGIN_DECLS

#define RD_LEARNED_VERSION 1
#define RD_LEARNED_VERSION_ADAPTERS 2   /* with adapters of the language model */
#define RD_LEARNED_VERSION_NETWORKS 3   /* with networks that move scales, and adapters or none */
#define RD_LEARNED_ID_PREFIX "rd1-"
#define RD_LEARNED_ID_DIGITS 40
#define RD_LEARNED_ID_BYTES (sizeof RD_LEARNED_ID_PREFIX + RD_LEARNED_ID_DIGITS)
#define RD_LEARNED_MAX_HIDDEN 16384u
#define RD_LEARNED_LEVELS RD_CODEC_LEVELS
#define RD_LEARNED_MAX_KNOTS 16u
#define RD_LEARNED_MAX_CONSTANTS 8u
#define RD_LEARNED_SETS 2       /* rows without features, rows with */
#define RD_LEARNED_SCALES 112   /* tables of one quantiser: standard deviations of 2^(i / 8 - 6) steps */
#define RD_LEARNED_MAX_STEP 8192        /* bounds of logarithms, 1/256 octave */
#define RD_LEARNED_MAX_OFFSET 2048
#define RD_LEARNED_MIN_TOKEN_STEP (-32) /* 1/8 octave */
#define RD_LEARNED_MAX_TOKEN_STEP 31
#define RD_LEARNED_MAX_MAGNITUDE 4080u

/* Numbers of tables: those of the three quantisers, one a scale, then these. */
enum
{
  RD_TABLE_SCALAR = 0,
  RD_TABLE_TRELLIS_0 = RD_LEARNED_SCALES,
  RD_TABLE_TRELLIS_1 = 2 * RD_LEARNED_SCALES,
  RD_TABLE_MODE = 3 * RD_LEARNED_SCALES,
  RD_TABLE_STEP,
  RD_TABLE_PADDING,
  RD_N_TABLES,
};

/** RdLearnedSet: what differs between rows without and with features. D = hidden size, K = knots. Arrays are owned. */
typedef struct
{
  gfloat *mean;                 /* (D) */
  gfloat *synthesis;            /* (D, D) row j: direction of coefficient j */
  gfloat *analysis;             /* (D, D) row i: what channel i adds to the coefficients. NULL when it is computed on loading */
  gfloat *readout;              /* (D, D) row f: what feature f adds to the mean; NULL in set 0 */
  gint32 *scale;                /* (D) log2 of the coefficients' standard deviations, 1/256 octave */
  gint32 *steps;                /* (K, D) added to the log2 of the step, 1/256 octave */
  gint32 *weights;              /* (2, D) of the contexts */
  gfloat *token_step;           /* (D + 2) or NULL */
  gfloat *strength;             /* (K), with token_step */
} RdLearnedSet;

/** RdLearnedParameters: contents of a codec file. */
typedef struct
{
  gchar id[RD_LEARNED_ID_BYTES];        /* of the file it was read from, "" if it was made in memory */
  gchar *name, *license;
  guint8 model_id[32];          /* all zero: any */
  gchar *model_name;
  guint split_layer, hidden_size;
  RdSideInfo side_info;
  guint n_blocks;               /* of RD_SIDE_INFO_BLOCKS */
  gint32 coarsest;              /* log2 of the step at level 0, 1/256 octave */
  guint n_knots;
  gint32 knots[RD_LEARNED_MAX_KNOTS];   /* levels */
  gfloat lambda;
  guint n_constants;
  gfloat *constants;            /* (n_constants, D), owned */
  RdLearnedSet set[RD_LEARNED_SETS];
  RdLearnedTable tables[RD_N_TABLES];
  gint32 magnitude[2][RD_LEARNED_SCALES];       /* scalar, trellis; times 16 */
  RdLearnedAdapters *adapters;  /* owned, NULL = none */
  RdLearnedNetworks *networks;  /* owned, NULL = none */
  GHashTable *provenance;       /* key without "rdcodec.provenance." -> text; owned, NULL = none */
} RdLearnedParameters;

/** rd_learned_parameters_load: reads and checks @path. Errors (RD_CODEC_ERROR) name the file and what is wrong: UNKNOWN for a file that is
 * no codec file, of another version or cannot be read, INPUT for what is missing, too much or out of range. */
RdLearnedParameters *rd_learned_parameters_load (const gchar * path, GError ** error);
/** rd_learned_parameters_save: writes @path anew (it is the whole new file or what it was). Matrices and adapters are stored as F16, and
 * @parameters is left as it would be read back; analysis is stored if it is not NULL. The
 * file has version 3 if there are networks, else 2 if there are adapters, else 1. */
gboolean rd_learned_parameters_save (RdLearnedParameters * parameters, const gchar * path, GError ** error);
/** rd_learned_parameters_check: everything but the tables' frequencies; INPUT error that names the first bad number. */
gboolean rd_learned_parameters_check (const RdLearnedParameters * parameters, GError ** error);
void rd_learned_parameters_free (RdLearnedParameters * parameters);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdLearnedParameters, rd_learned_parameters_free)

/** rd_learned_parameters_copy: with arrays of its own. */
RdLearnedParameters *rd_learned_parameters_copy (const RdLearnedParameters * parameters);

/** rd_learned_parameters_set_model_id: from 64 hexadecimal digits. */
void rd_learned_parameters_set_model_id (RdLearnedParameters * parameters, const gchar * hex);

/** rd_learned_parameters_n_sets: 1, or 2 with side information. */
guint rd_learned_parameters_n_sets (const RdLearnedParameters * parameters);

G_END_DECLS
