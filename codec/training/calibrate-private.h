/* The two halves of a calibration: the pass over the text, and the fit to what it found. */
#pragma once
#include "codec/learned/parameters.h"
#include "codec/training/calibrate.h"
#include "codec/training/states.h"
#include "codec/training/statistics.h"

G_BEGIN_DECLS

/** RdCalibration: what both halves work with. */
typedef struct
{
  const RdCalibrateOptions *options;
  RdCorpus *corpus;
  RdStates *states;
  RdStatistics *statistics;
  gchar *settings;              /* all that the statistics depend on */
  gchar *checkpoint;
} RdCalibration;

/** rd_calibration_tell: a line for the user. */
void rd_calibration_tell (const RdCalibration * c, const gchar * format, ...) G_GNUC_PRINTF (2, 3);
/** rd_calibration_ids: the sequence number @index. */
gboolean rd_calibration_ids (const RdCalibration * c, gsize index, gint32 * ids, GError ** error);

/** rd_calibration_gather: fills the statistics, from the checkpoint on if there is one. */
gboolean rd_calibration_gather (RdCalibration * c, GError ** error);
/** rd_calibration_fit: codec parameters of the statistics, without texts. NULL on an error. */
RdLearnedParameters *rd_calibration_fit (const RdCalibration * c, GError ** error);

G_END_DECLS
