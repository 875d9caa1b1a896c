/* The autoregressive networks. Private to scale-groups*.c. */
#pragma once
#include "codec/training/dense.h"
#include "codec/training/scale-model.h"

G_BEGIN_DECLS

#define RD_SCALE_GROUPS 16

typedef struct
{
  RdScaleModel base;
  guint n_groups;               /* fewer for small hidden sizes */
  gsize hidden;                 /* H */
  RdDense in[RD_SCALE_GROUPS - 1];      /* features of group g to H */
  RdDense out[RD_SCALE_GROUPS - 1];     /* H to shifts of group g + 1 */
  RdArena arena;
} RdScaleGroups;

/** First coefficient of group @g, and how many it has. */
static inline gsize
rd_scale_group_start (const RdScaleGroups * model, guint g)
{
  return rd_networks_group_start (model->base.hidden_size, model->n_groups, g);
}

static inline gsize
rd_scale_group_size (const RdScaleGroups * model, guint g)
{
  return rd_scale_group_start (model, g + 1) - rd_scale_group_start (model, g);
}

/** rd_scale_groups_export: RdScaleModelClass.export. */
RdLearnedNetworks *rd_scale_groups_export (const RdScaleModel * base, guint set, float hidden_max, GError ** error);

G_END_DECLS
