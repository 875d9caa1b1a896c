/* Errors of the evaluation. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#define EVAL_ERROR (eval_error_quark ())
GQuark eval_error_quark (void);
typedef enum
{
  EVAL_ERROR_FILE,              /* a test file does not hold what it should; the message says where */
  EVAL_ERROR_OPTION,            /* wrong usage */
  EVAL_ERROR_STREAM,            /* the elements failed, or gave back other rows than went in */
  EVAL_ERROR_TOOL,              /* gnuplot */
  EVAL_ERROR_CANCELLED,
} EvalError;

G_END_DECLS
