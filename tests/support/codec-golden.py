#!/usr/bin/python3
"""A second implementation of codec/simple/FORMAT.md (unpacked payloads), written from the document in plain Python.

usage: codec-golden.py DIRECTORY

Writes the golden vectors that tests/unit/test-codec.c reads: input-NxD.f32 and, for each codec, NxD.CODEC (the payload) and
NxD.CODEC.f32 (what it decodes to).
"""
import struct
import sys
from pathlib import Path

SHAPES = [(1, 1), (3, 33), (5, 576)]
HALF_MAX = 65504.0
INT8_SCALE_MAX = float.fromhex("0x1.020406p+121")


def f32(x):
    """Rounds to single precision, ties to even (a double holds any quotient of two floats closely enough)."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


def half_bits(x):
    return struct.unpack("<H", struct.pack("<e", max(-HALF_MAX, min(HALF_MAX, x))))[0]


def half_value(bits):
    return struct.unpack("<e", struct.pack("<H", bits))[0]


def values(n, d, seed):
    """Finite floats from a linear congruential generator; extremes of every kind in the even rows."""
    special = [0.0, -0.0, 1e-45, -1e-45, 6e-8, 2.0**-14, -(2.0**-24), 2.0**-25, 65504.0, 65519.0, -70000.0, 20000.0, 1.0, -1.0,
               524032.0, 1e9, -3e38, 3.4028234663852886e38, 1e-38]
    out = []
    state = seed
    for i in range(n * d):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        r = state >> 33
        if r % 61 == 0 and i // d % 2 == 0:
            out.append(f32(special[(r // 61) % len(special)]))
        else:
            out.append(f32(((r % 65537) - 32768) / 4096.0 * 2.0 ** ((r // 65537) % 6 - 4)))
    return out


def int8_row(row):
    scale = min(f32(max(abs(v) for v in row) / 127.0), INT8_SCALE_MAX)
    q = [round(max(-127.0, min(127.0, f32(v / scale)))) if scale else 0 for v in row]
    return struct.pack("<f", scale) + struct.pack(f"<{len(row)}b", *q), [f32(c * scale) for c in q]


def int4_group(group):
    e = max(group, key=abs)
    bits = half_bits(f32(e / -8.0)) if e else 0
    scale = half_value(bits)
    q = [round(max(-8.0, min(7.0, f32(v / scale)))) if scale else 0 for v in group]
    return (bits if scale else 0), [c + 8 for c in q], [f32(c * (scale if scale else 0.0)) for c in q]


def int4_row(row):
    scales, codes, decoded = b"", [], []
    for g in range(0, len(row), 32):
        bits, c, y = int4_group(row[g : g + 32])
        scales += struct.pack("<H", bits)
        codes += c
        decoded += y
    codes += [8] * (len(codes) % 2)
    return scales + bytes(codes[i] | codes[i + 1] << 4 for i in range(0, len(codes), 2)), decoded


def f16_row(row):
    bits = [half_bits(v) for v in row]
    return struct.pack(f"<{len(row)}H", *bits), [half_value(b) for b in bits]


def f32_row(row):
    return struct.pack(f"<{len(row)}f", *row), row


CODECS = {"f32": f32_row, "f16": f16_row, "int8": int8_row, "int4": int4_row}


def main():
    directory = Path(sys.argv[1])
    for n, d in SHAPES:
        x = values(n, d, 1000 * n + d)
        (directory / f"input-{n}x{d}.f32").write_bytes(struct.pack(f"<{n * d}f", *x))
        for name, encode_row in CODECS.items():
            rows = [encode_row(x[i * d : i * d + d]) for i in range(n)]
            (directory / f"{n}x{d}.{name}").write_bytes(b"".join(r[0] for r in rows))
            decoded = [v for r in rows for v in r[1]]
            (directory / f"{n}x{d}.{name}.f32").write_bytes(struct.pack(f"<{n * d}f", *decoded))


main()
