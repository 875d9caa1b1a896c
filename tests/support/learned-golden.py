#!/usr/bin/env python3
"""Golden codec files and payloads of codec/learned/FORMAT.md, made and read by the second implementation in rdlearned.py.

usage: learned-golden.py make DIRECTORY        writes them (tests/data/learned)
       learned-golden.py check DIRECTORY       decodes every payload there to the floats that stand beside it
       learned-golden.py decode CODEC.gguf PAYLOAD N    prints how many floats a payload of N rows without features holds, and their SHA-256

A payload CODEC-WHAT-N: u32 rows, u32 1 if they have features, u32 size; the payload; rows of F32. Feature f of row t is
((31 t + 17 f) mod 257 - 128) / 64. Once frozen, a version's files are never made anew: they must be decoded for ever."""
import hashlib
import os
import random
import struct
import sys

import rdlearned
from rdlearned import ARRAY, F16, F32, FEATURES, LENGTHS, LOSSLESS, MODE, PADDING, PLANES, SCALAR, SCALES, STEP, STRING, TABLES

TOTAL = 16384
TYPES = {kind: number for number, kind in rdlearned.NUMBERS.items()}


# ---- codec files ----

def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


def entry(key, kind, value):
    """kind: "s" for text, else of struct; a list becomes an array."""
    if kind == "s":
        return text(key) + struct.pack("<I", STRING) + text(value)
    if isinstance(value, list):
        return text(key) + struct.pack("<IIQ%d%s" % (len(value), kind), ARRAY, TYPES[kind], len(value), *value)
    return text(key) + struct.pack("<I" + kind, TYPES[kind], value)


def write_gguf(entries, tensors):
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(entries)) + b"".join(entry(*e) for e in entries)
    data = b""
    for name, kind, rows in tensors:
        data += bytes(-len(data) % 32)
        dims = [len(rows[0])] + ([len(rows)] if name not in ONE_ROW and not name.endswith(ONE_ROW) else [])
        head += text(name) + struct.pack("<I%dQIQ" % len(dims), len(dims), *dims, kind, len(data))
        values = [v for row in rows for v in row]
        data += struct.pack("<%d%s" % (len(values), {F32: "f", F16: "e"}[kind]), *values)
    return head + bytes(-len(head) % 32) + data


ONE_ROW = ("mean", "token_step", "latents.analysis")


def make_table(rng, values, steepness, low=None):
    weights = [1.0 / (1 + abs(i - values / 2)) ** steepness for i in range(values + 1)]
    f = [max(1, int(w / sum(weights) * (TOTAL - values - 1))) for w in weights]
    f[f.index(max(f))] += TOTAL - sum(f)
    cumulative = [0]
    for g in f:
        cumulative.append(cumulative[-1] + g)
    return (-(values // 2) if low is None else low, values, rng.randint(0, 12), cumulative)


def make_tables(rng, constants):
    sizes = [1, 2, 3, 3, 4, 5, 5, 6, 7, 8, 9, 11]
    tables = [make_table(rng, rng.choice(sizes), rng.uniform(0.2, 4)) for _ in range(MODE)]
    for i, values in zip(rng.sample(range(MODE), 6), (29, 30, 31, 59, 200, 899)):
        tables[i] = make_table(rng, values, rng.uniform(0.5, 2), rng.randint(-values, 0))
    tables.append(make_table(rng, constants + 2, 0.3, 0))
    tables.append(make_table(rng, 64, 0.5, -32))
    return tables + [make_table(rng, 1, 13, 0)]


def numbers(rng, n, size, subnormal=0.0):
    """F32 values, some of them zero, minus zero or too small to be normal."""
    out = []
    for _ in range(n):
        x = rng.gauss(0, size)
        if rng.random() < subnormal:
            x = rng.choice([0.0, -0.0, 1e-45, -3e-42, 1.1e-38, x * 1e-36, x * 1e-30, x * 1e-5])
        out.append(rdlearned.f32(x))
    return out


def set_parts(rng, s, d, knots, shape):
    """Entries and tensors of a set."""
    key, name = "rdcodec.set.%d." % s, "set.%d." % s
    reach = shape["reach"]
    matrix = [numbers(rng, d, 0.5, shape["subnormal"]) for _ in range(d)]
    entries = [(key + "scale", shape["scale"], [rng.randint(-reach, reach) for _ in range(d)]),
               (key + "steps", "h", [rng.randint(-shape["offset"], shape["offset"]) for _ in range(knots * d)]),
               (key + "weights", "b", [rng.randint(-128, 127) for _ in range(2 * d)])]
    tensors = [(name + "mean", F32, [numbers(rng, d, 3, 0.2)]), (name + "synthesis", shape["matrix"], matrix)]
    if s == 1:
        tensors.append((name + "readout", shape["matrix"], [numbers(rng, d, 0.1, shape["subnormal"]) for _ in range(d)]))
    if shape["extras"]:
        entries.append((key + "token_step.strength", "f", numbers(rng, knots, 0.3)))
        tensors.append((name + "token_step", F32, [numbers(rng, d + 2, 0.2)]))
        tensors.append((name + "analysis", F16, [numbers(rng, d, 0.5) for _ in range(d)]))
    return entries, tensors


def make_codec(rng, d, knots, constants, side_info, shape):
    tables = make_tables(rng, constants)
    entries = [("general.architecture", "s", "rdcodec"), ("general.name", "s", "golden"), ("rdcodec.version", "I", 3 if {"networks", "latents"} & set(shape) else 1),
               ("rdcodec.model.id", "s", "" if d % 2 else "0123456789abcdef" * 4), ("rdcodec.model.name", "s", "none"),
               ("rdcodec.split_layer", "H", 7), ("rdcodec.hidden_size", "I", d), ("rdcodec.side_info", "s", side_info),
               ("rdcodec.level.coarsest", "i", shape["coarsest"]), ("rdcodec.knots", "b", knots),
               ("rdcodec.trellis.lambda", "f", 0.1),
               ("rdcodec.tables.min", "h", [t[0] for t in tables]), ("rdcodec.tables.count", "Q", [t[1] for t in tables]),
               ("rdcodec.tables.golomb", "B", [t[2] for t in tables]),
               ("rdcodec.tables.cumulative", "H", [c for t in tables for c in t[3]]),
               ("rdcodec.tables.magnitude", "H", [rng.randint(0, 4080) if rng.random() < 0.2 else rng.randint(0, 99)
                                                  for _ in range(2 * SCALES)])]
    if "networks" in shape:
        entries += network_entries(rng, d, *shape["networks"])
    if side_info == "blocks":
        entries.append(("rdcodec.side_info.blocks", "I", 2))
    analysis = []
    if "latents" in shape:
        more, tensor = latent_entries(rng, d, *shape["latents"])
        entries, analysis = entries + more, [tensor]
    tensors = [("constants", F32, [numbers(rng, d, 50, 0.2) for _ in range(constants)])] if constants else []
    for s in range(1 if side_info == "none" else 2):
        more = set_parts(rng, s, d, len(knots), shape)
        entries, tensors = entries + more[0], tensors + more[1]
    return write_gguf(entries, tensors + analysis)


def network_entries(rng, d, groups, width, s):
    """Of an autoregressive model: scales move by an octave or so."""
    starts = [d * g // groups for g in range(groups + 1)]
    layers, weights, biases = [], [], []
    for g in range(1, groups):
        for inputs, outputs, shift, bias in ((2 * (starts[g] - starts[g - 1]), width, 11, 1 << 17),
                                             (width, starts[g + 1] - starts[g], 12, 1 << 20)):
            layers += [inputs, outputs, shift]
            weights += [rng.randint(-1, 1) * rng.randint(0, 2047) for _ in range(inputs * outputs)]
            biases += [rng.randint(-bias, bias) for _ in range(outputs)] + [rng.randint(-bias >> 6, bias >> 6) for _ in range(outputs)]
    weights[:2] = [32767, -32768]
    units = [min(16384, round(4096 * a / (2 ** (i / 8 - 6) + 0.5))) for a in (1, 1.3) for i in range(SCALES)]
    return [("rdcodec.entropy", "s", "autoregressive"), ("rdcodec.networks.set", "I", s),
            ("rdcodec.networks.layers", "I", layers), ("rdcodec.networks.units", "I", units),
            ("rdcodec.networks.biases", "i", biases), ("rdcodec.networks.weights", "h", weights)]


def latent_entries(rng, d, latents, widths, s):
    """Of a hyper-prior: entries, and the tensor of the encoders' network."""
    widths, layers, weights, biases = [latents, *widths, d], [], [], []
    for i, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        layers += [inputs, outputs, (3, 10, 11)[min(i, 2)]]
        weights += [rng.randint(-1, 1) * rng.randint(0, 2047) for _ in range(inputs * outputs)]
        biases += [rng.randint(-1 << 11, 1 << 13) << 3 * min(i, 2) for _ in range(outputs)] + [rng.randint(-64, 64) for _ in range(outputs)]
    tables = [make_table(rng, rng.randint(1, 9), rng.uniform(0.5, 3)) for _ in range(latents)]
    units = [min(16384, round(4096 * a / (2 ** (i / 8 - 6) + 0.5))) for a in (1, 1.3) for i in range(SCALES)]
    entries = [("rdcodec.entropy", "s", "hyperprior-fourier"), ("rdcodec.networks.set", "I", s),
               ("rdcodec.networks.layers", "I", layers), ("rdcodec.networks.units", "I", units),
               ("rdcodec.networks.biases", "i", biases), ("rdcodec.networks.weights", "h", weights),
               ("rdcodec.latents.min", "i", [t[0] for t in tables]), ("rdcodec.latents.count", "I", [t[1] for t in tables]),
               ("rdcodec.latents.golomb", "I", [t[2] for t in tables]),
               ("rdcodec.latents.cumulative", "H", [c for t in tables for c in t[3]])]
    sizes = [2 * d] + [max(d >> i, 8) for i in (1, 2, 3)] + [latents]
    n = sum(a * b + 2 * b for a, b in zip(sizes, sizes[1:])) + sum(8 * w * w + 8 * w for w in sizes[1:4])
    return entries, ("latents.analysis", F16, [numbers(rng, n, 0.1)])


# ---- payloads ----

def features(d, n):
    return [[((31 * t + 17 * f) % 257 - 128) / 64 for f in range(d)] for t in range(n)]


def chooser(rng, file, with_raw):
    """Symbols as their tables make them likely, now and then one that only the escape can say."""
    raw, last = 1 + len(file.constants), file.tables[PADDING]

    def one(index):
        low, values, _, cumulative = file.tables[index]
        if index == MODE:
            return rng.randint(0, raw) if with_raw and rng.random() < 0.1 else rng.randint(0, raw - 1)
        if index == STEP:
            return rng.choice([rng.randint(-32, 31), 0, 0, 1, -1])
        if index == PADDING:
            return 0
        if rng.random() < 0.004:
            return rng.choice([-1, 1]) * rng.randint(0, 1 << rng.randint(1, 22))
        s = rdlearned.rdrans.symbol_of(file.tables[index], rng.randrange(TOTAL))
        return low + min(s, values - 1)

    assert last[0] == 0
    return lambda indices: [one(i) for i in indices]


def raw_row(rng, d):
    def one():
        return rng.choice([0x80000000, 0, 1, 0x80000001, 0x7F7FFFFF, 0xFF7FFFFF, rng.randrange(0x7F800000)])
    return struct.pack("<%dI" % d, *[one() for _ in range(d)])


def lossless(rng, d, n, planes):
    if not planes:
        return bytes([128, LOSSLESS]) + b"".join(raw_row(rng, d) for _ in range(n))
    # the upper byte of all values is the same: a zstd frame with a run of it
    run = b"\x00\x38" + (n * d << 3 | 3).to_bytes(3, "little") + b"\x42"
    rest = b"".join(b"\x00" + bytes(rng.randrange(256) for _ in range(n * d)) for _ in range(3))
    return bytes([128, LOSSLESS | PLANES]) + rest + rdlearned.varint(len(run)) + run


def write_case(directory, name, file, payload, n, flags):
    given = features(file.hidden, n) if flags & FEATURES else None
    rows = rdlearned.decode(file, payload, n, given)
    with open(os.path.join(directory, "%s-%d" % (name, n)), "wb") as out:
        out.write(struct.pack("<3I", n, int(given is not None), len(payload)) + payload)
        out.write(b"".join(struct.pack("<%df" % file.hidden, *row) for row in rows))


SHAPES = {
    # name: hidden size, knots, constants, side information, and how its numbers are
    "d1": (1, [0, 127], 0, "none", dict(coarsest=512, reach=1500, offset=100, scale="i", matrix=F32, subnormal=0, extras=False)),
    "d5": (5, list(range(0, 90, 6)) + [127], 8, "embedding",
           dict(coarsest=-8192, reach=8192, offset=2048, scale="q", matrix=F32, subnormal=0.3, extras=True)),
    "d33": (33, [0, 1, 127], 2, "blocks", dict(coarsest=8192, reach=2600, offset=700, scale="h", matrix=F16, subnormal=0.2, extras=True)),
    "d64": (64, [0, 20, 64, 100, 127], 1, "embedding",
            dict(coarsest=600, reach=900, offset=300, scale="i", matrix=F16, subnormal=0, extras=False)),
    "n33": (33, [0, 70, 127], 1, "embedding",
            dict(coarsest=900, reach=700, offset=200, scale="i", matrix=F16, subnormal=0, extras=False, networks=(7, 12, 0))),
    "n9": (9, [0, 127], 0, "embedding",
           dict(coarsest=700, reach=600, offset=100, scale="i", matrix=F32, subnormal=0, extras=False, networks=(2, 5, 1))),
    "z12": (12, [0, 50, 127], 1, "embedding",
            dict(coarsest=800, reach=600, offset=100, scale="i", matrix=F32, subnormal=0, extras=False, latents=(3, (8, 9), 0))),
}
CASES = {
    "d1": [(n, level, flags) for n, level in ((1, 0), (7, 127), (8, 5), (9, 64), (63, 1), (64, 126), (65, 99), (130, 31))
           for flags in (0, SCALAR, LENGTHS)],
    "d5": [(n, level, flags) for n, level in ((1, 127), (7, 0), (8, 6), (9, 83), (63, 84), (64, 85), (65, 126), (130, 7))
           for flags in (0, SCALAR | FEATURES, LENGTHS | FEATURES)] + [(1024, 50, SCALAR)],
    "d33": [(1, 1, 0), (1, 90, FEATURES), (7, 0, SCALAR), (8, 3, LENGTHS), (17, 2, FEATURES), (63, 127, LENGTHS | SCALAR | FEATURES),
            (65, 44, LENGTHS)],
    "d64": [(1, 100, 0), (1, 12, SCALAR), (9, 70, SCALAR), (64, 71, 0), (65, 20, FEATURES | SCALAR), (130, 63, LENGTHS)],
    "n33": [(1, 127, 0), (7, 90, SCALAR), (8, 60, 0), (65, 33, LENGTHS), (64, 0, SCALAR), (17, 45, FEATURES)],
    "z12": [(1, 127, 0), (7, 30, SCALAR), (65, 80, 0), (64, 64, SCALAR), (9, 0, LENGTHS), (8, 20, FEATURES)],
    "n9": [(1, 64, FEATURES), (9, 127, FEATURES | SCALAR), (65, 1, FEATURES), (8, 80, 0)],
}
NAMES = {0: "trellis", SCALAR: "scalar", FEATURES: "features", LENGTHS: "lengths"}


def make_cases(directory, rng, name, file):
    for n, level, flags in CASES[name]:
        what = "-".join(NAMES[bit] for bit in (LENGTHS, FEATURES, SCALAR) if flags & bit) or NAMES[0]
        choose = chooser(rng, file, flags & LENGTHS)
        payload = rdlearned.encode(file, level, flags, n, choose, lambda: raw_row(rng, file.hidden))
        write_case(directory, "%s-%s" % (name, what), file, payload, n, flags)
    if name in ("d5", "d33"):
        for n in (1, 130) if name == "d5" else (17,):
            write_case(directory, name + "-lossless", file, lossless(rng, file.hidden, n, False), n, LOSSLESS)
        write_case(directory, name + "-planes", file, lossless(rng, file.hidden, 17, True), 17, LOSSLESS)


def make(directory):
    rng = random.Random(26012)
    for name, shape in SHAPES.items():
        data = make_codec(rng, *shape)
        with open(os.path.join(directory, name + ".gguf"), "wb") as out:
            out.write(data)
        make_cases(directory, rng, name, rdlearned.File(data))


def read_codec(directory, name):
    with open(os.path.join(directory, name), "rb") as file:
        return rdlearned.File(file.read())


def check(directory):
    codecs, cases = {}, sorted(name for name in os.listdir(directory) if not name.endswith(".gguf"))
    for name in cases:
        codec = name.split("-")[0] + ".gguf"
        file = codecs[codec] = codecs.get(codec) or read_codec(directory, codec)
        with open(os.path.join(directory, name), "rb") as data:
            n, with_features, size = struct.unpack("<3I", data.read(12))
            payload, expected = data.read(size), data.read()
        rows = rdlearned.decode(file, payload, n, features(file.hidden, n) if with_features else None)
        if b"".join(struct.pack("<%df" % file.hidden, *row) for row in rows) != expected:
            sys.exit("%s: decoded to other values" % name)
    assert len(cases) == sum(map(len, CASES.values())) + 5
    print("%d payloads of %d codec files agree" % (len(cases), len(codecs)))


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "make":
        make(sys.argv[2])
    elif len(sys.argv) == 3 and sys.argv[1] == "check":
        check(sys.argv[2])
    elif len(sys.argv) == 5 and sys.argv[1] == "decode":
        file = read_codec("", sys.argv[2])
        rows = rdlearned.decode(file, open(sys.argv[3], "rb").read(), int(sys.argv[4]))
        data = b"".join(struct.pack("<%df" % file.hidden, *row) for row in rows)
        print(len(data) // 4, hashlib.sha256(data).hexdigest())
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
