/* Ctrl-C of a long run. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** eval_interrupted: becomes 1 at the first SIGINT or SIGTERM after eval_catch_interrupts(). A second one, of either kind, ends the program at once. */
extern gint eval_interrupted;
void eval_catch_interrupts (void);

G_END_DECLS
