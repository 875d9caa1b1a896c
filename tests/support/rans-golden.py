#!/usr/bin/env python3
"""A second implementation of codec/entropy/FORMAT.md, as plain as can be; writes the golden streams in tests/data/entropy.

usage: rans-golden.py DIRECTORY

A file: u32 lanes, n, number of tables; per table i32 min, u32 values, u32 order, u16 cumulative[values + 2]; n u16 tables; n i32 symbols;
the stream."""
import os
import random
import struct
import sys

L, TOTAL = 1 << 15, 1 << 14


def escape_bits(table, value):
    """List of (bits, count) in the order of reading."""
    low, count, k, _ = table
    above = value >= low + count
    e = (value - low - count if above else low - 1 - value) + (1 << k)
    length = e.bit_length() - 1
    bits = [(int(above), 1)] + [(1, 1)] * (length - k) + [(0, 1)]
    rest = e - (1 << length)
    if length > 14:
        bits.append((rest >> 14, length - 14))
        rest, length = rest & 16383, 14
    return bits + ([(rest, length)] if length else [])


class Encoder:
    def __init__(self):
        self.stack = []

    def push_range(self, x, start, f):
        if x >= f << 17:
            self.stack.append(x & 0xFFFF)
            x >>= 16
        return x // f * TOTAL + x % f + start

    def push_bits(self, x, bits, count):
        if x >= 1 << (31 - count):
            self.stack.append(x & 0xFFFF)
            x >>= 16
        return x << count | bits

    def push_escape(self, x, table, value):
        for bits, count in reversed(escape_bits(table, value)):
            x = self.push_bits(x, bits, count)
        return x

    def push_symbol(self, x, table, value):
        s = index_of(table, value)
        return self.push_range(x, table[3][s], table[3][s + 1] - table[3][s])


def index_of(table, value):
    low, count, _, _ = table
    return value - low if low <= value < low + count else count


def frequency(table, s):
    return table[3][s + 1] - table[3][s]


def fraction_of(ranges, before):
    """State for the ending with the ranges (start, f); at least before. None if there is none."""
    low, size = 0, 1 << 31
    for start, f in ranges:
        unit = size // TOTAL
        low, size = low + start * unit, f * unit
    for t in range(14):
        step = 1 << (31 - t)
        a = -(-low // step)
        if 1 << t >= before and a * step < low + size:
            return (1 << t) + a
    return None


def find_ending(pairs):
    """Number of symbols in the ending, and the first state."""
    ranges, size, candidates = [], 1 << 31, []
    for table, value in reversed(pairs[-1024:]):
        s = index_of(table, value)
        if s == table[1] or size < 1 << 18:
            break
        f = frequency(table, s)
        if f <= 8192:
            candidates.append((list(reversed(ranges)), f))
        ranges.append((table[3][s], f))
        size = size // TOTAL * f
    if size >= 1 << 18 and len(ranges) == len(pairs):
        candidates.append((list(reversed(ranges)), 1))
    for ending, before in reversed(candidates):
        x = fraction_of(ending, before)
        if x:
            return len(ending), x
    return 0, 1 << 14


def state_bytes(x, with_words):
    n = (x.bit_length() + 7) // 8
    return x.to_bytes(max(n, 3) if with_words else n, "little")


def encode(tables, lanes, indices, symbols):
    n, groups, out = len(symbols), len(symbols) // lanes, Encoder()
    main = (groups - 64) * lanes if lanes > 1 and groups >= 256 else 0
    x, rest = L if main else 0, n
    if n and not main:
        ending, x = find_ending([(tables[i], s) for i, s in zip(indices, symbols)])
        rest = n - ending
    for i in reversed(range(main, rest)):
        table = tables[indices[i]]
        if index_of(table, symbols[i]) == table[1]:
            x = out.push_escape(x, table, symbols[i])
        x = out.push_symbol(x, table, symbols[i])
    states = [x]
    if main:
        for _ in range(1, lanes):
            states.append(65536 + out.stack.pop() if out.stack else L)
    for group in reversed(range(0, main, lanes)):
        for lane in reversed(range(lanes)):
            table, value = tables[indices[group + lane]], symbols[group + lane]
            if index_of(table, value) == table[1]:
                states[lane] = out.push_escape(states[lane], table, value)
        for lane in reversed(range(lanes)):
            states[lane] = out.push_symbol(states[lane], tables[indices[group + lane]], symbols[group + lane])
    stream = b""
    for x in states[1:]:
        stream += (2 * x).to_bytes(3, "little") if x < 1 << 23 else (2 * x + 1).to_bytes(4, "little")
    stream += state_bytes(states[0], bool(out.stack))
    return stream + b"".join(struct.pack("<H", word) for word in reversed(out.stack))


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
        with open(os.path.join(sys.argv[1], "rans-%dx%d" % (lanes, n)), "wb") as out:
            out.write(data + encode(tables, lanes, indices, symbols))


if __name__ == "__main__":
    main()
