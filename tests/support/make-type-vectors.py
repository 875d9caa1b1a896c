#!/usr/bin/env python3
"""Writes tests/unit/type-vectors.h: what the public Python package gguf makes of pseudo-random tensor blocks.

Run in an environment that has gguf (made with 0.19.0):  make-type-vectors.py > tests/unit/type-vectors.h
The input bytes are made here and in test-types.c by the same generator, so only the results are stored: the SHA-256 of all
values as little-endian floats, and a few values to look at when it differs.
"""
import hashlib

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

BLOCKS = 64
SHOWN = 8
# Upper bytes of the floating-point fields of a block: clearing bit 6 there keeps them finite.
UPPER = {"F32": [3], "F16": [1], "BF16": [1], "Q8_0": [1], "Q4_0": [1], "Q4_1": [1, 3], "Q5_0": [1], "Q5_1": [1, 3],
         "Q4_K": [1, 3], "Q5_K": [1, 3], "Q6_K": [209]}
HALF_CASES = [0.0, -0.0, 1.0, -2.5, 65504.0, 65519.99, 65520.0, 1e6, -1e6, 2.0**-14, 2.0**-24, 2.0**-25, 1.5 * 2.0**-25,
              -2.0**-26, 3.0 * 2.0**-25, 1023.5 * 2.0**-24, 1.0 + 2.0**-11, 1.0 + 3 * 2.0**-11, 0.1, -1 / 3, 2.0**-149,
              2049.0, 2051.0, float("inf"), -float("inf")]


def noise(n):
    state, out = 1, bytearray()
    for _ in range(n):
        state = (state * 1664525 + 1013904223) % 2**32
        out.append(state >> 24)
    return np.frombuffer(bytes(out), np.uint8).copy()


def bits(values):
    return ", ".join(f"0x{b:08x}" for b in np.asarray(values, np.float32).view(np.uint32))


print("/* Made by tests/support/make-type-vectors.py: do not edit. */")
print(f"#define N_BLOCKS {BLOCKS}\n#define N_SHOWN {SHOWN}\n")
print("static const struct\n{\n  StType type;\n  const gchar *name;\n  guint block_size, block_bytes;\n"
      "  gint upper[2];                /* bytes of a block to clear bit 6 of, -1 for none */\n"
      "  const gchar *sha256;\n  guint32 first[N_SHOWN];       /* bits of the first values */\n} type_vectors[] = {")
for name, upper in UPPER.items():
    kind = GGMLQuantizationType[name]
    size, width = GGML_QUANT_SIZES[kind]
    raw = noise(BLOCKS * width).reshape(BLOCKS, width)
    raw[:, upper] &= 0xBF
    values = dequantize(raw.reshape(1, -1), kind).astype("<f4").reshape(-1)
    assert values.size == BLOCKS * size and np.isfinite(values).all()
    digest = hashlib.sha256(values.tobytes()).hexdigest()
    ends = (upper + [-1])[:2]
    print(f'  {{ST_TYPE_{name}, "{name}", {size}, {width}, {{{ends[0]}, {ends[1]}}},\n      "{digest}",\n'
          f"      {{{bits(values[:SHOWN])}}}}},")
print("};\n")
halves = np.arange(65536, dtype=np.uint16).view(np.float16)
print("/* SHA-256 of all halves that are numbers or infinite, as floats, in the order of their bits. */")
print(f'static const gchar all_halves_sha256[] =\n    "'
      f'{hashlib.sha256(halves[~np.isnan(halves)].astype("<f4").tobytes()).hexdigest()}";\n')
print("static const struct\n{\n  guint32 value;                /* bits of a float */\n  guint16 half;\n} half_vectors[] = {")
with np.errstate(over="ignore"):
    for value in HALF_CASES:
        half = np.array([np.float32(value).astype(np.float16)]).view(np.uint16)[0]
        print(f"  {{{bits([value])}, 0x{half:04x}}},")
print("};")
