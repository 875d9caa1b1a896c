#include "pipelines/eval/interrupt.h"

#include <signal.h>

gint eval_interrupted;

static void
on_signal (int number)
{
  (void) number;
  signal (SIGINT, SIG_DFL);
  signal (SIGTERM, SIG_DFL);
  __atomic_store_n (&eval_interrupted, 1, __ATOMIC_RELAXED);
}

void
eval_catch_interrupts (void)
{
  struct sigaction action = {.sa_handler = on_signal,.sa_flags = SA_RESTART };

  sigaction (SIGINT, &action, NULL);
  sigaction (SIGTERM, &action, NULL);
}
