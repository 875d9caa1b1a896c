#!/usr/bin/env python3
"""Writes the golden streams of codec/entropy/FORMAT.md in tests/data/entropy, with the second implementation in rdrans.py.

usage: rans-golden.py DIRECTORY

A file: u32 lanes, n, number of tables; per table i32 min, u32 values, u32 order, u16 cumulative[values + 2]; n u16 tables; n i32 symbols;
the stream."""
import os
import random
import struct
import sys

from rdrans import TOTAL, Decoder, encode


def random_table(rng, values, steepness):
    weights = [1.0 / (1 + abs(i - values / 2)) ** steepness for i in range(values + 1)]
    f = [max(1, int(w / sum(weights) * (TOTAL - values - 1))) for w in weights]
    f[f.index(max(f))] += TOTAL - sum(f)
    cumulative = [0]
    for g in f:
        cumulative.append(cumulative[-1] + g)
    return (-(values // 2) + rng.randint(-1, 1), values, rng.randint(0, 3), cumulative)


def random_symbol(rng, table):
    if rng.random() < 0.003:
        return rng.choice([-1, 1]) * rng.randint(0, 1 << rng.randint(1, 24))
    slot = rng.randrange(TOTAL)
    s = max(i for i in range(table[1] + 1) if table[3][i] <= slot)
    return table[0] + s


def main():
    rng = random.Random(4)
    tables = [random_table(rng, v, p) for v, p in
              [(1, 8), (2, 1), (5, 6), (11, 2), (17, 3), (29, 2), (30, 2), (31, 3), (100, 1), (899, 0.5)]]
    cases = [(1, 0), (1, 1), (1, 2), (1, 9), (1, 576), (8, 2047), (8, 2048), (8, 2311), (16, 576), (16, 4096), (16, 4608), (32, 8191),
             (32, 9000), (16, 4200)]
    for lanes, n in cases:
        # the last case has so few bits that most lanes start without a word
        indices = [rng.randrange(len(tables)) if n != 4200 else 0 for _ in range(n)]
        symbols = [random_symbol(rng, tables[i]) for i in indices]
        data = struct.pack("<3I", lanes, n, len(tables))
        for low, count, k, cumulative in tables:
            data += struct.pack("<iII%dH" % (count + 2), low, count, k, *cumulative)
        data += struct.pack("<%dH" % n, *indices) + struct.pack("<%di" % n, *symbols)
        stream = encode(tables, lanes, indices, symbols)
        decoder = Decoder(tables, lanes, n, stream)
        assert decoder.take(indices) == symbols
        decoder.finish()
        with open(os.path.join(sys.argv[1], "rans-%dx%d" % (lanes, n)), "wb") as out:
            out.write(data + stream)


if __name__ == "__main__":
    main()
