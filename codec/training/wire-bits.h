/* What symbols cost on the wire above their ideal code lengths: the coder's states, what stands before payloads, frames, HEADER and END. Expectations
 * where bits decide, by the rules of codec/entropy/FORMAT.md ("What it costs"), codec/learned/FORMAT.md and codec/wire/FORMAT.md. */
#pragma once
#include "codec/wire/frame.h"

G_BEGIN_DECLS

/** rd_wire_stream_bits: what a stream of @n_symbols in @lanes lanes takes beyond the ideal length of its symbols. @end_bits: ideal length of those behind
 * the first rd_rans_main_symbols(). */
double rd_wire_stream_bits (guint lanes, gsize n_symbols, double end_bits);

/** rd_wire_payload_bits: what a payload of scalar symbols has besides its streams, expected to have @block_bits (@n_blocks) bits each; @lengths: rows are RAW, so
 * that all blocks tell their length. */
double rd_wire_payload_bits (const double *block_bits, gsize n_blocks, gboolean lengths);

/** rd_wire_frame_bits: of a STATES frame of @n rows from @position on, without its payload of @payload_bits. */
double rd_wire_frame_bits (gsize position, gsize n, double payload_bits);

/** rd_wire_session_bits: HEADER frames and END of a session of @n tokens in frames of @frame, without a way back. @header: what it is about; session id
 * and numbers may be anything. */
double rd_wire_session_bits (const RdHeader * header, gsize n, gsize frame);

G_END_DECLS
