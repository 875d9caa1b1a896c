#include "codec/entropy/tables-private.h"

#include <math.h>
#include <stdlib.h>

G_DEFINE_QUARK (rd_entropy_error_quark, rd_entropy_error)
#define LINE_ALIGNMENT 64
/* What is wrong with a table, NULL if nothing. */
     static const gchar *find_fault (const RdTableSpec * spec)
{
  const guint16 *c = spec->cumulative;

  if (spec->n_values < 1 || spec->n_values > RD_TABLE_MAX_VALUES)
    return "the number of values is not 1 to 899";
  if (spec->min < RD_TABLE_MIN_VALUE || spec->min > RD_TABLE_MAX_MIN)
    return "the smallest value is not -8192 to 8190";
  if (spec->golomb > RD_TABLE_MAX_GOLOMB)
    return "the escape's Golomb order is above 12";
  if (c[0] != 0)
    return "the cumulative frequencies do not begin with 0";
  for (guint i = 0; i <= spec->n_values; i++) {
    if (c[i + 1] == c[i])
      return "a symbol has frequency zero";
    if (c[i + 1] < c[i])
      return "the cumulative frequencies descend";
  }
  if (c[spec->n_values + 1] != RD_TABLE_TOTAL)
    return "the frequencies do not sum to 16384";
  return NULL;
}

static guint
count_fine_lines (guint n_values)
{
  guint symbols = n_values + 1;

  return symbols <= RD_LINE_SYMBOLS ? 0 :
      (symbols + RD_LINE_SYMBOLS - 1) / RD_LINE_SYMBOLS;
}

/* Limits first, first + step, ... of @n + 1 numbers; those beyond the last are the total. */
static void
fill_line (guint16 * line, const guint16 * cumulative, guint n, guint first,
    guint step, guint extra)
{
  for (guint i = 0; i < RD_LINE_EXTRA; i++)
    line[i] = cumulative[MIN (first + i * step, n)];
  line[RD_LINE_EXTRA] = extra;
}

static guint64
make_entry (guint start, guint f)
{
  guint b = 0;

  while (f > 1u << b)
    b++;
  guint64 m = ((G_GUINT64_CONSTANT (1) << (31 + b)) + f - 1) / f;
  guint32 high = (f - 1) | start << RD_ENTRY_START_SHIFT
      | b << RD_ENTRY_B_SHIFT;
  return m | (guint64) high << 32;
}

static void
fill_table (RdTables * tables, gsize index, const RdTableSpec * spec)
{
  RdTableInfo *info = &tables->info[index];
  guint symbols = spec->n_values + 1;
  guint n_fine = count_fine_lines (spec->n_values);

  info->min = spec->min;
  info->n_values = spec->n_values;
  info->golomb = spec->golomb;
  if (n_fine) {
    fill_line (tables->lines[index], spec->cumulative, symbols, 0,
        RD_LINE_SYMBOLS, RD_LINE_WIDE);
  } else {
    fill_line (tables->lines[index], spec->cumulative, symbols, 0, 1,
        RD_LINE_MIN + spec->min);
  }
  for (guint i = 0; i < n_fine; i++)
    fill_line (tables->lines[info->fine + i], spec->cumulative, symbols,
        i * RD_LINE_SYMBOLS, 1, RD_LINE_WIDE);
  for (guint i = 0; i < symbols; i++)
    tables->entries[info->first_entry + i] = make_entry (spec->cumulative[i],
        spec->cumulative[i + 1] - spec->cumulative[i]);
}

static gboolean
check_specs (const RdTableSpec * specs, gsize n, GError ** error)
{
  if (n < 1 || n > RD_TABLES_MAX) {
    g_set_error (error, RD_ENTROPY_ERROR, RD_ENTROPY_ERROR_TABLE,
        "%" G_GSIZE_FORMAT " entropy tables, allowed are 1 to %u", n,
        RD_TABLES_MAX);
    return FALSE;
  }
  for (gsize i = 0; i < n; i++) {
    const gchar *fault = find_fault (&specs[i]);

    if (fault) {
      g_set_error (error, RD_ENTROPY_ERROR, RD_ENTROPY_ERROR_TABLE,
          "entropy table %" G_GSIZE_FORMAT ": %s", i, fault);
      return FALSE;
    }
  }
  return TRUE;
}

RdTables *
rd_tables_new (const RdTableSpec * specs, gsize n, GError ** error)
{
  gsize n_lines = n, n_entries = 0;

  if (!check_specs (specs, n, error))
    return NULL;
  RdTables *tables = g_new0 (RdTables, 1);
  tables->n = n;
  tables->info = g_new0 (RdTableInfo, n);
  for (gsize i = 0; i < n; i++) {
    tables->info[i].first_entry = n_entries;
    tables->info[i].fine = n_lines;
    n_entries += specs[i].n_values + 1;
    n_lines += count_fine_lines (specs[i].n_values);
  }
  tables->entries = g_new (guint64, n_entries);
  tables->lines = aligned_alloc (LINE_ALIGNMENT, n_lines * sizeof (RdLine));
  if (!tables->lines)
    g_error ("no memory for %" G_GSIZE_FORMAT " lines of tables", n_lines);
  for (gsize i = 0; i < n; i++)
    fill_table (tables, i, &specs[i]);
  return tables;
}

void
rd_tables_free (RdTables * tables)
{
  if (!tables)
    return;
  free (tables->lines);
  g_free (tables->info);
  g_free (tables->entries);
  g_free (tables);
}

gsize
rd_tables_count (const RdTables * tables)
{
  return tables->n;
}

gdouble
rd_tables_bits (const RdTables * tables, gsize index, gint32 symbol)
{
  const RdTableInfo *info = &tables->info[index];
  guint32 i = MIN ((guint32) symbol - (guint32) info->min, info->n_values);
  guint64 entry = tables->entries[info->first_entry + i];
  guint f = ((entry >> 32) & RD_ENTRY_MASK) + 1;
  gdouble bits = RD_TABLE_BITS - log2 (f);

  if (i == info->n_values) {
    guint32 distance = symbol < info->min ? info->min - 1 - symbol
        : symbol - info->min - info->n_values;
    guint length = g_bit_storage (distance + (1u << info->golomb)) - 1;
    bits += 2 + (length - info->golomb) + length;
  }
  return bits;
}
