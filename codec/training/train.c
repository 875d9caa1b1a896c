#include "codec/training/train.h"

#include "codec/training/checks.h"
#include "codec/training/train-private.h"

gboolean
rd_training_load (RdTraining * t, GError ** error)
{
  RdTrainState state = rd_training_state (t);

  if (!rd_train_state_read (t->options->checkpoint, &state, error))
    return FALSE;
  rd_joint_stepped (t->joint);
  rd_training_tell (t, "from %s: %" G_GUINT64_FORMAT " of %"
      G_GUINT64_FORMAT " steps are done", t->options->checkpoint,
      t->adamw->steps, t->options->steps);
  return TRUE;
}

static gboolean
load_checkpoint (RdTraining * t, GError ** error)
{
  if (!t->options->resume)
    return rd_train_state_refuse (t->options->checkpoint, RD_TRAINING_ERROR,
        RD_TRAINING_ERROR_CHECKPOINT, error);
  if (rd_training_load (t, error))
    return TRUE;
  rd_train_state_advise (error);
  return FALSE;
}

static gboolean
load_values (RdTraining * t, GError ** error)
{
  gsize n;

  if (!rd_train_state_read_values (t->options->values,
          rd_joint_parameters (t->joint), &n, error))
    return FALSE;
  rd_joint_stepped (t->joint);
  rd_training_tell (t, "%" G_GSIZE_FORMAT " of %u arrays start from %s", n,
      rd_parameters_count (rd_joint_parameters (t->joint)), t->options->values);
  return TRUE;
}

static gboolean
run (RdTraining * t, const RdTrainOptions * options, GError ** error)
{
  if (!rd_training_open (t, options, error))
    return FALSE;
  rd_training_tell (t, "%" G_GSIZE_FORMAT " tokens of text, %" G_GSIZE_FORMAT
      " sequences to train on; %" G_GSIZE_FORMAT " parameters in %u arrays",
      rd_corpus_n_tokens (t->corpus), t->n_sequences,
      rd_joint_parameters (t->joint)->n,
      rd_parameters_count (rd_joint_parameters (t->joint)));
  if (options->products == RD_PRODUCTS_BF16 && !rd_products_tiles ())
    rd_training_tell (t, RD_PRODUCTS_SLOW);
  if (g_file_test (options->checkpoint, G_FILE_TEST_EXISTS)) {
    if (!load_checkpoint (t, error))
      return FALSE;
  } else if (options->values != NULL && !load_values (t, error)) {
    return FALSE;
  }
  return rd_training_loop (t, error);
}

gboolean
rd_train (const RdTrainOptions * options, GError ** error)
{
  RdTraining t;
  gboolean ok;

  if (!rd_check_folder (options->checkpoint, error))
    return FALSE;
  ok = run (&t, options, error);
  rd_training_clear (&t);
  return ok;
}
