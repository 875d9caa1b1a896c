/* rddecoder: coded frames to hidden states, and the tail's end of the way back. */
#pragma once
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_RD_DECODER (gst_rd_decoder_get_type ())
G_DECLARE_FINAL_TYPE (GstRdDecoder, gst_rd_decoder, GST, RD_DECODER, GstElement)
GST_ELEMENT_REGISTER_DECLARE (rddecoder)

/**
 * GstRdLossPolicy:
 * @GST_RD_LOSS_POLICY_STALL: wait for a hole to be filled, for a bounded time, then end the session with an error
 * @GST_RD_LOSS_POLICY_RESET: end the session at a hole
 *
 * What rddecoder does about positions that did not arrive.
 */
typedef enum
{
  GST_RD_LOSS_POLICY_STALL,
  GST_RD_LOSS_POLICY_RESET,
} GstRdLossPolicy;
#define GST_TYPE_RD_LOSS_POLICY (gst_rd_loss_policy_get_type ())
GType gst_rd_loss_policy_get_type (void);

G_END_DECLS
