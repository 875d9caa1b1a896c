/* A range of a model's blocks and the KV caches of the sessions that run through it: what transformerhead and transformertail have in
 * common. Everything but gst_rd_partition_cancel() and the counters belongs to the streaming thread (or to a stopped element). */
#pragma once
#include <gst/gst.h>
#include "elements/common/gstrdadapters.h"
#include "elements/common/gstrdinput.h"
#include "elements/common/gstrdsettings.h"
#include "models/model.h"

G_BEGIN_DECLS

typedef struct
{
  guint32 number;
  guint32 epoch;
  StKvCache *cache;              /* NULL until the first rows */
  gboolean full;                 /* the context is full, and that was reported */
  gboolean failed;               /* an error was reported: later rows are dropped */
  gpointer data;                 /* the element's own, freed with GstRdPartition.free_data */
} GstRdSession;

typedef struct
{
  guint64 tokens, prefill_tokens, step_tokens;
  gint64 prefill_time, step_time;       /* us */
  guint sessions;                /* open now */
} GstRdCounters;

typedef struct
{
  GstRdSettings settings;        /* as they were when the model was opened */
  StModel *model;
  const GstRdAdapters *adapters; /* of the settings' codec file, NULL = none */
  gint level;                    /* atomic: of rows that do not have one; -1 = not known */
  gint first, last;              /* blocks; last exclusive, resolved */
  gboolean embed, output;
  GHashTable *sessions;          /* number -> GstRdSession */
  GDestroyNotify free_data;
  gint cancel;                   /* atomic */
  GMutex lock;                   /* counters */
  GstRdCounters counters;
} GstRdPartition;

void gst_rd_partition_init (GstRdPartition * p, GDestroyNotify free_data);
/** Closes and frees everything. */
void gst_rd_partition_clear (GstRdPartition * p);

/** gst_rd_partition_open: the blocks @first .. @last - 1 (@last -1 = to the end), in place of what was open. Sessions stay, without what
 * they had cached. @settings may be the partition's own. */
gboolean gst_rd_partition_open (GstRdPartition * p, const GstRdSettings * settings, gint first, gint last, gboolean embed,
    gboolean output, GError ** error);
/** gst_rd_partition_adapters: id of the codec file whose adapters run here, "" = none. */
const gchar *gst_rd_partition_adapters (const GstRdPartition * p);
/** gst_rd_partition_set_level: what rows will be coded with (-1: not known), for the gate of the adapters. Any thread. */
void gst_rd_partition_set_level (GstRdPartition * p, gint level);
/** gst_rd_default_split: the blocks of a partition file, or the first half of a whole model's. */
gboolean gst_rd_default_split (const gchar * path, gint * first, gint * last, GError ** error);
/** Frees model and sessions. */
void gst_rd_partition_close (GstRdPartition * p);

/** Whether the stream's ids or states are made for this model and range; the error names both sides. */
gboolean gst_rd_partition_check (const GstRdPartition * p, const GstRdInput * input, GError ** error);

/** The session, made if there is none; NULL and an error if the table is full. */
GstRdSession *gst_rd_partition_session (GstRdPartition * p, guint32 number, GError ** error);
GstRdSession *gst_rd_partition_find (GstRdPartition * p, guint32 number);
void gst_rd_partition_end (GstRdPartition * p, guint32 number);
void gst_rd_partition_end_all (GstRdPartition * p);
/** Positions stored. */
guint gst_rd_session_length (const GstRdSession * session);

typedef enum
{
  GST_RD_PLACED,                 /* run it: the cache now ends at rows->position */
  GST_RD_STALE,                  /* of an older epoch, or of a session that failed or is full: drop it */
  GST_RD_FULL,                   /* does not fit the context: report it, drop it */
  GST_RD_MISPLACED,              /* error */
} GstRdPlacement;
/** gst_rd_partition_place: the epoch and position rule: truncates the session's cache to rows->position. Rows without meta get their
 * place here. */
GstRdPlacement gst_rd_partition_place (GstRdPartition * p, GstRdSession * session, GstRdRows * rows, GError ** error);

/** rd-cancel: @epoch begins at @position, unless it is older than the session's. Nothing is longer then. */
void gst_rd_partition_truncate (GstRdSession * session, guint32 epoch, guint32 position);

/** gst_rd_partition_run: embeds (if the rows are ids) and runs placed rows; rows->x becomes the output. ST_MODEL_ERROR_CANCELLED after
 * gst_rd_partition_cancel(). */
gboolean gst_rd_partition_run (GstRdPartition * p, GstRdSession * session, GstRdRows * rows, GError ** error);

/** Makes a running or later gst_rd_partition_run() return soon; FALSE allows it again. Any thread. */
void gst_rd_partition_cancel (GstRdPartition * p, gboolean cancel);
gboolean gst_rd_partition_cancelled (GstRdPartition * p);

/** Adds the counters to the structure @stats. Any thread. */
void gst_rd_partition_stats (GstRdPartition * p, GstStructure * stats);

G_END_DECLS
