/* Token ids under fixed tables: FORMAT.md, "Coded ids". */
#include "codec/wire/layout.h"
#include "codec/entropy/rans.h"
#include <string.h>

#define CONTEXTS 4
#define RANKS 64
#define ESCAPE_ORDER 12
/* Wider fields take two symbols. */
#define FIELD_BITS 9
#define SYMBOLS_PER_ID 3

enum
{
  TABLE_RANKS = CONTEXTS,
  TABLE_FIELDS,                 /* of 1 .. FIELD_BITS bits */
  N_TABLES = TABLE_FIELDS + FIELD_BITS,
};

/* A range of 2^bits ids; they are ascending and without gaps from 0 on. The last entry is no range but the hit. */
typedef struct
{
  guint8 bits;
  guint8 cached;                /* worth remembering in the frame */
  guint8 context;               /* of the next id */
  guint16 frequency[CONTEXTS];
} IdRange;

static const IdRange ranges[] = {
#include "codec/wire/id-ranges.inc"
};

static const guint16 rank_frequencies[RANKS] = {
#include "codec/wire/id-ranks.inc"
};

#define HIT (G_N_ELEMENTS (ranges) - 1)
/* The symbol of the first id beyond all ranges; no table holds it, so it is an escape. */
#define BEYOND (HIT + 1)

typedef struct
{
  RdTables *tables;
  gint32 first[BEYOND];         /* id of each range, and the id beyond them in place of the hit's */
} Model;

/* The ids of the frame that are worth it, the last one first. */
typedef struct
{
  gint32 ids[RANKS];
  guint n;
} Recent;

static guint
table_of_field (guint bits)
{
  return TABLE_FIELDS + bits - 1;
}

/* ---- tables ---- */

static void
fill_context (guint context, guint16 * cumulative)
{
  cumulative[0] = 0;
  for (gsize i = 0; i < BEYOND; i++)
    cumulative[i + 1] =
        (guint16) (cumulative[i] + ranges[i].frequency[context]);
  cumulative[BEYOND + 1] = RD_TABLE_TOTAL;
}

static void
fill_ranks (guint16 * cumulative)
{
  cumulative[0] = 0;
  for (guint i = 0; i < RANKS; i++)
    cumulative[i + 1] = (guint16) (cumulative[i] + rank_frequencies[i]);
  cumulative[RANKS + 1] = RD_TABLE_TOTAL;
}

/* All values are equally likely, but that the last one gives 1 to the escape, which is not used. */
static void
fill_field (guint bits, guint16 * cumulative)
{
  guint n = 1u << bits;

  for (guint i = 0; i < n; i++)
    cumulative[i] = (guint16) (i * (RD_TABLE_TOTAL >> bits));
  cumulative[n] = RD_TABLE_TOTAL - 1;
  cumulative[n + 1] = RD_TABLE_TOTAL;
}

static RdTables *
make_tables (void)
{
  guint16 cumulative[N_TABLES][MAX (BEYOND, 1u << FIELD_BITS) + 2];
  RdTableSpec specs[N_TABLES];
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < N_TABLES; i++)
    specs[i] = (RdTableSpec) {
    .golomb = ESCAPE_ORDER,.cumulative = cumulative[i]};
  for (guint i = 0; i < CONTEXTS; i++) {
    specs[i].n_values = BEYOND;
    fill_context (i, cumulative[i]);
  }
  specs[TABLE_RANKS].n_values = RANKS;
  fill_ranks (cumulative[TABLE_RANKS]);
  for (guint bits = 1; bits <= FIELD_BITS; bits++) {
    specs[table_of_field (bits)].n_values = 1u << bits;
    fill_field (bits, cumulative[table_of_field (bits)]);
  }
  RdTables *tables = rd_tables_new (specs, N_TABLES, &error);
  if (!tables)
    g_error ("tables of ids: %s", error->message);
  return tables;
}

static const Model *
get_model (void)
{
  static Model model;
  static gsize ready;

  if (g_once_init_enter (&ready)) {
    gint32 first = 0;

    for (gsize i = 0; i < BEYOND; i++) {
      model.first[i] = first;
      first += i < HIT ? 1 << ranges[i].bits : 0;
    }
    model.tables = make_tables ();
    g_once_init_leave (&ready, 1);
  }
  return &model;
}

/* ---- what both sides do ---- */

/* Rank of @id, or the number of ids. */
static guint
recent_find (const Recent * recent, gint32 id)
{
  guint rank = 0;

  while (rank < recent->n && recent->ids[rank] != id)
    rank++;
  return rank;
}

/* Puts @id first. */
static void
recent_add (Recent * recent, gint32 id)
{
  guint rank = recent_find (recent, id);

  if (rank == recent->n)
    recent->n = MIN (recent->n + 1, RANKS);
  rank = MIN (rank, RANKS - 1);
  memmove (recent->ids + 1, recent->ids, rank * sizeof recent->ids[0]);
  recent->ids[0] = id;
}

/* After @id, coded by @symbol: what is remembered, and the context of the next one. */
static guint
follow (Recent * recent, gsize symbol, gint32 id)
{
  if (symbol >= BEYOND || ranges[symbol].cached)
    recent_add (recent, id);
  return symbol >= BEYOND ? 0 : ranges[symbol].context;
}

/* ---- encoder ---- */

typedef struct
{
  gint32 *symbols;
  guint16 *tables;
  gsize n;
} Stream;

static void
put (Stream * stream, guint table, guint32 symbol)
{
  stream->symbols[stream->n] = (gint32) symbol;
  stream->tables[stream->n++] = (guint16) table;
}

static void
put_field (Stream * stream, guint bits, guint32 value)
{
  if (bits > FIELD_BITS)
    put (stream, table_of_field (bits - FIELD_BITS), value >> FIELD_BITS);
  bits = MIN (bits, FIELD_BITS);
  if (bits > 0)
    put (stream, table_of_field (bits), value & ((1u << bits) - 1));
}

/* The range of @id, HIT if it is beyond them all. */
static gsize
range_of (const Model * model, gint32 id)
{
  gsize low = 0, high = BEYOND;

  while (high - low > 1) {
    gsize middle = (low + high) / 2;

    if (model->first[middle] <= id)
      low = middle;
    else
      high = middle;
  }
  return low;
}

/* Returns the symbol that stands for @id. */
static gsize
put_id (const Model * model, Stream * stream, guint context,
    const Recent * recent, gint32 id)
{
  guint rank = recent_find (recent, id);
  gsize range = range_of (model, id);
  guint32 offset = (guint32) (id - model->first[range]);

  if (rank < recent->n) {
    put (stream, context, HIT);
    put (stream, TABLE_RANKS, rank);
    return HIT;
  }
  if (range == HIT) {
    put (stream, context, (guint32) BEYOND + offset);
    return BEYOND;
  }
  put (stream, context, (guint32) range);
  put_field (stream, ranges[range].bits, offset);
  return range;
}

gboolean
rd_id_code_append (const gint32 * ids, guint32 n, GByteArray * out)
{
  const Model *model = get_model ();
  Stream stream = { g_new (gint32, SYMBOLS_PER_ID * (gsize) n),
    g_new (guint16, SYMBOLS_PER_ID * (gsize) n), 0
  };
  Recent recent = { {0,}, 0 };
  guint context = 0;
  gboolean good = TRUE;

  for (guint32 i = 0; i < n && good; i++) {
    good = ids[i] < RD_SYMBOL_MAX;
    if (good)
      context = follow (&recent, put_id (model, &stream, context, &recent,
              ids[i]), ids[i]);
  }
  good = good && rd_rans_encode (model->tables, 1, stream.symbols,
      stream.tables, stream.n, out, NULL);
  g_free (stream.symbols);
  g_free (stream.tables);
  return good;
}

/* ---- decoder ---- */

static guint32
get (RdRansDecoder * decoder, guint table)
{
  guint16 index = (guint16) table;
  gint32 symbol;

  rd_rans_decode (decoder, &index, &symbol, 1);
  /* below all tables: none of ours */
  return symbol < 0 ? G_MAXUINT32 : (guint32) symbol;
}

static gboolean
get_field (RdRansDecoder * decoder, guint bits, gint32 * value)
{
  guint low_bits = MIN (bits, FIELD_BITS);
  guint32 high = 0, low = 0;

  if (bits > FIELD_BITS)
    high = get (decoder, table_of_field (bits - FIELD_BITS));
  if (low_bits > 0)
    low = get (decoder, table_of_field (low_bits));
  if (high >> (bits - low_bits) || low >> low_bits)
    return FALSE;
  *value = (gint32) (high << FIELD_BITS | low);
  return TRUE;
}

static gboolean
get_id (const Model * model, RdRansDecoder * decoder, guint context,
    const Recent * recent, gsize * symbol, gint32 * id)
{
  guint32 s = get (decoder, context), rank;
  gint32 offset;

  *symbol = MIN (s, BEYOND);
  if (s == G_MAXUINT32)
    return FALSE;
  if (s >= BEYOND) {
    *id = model->first[HIT] + (gint32) (s - BEYOND);
    return TRUE;
  }
  if (s == HIT) {
    rank = get (decoder, TABLE_RANKS);
    if (rank >= recent->n)
      return FALSE;
    *id = recent->ids[rank];
    return TRUE;
  }
  if (!get_field (decoder, ranges[s].bits, &offset))
    return FALSE;
  *id = model->first[s] + offset;
  return TRUE;
}

gboolean
rd_id_code_read (const guint8 * data, gsize size, guint32 n, gint32 * ids)
{
  const Model *model = get_model ();
  Recent recent = { {0,}, 0 };
  RdRansDecoder decoder;
  guint context = 0;

  /* No symbol is likelier than one half, so this bounds the work that a few bytes can ask for. */
  if (n / 8 > size + 4
      || !rd_rans_decoder_init (&decoder, model->tables, 1, SYMBOLS_PER_ID *
          (gsize) n, data, size, NULL))
    return FALSE;
  for (guint32 i = 0; i < n; i++) {
    gsize symbol;
    gint32 id;

    if (!get_id (model, &decoder, context, &recent, &symbol, &id))
      return FALSE;
    context = follow (&recent, symbol, id);
    if (ids)
      ids[i] = id;
  }
  return rd_rans_decoder_finish (&decoder, NULL);
}
