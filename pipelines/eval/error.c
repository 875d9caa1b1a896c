/* Errors of the evaluation. */
#include "pipelines/eval/error.h"

G_DEFINE_QUARK (eval_error_quark, eval_error)
