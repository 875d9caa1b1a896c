/* What lies between head and tail. */
#include "pipelines/eval/link.h"

gboolean
eval_link_send (EvalLink * link, const EvalText * text, const float *x,
    float *y, EvalSum * sums, GError ** error)
{
  return link->klass->send (link, text, x, y, sums, error);
}

gboolean
eval_link_times (EvalLink * link, EvalTimes * times)
{
  if (!link->klass->times)
    return FALSE;
  link->klass->times (link, times);
  return TRUE;
}

gint
eval_link_level (EvalLink * link)
{
  return link->klass->level ? link->klass->level (link) : -1;
}

const gint8 *
eval_link_levels (EvalLink * link)
{
  return link->klass->levels ? link->klass->levels (link) : NULL;
}

void
eval_link_free (EvalLink * link)
{
  link->klass->free (link);
}
