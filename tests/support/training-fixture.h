/* Whole trainings of a tiny model's codec in tests. All functions end the test on an error that is not expected. */
#pragma once
#include "codec/training/train.h"
#include "tests/support/tiny-model.h"

G_BEGIN_DECLS

#define RD_TEST_TRAIN_SPLIT 2
#define RD_TEST_TRAIN_STEPS 5
#define RD_TEST_ALL_MATRICES 0x7f

/** RdTestTrainFiles: what all trainings of a test program share. */
typedef struct
{
  gchar *folder, *model, *text;
  gchar *plain_start, *embedding_start; /* codec files calibrated without and with side information */
} RdTestTrainFiles;

extern RdTestTrainFiles rd_test_train_files;

/** RdTestTraining: a fixture. @options are those of a small training of the codec alone, without side information; change them, and train. */
typedef struct
{
  gchar *checkpoint, *other, *output;   /* paths, removed in the end */
  const gchar *texts[2];
  RdTrainOptions options;
  gint cancel;
  guint64 cancel_at;            /* steps; 0: never */
  guint64 reported;
  guint validations;
  /* of the last training: what its first and last validation found */
  RdTrainPoint first[RD_TRAIN_POINTS], last[RD_TRAIN_POINTS];
} RdTestTraining;

/** A test with such a fixture. */
void rd_test_train_add (const gchar * name, gconstpointer data, void (*func) (RdTestTraining * f, gconstpointer data));
/** Makes the files and runs all tests; a program's exit status. */
int rd_test_train_run (void);

void rd_test_train (RdTestTraining * f);
/** Trains; the error must be this one, and its message have @part. */
void rd_test_train_fails (RdTestTraining * f, GQuark domain, gint code, const gchar * part);
/** The file at @path, which is removed. */
GBytes *rd_test_take_file (const gchar * path);
/** Mean weighted cost of the points: what is made small. */
double rd_test_train_cost (const RdTrainPoint * points);

G_END_DECLS
