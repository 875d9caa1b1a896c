/* Derivatives by finite differences in double precision, and errors beside them. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** A number that depends on what @user_data holds. */
typedef gdouble (*StTestFunction) (gconstpointer user_data);

/** st_test_slope: derivative by *@value of what @function gives of @user_data, by differences of fourth order over @step. *@value is again what it was. */
gdouble st_test_slope (StTestFunction function, gconstpointer user_data, gdouble * value, gdouble step);

/** StTestDerivative: of @function by *@value, by differences over @step. */
typedef struct
{
  StTestFunction function;
  gconstpointer user_data;      /* of @function, which depends on *value */
  gdouble *value;
  gdouble step;
} StTestDerivative;

/** st_test_derivative: st_test_slope() of an StTestDerivative, as a function itself. */
gdouble st_test_derivative (gconstpointer derivative);

/** st_test_ones: @n numbers that are 1, to be factors of states that st_test_slope_error() moves. Free with g_free(). */
gdouble *st_test_ones (gsize n);

/** st_test_slope_error: the error of @derivative beside @slope, relative to @scale. Beyond @limit, the derivative's condition counts: where it
 * changes with the states (n, or factors of them), by their relative change, by more than ten times @scale, the error is relative to a tenth of
 * that. Single precision rounds whatever is computed from the states as if they were a little others. @states are again what they were. */
gdouble st_test_slope_error (StTestFunction slope, gconstpointer user_data, gdouble derivative, gdouble scale,
    gdouble limit, gdouble * states, gsize n);

G_END_DECLS
