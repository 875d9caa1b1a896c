/* Networks of a codec file (version 3) that move the scales of coefficients: whole numbers only, so that every machine gets the same tables. FORMAT.md section 7
 * has the arithmetic. D = hidden size. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

#define RD_NETWORK_MAX_LAYERS 64u
#define RD_NETWORK_MAX_WIDTH 32768u     /* of a layer: features of the largest hidden size */
#define RD_NETWORK_MAX_RIGHT_SHIFT 30u
#define RD_NETWORK_ONE 256      /* a feature of 1 */
#define RD_NETWORK_FEATURE_MAX (4 * RD_NETWORK_ONE)
#define RD_NETWORK_HIDDEN_MAX 4095      /* of what a layer gives the next one */
#define RD_NETWORK_UNIT 4096    /* of units: one over a step */
#define RD_NETWORK_MAX_UNIT (4 * RD_NETWORK_UNIT)
#define RD_NETWORK_UNITS 224    /* by nominal scale: of scalar symbols, then of the trellis' */
#define RD_NETWORK_SYMBOL_MAX 32767

/** RdLearnedTable: as in the file. */
typedef struct
{
  gint32 min;
  guint n_values, golomb;
  guint16 *cumulative;          /* (n_values + 2), owned */
} RdLearnedTable;

/** RdNetworkLayer: sums of weights times inputs and bias + slope * level, rounded and shifted right. */
typedef struct
{
  guint inputs, outputs;
  guint shift;
  const gint16 *weights;        /* (outputs, inputs) */
  const gint32 *bias, *slope;   /* (outputs) */
} RdNetworkLayer;

/** RdLearnedNetworks: those of a file. Autoregressive ones: layers 2 g and 2 g + 1 lead from the features of group g to the sums of all groups so far, and from
 * those to the scales of group g + 1. Hyper-priors: one layer after the other, from latents to the scales of all coefficients. */
typedef struct
{
  gchar *entropy;               /* name of the entropy model; owned */
  guint set;                    /* rows that they are for */
  guint n_layers;
  RdNetworkLayer *layers;       /* owned; their arrays are those below */
  gint32 *units;                /* (RD_NETWORK_UNITS) owned */
  gsize n_weights, n_biases;
  gint16 *weights;              /* (n_weights) owned */
  gint32 *biases;               /* (n_biases) bias, then slope of each layer in turn; owned */
  guint n_latents;              /* of a hyper-prior, else 0 */
  RdLearnedTable *latents;      /* (n_latents) owned */
  gsize n_analysis;
  gfloat *analysis;             /* (n_analysis) the encoders' network, as latents.h has it; owned */
} RdLearnedNetworks;

#define RD_NETWORKS_AUTOREGRESSIVE "autoregressive"
#define RD_NETWORKS_HYPERPRIOR "hyperprior-"    /* and the name of a density, which tables stand for */
#define RD_NETWORK_MAX_LATENTS 256u
#define RD_NETWORK_LATENT_MAX 127       /* of what layers see of a latent */

/** rd_network_layers_weights: weights of @n_layers, up to RD_NETWORK_MAX_LAYERS, layers of up to RD_NETWORK_MAX_WIDTH inputs and outputs. */
guint64 rd_network_layers_weights (const RdNetworkLayer * layers, guint n_layers);

/** rd_learned_networks_new: of layers whose inputs, outputs and shifts are set in @layers (copied); zero weights, no tables. NULL for a layer of no inputs or
 * outputs or more than RD_NETWORK_MAX_WIDTH, and for too many latents or weights. */
RdLearnedNetworks *rd_learned_networks_new (const gchar * entropy, guint set, const RdNetworkLayer * layers, guint n_layers);
void rd_learned_networks_free (RdLearnedNetworks * networks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RdLearnedNetworks, rd_learned_networks_free)
/** rd_learned_networks_copy: with arrays of its own; NULL of NULL. */
RdLearnedNetworks *rd_learned_networks_copy (const RdLearnedNetworks * networks);

/** rd_learned_networks_check: shapes that go with each other and @hidden_size, and no sum beyond 32 bits whatever the inputs. INPUT error (RD_CODEC_ERROR). */
gboolean rd_learned_networks_check (const RdLearnedNetworks * networks, guint hidden_size, guint n_sets, GError ** error);

static inline guint
rd_networks_groups (const RdLearnedNetworks * networks)
{
  return networks->n_layers / 2 + 1;
}

/** rd_networks_group_start: first coefficient of group @g, which may be the number of groups. */
static inline gsize
rd_networks_group_start (gsize hidden_size, guint n_groups, guint g)
{
  return hidden_size * g / n_groups;
}

G_END_DECLS
