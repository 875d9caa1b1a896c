/* What a sequence's symbols take on the wire, frame by frame. */
#include "codec/entropy/rans.h"
#include "codec/learned/coder.h"
#include "codec/training/static-private.h"
#include "codec/training/wire-bits.h"

/* Rows of a block, which is what a stream holds. */
typedef struct
{
  gsize from, n;
} Block;

static Block
next_block (gsize from, gsize end)
{
  return (Block) {
  from, MIN (RD_BLOCK_ROWS, end - from)};
}

static gsize
frame_rows (const RdTrainableJob * job)
{
  return CLAMP (job->frame, 1, job->n);
}

static gsize
n_symbols (const RdStaticPass * pass, gsize n)
{
  const RdScaleModel *scales = pass->codec->scales;

  return (pass->codec->base.hidden_size + 2
      + (scales != NULL ? scales->n_latents : 0)) * rd_padded_rows (n);
}

gsize
rd_static_end (const RdStaticPass * pass, const RdTrainableJob * job, gsize t)
{
  const gsize d = pass->codec->base.hidden_size, frame = frame_rows (job);
  const gsize from = t / frame * frame;
  const gsize block = from + (t - from) / RD_BLOCK_ROWS * RD_BLOCK_ROWS;
  const gsize n = next_block (block, MIN (from + frame, job->n)).n;
  const gsize all = n_symbols (pass, n);
  const gsize behind = all - rd_rans_main_symbols (rd_block_lanes (n), all);

  return d - MIN (d, behind / rd_padded_rows (n));
}

/* Of one stream; @latents: bits of a row's. */
static double
block_bits (const RdStaticPass * pass, Block block, double latents)
{
  double bits = latents * (double) block.n, end = 0;

  for (gsize t = block.from; t < block.from + block.n; t++) {
    bits += pass->row_bits[t];
    end += pass->end_bits[t];
  }
  return bits + rd_wire_stream_bits (rd_block_lanes (block.n),
      n_symbols (pass, block.n), end);
}

static double
frame_bits (const RdStaticPass * pass, gsize from, gsize n, double latents)
{
  const gsize n_blocks = (n + RD_BLOCK_ROWS - 1) / RD_BLOCK_ROWS;
  g_autofree double *blocks = g_new (double, n_blocks);
  gboolean raw = FALSE;
  double bits = 0;

  for (gsize i = 0; i < n_blocks; i++) {
    blocks[i] = block_bits (pass, next_block (from + i * RD_BLOCK_ROWS,
            from + n), latents);
    bits += blocks[i];
  }
  for (gsize t = from; t < from + n; t++)
    raw = raw || rd_static_raw (pass, t);
  bits += rd_wire_payload_bits (blocks, n_blocks, raw);
  return bits + rd_wire_frame_bits (from, n, bits);
}

void
rd_static_wire (const RdStaticPass * pass, RdTrainableJob * job)
{
  const gsize frame = frame_rows (job);
  double latents = job->bits;

  for (gsize t = 0; t < job->n; t++)
    latents -= pass->row_bits[t];
  job->wire_bits = 0;
  for (gsize from = 0; from < job->n; from += frame)
    job->wire_bits += frame_bits (pass, from, MIN (frame, job->n - from),
        latents / (double) job->n);
}
