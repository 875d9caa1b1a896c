"""A second implementation of codec/learned/FORMAT.md, written from the document in plain Python: codec files and their payloads."""
import math
import struct

import rdrans
from rdrans import Damage

BLOCK, LANES, SCALES, TABLES, MAX_SYMBOL = 64, 8, 112, 339, 1 << 22
MODE, STEP, PADDING = 336, 337, 338
SCALAR, FEATURES, LOSSLESS, LENGTHS, PLANES = (1 << i for i in range(5))
SCALAR_STEP = 170
INFINITY = 0x7F800000
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY, F32, F16 = 8, 9, 0, 1


# ---- floats: a double holds every product of two F32 exactly, and sums well enough to be rounded again ----

def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def multiply_add(x, a, b):
    try:
        return f32(x + f32(a * b))
    except OverflowError:
        raise Damage("not finite")


def floats(data):
    bits = struct.unpack("<%dI" % (len(data) // 4), data)
    if any(b & 0x7FFFFFFF >= INFINITY for b in bits):
        raise Damage("not finite")
    return list(struct.unpack("<%df" % (len(data) // 4), data))


EXP2 = [f32(2.0 ** (i / 256)) for i in range(256)]


def step_of(log):
    log = max(-16384, min(16384, log))
    return math.ldexp(EXP2[log & 255], log >> 8)


# ---- codec files ----

class Gguf:
    def __init__(self, data):
        self.data, self.at = data, 0
        magic, version, n_tensors, n_keys = self.take("4sIQQ")
        assert magic == b"GGUF" and version in (2, 3)
        self.keys = {}
        for _ in range(n_keys):
            key = self.string()
            self.keys[key] = self.value(self.take("I")[0])
        infos = [(self.string(), *self.dims(), *self.take("IQ")) for _ in range(n_tensors)]
        start = -(-self.at // 32) * 32
        self.tensors = {name: self.tensor(dims, kind, start + offset) for name, dims, kind, offset in infos}

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def string(self):
        return self.take("%ds" % self.take("Q")[0])[0].decode()

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.take(NUMBERS[kind])[0]
        kind, n = self.take("IQ")
        return [self.string() for _ in range(n)] if kind == STRING else list(self.take("%d%s" % (n, NUMBERS[kind])))

    def dims(self):
        return (self.take("%dQ" % self.take("I")[0]),)

    def tensor(self, dims, kind, at):
        """Rows of floats."""
        n = math.prod(dims)
        values = struct.unpack_from("<%d%s" % (n, {F32: "f", F16: "e"}[kind]), self.data, at)
        return [list(values[i:i + dims[0]]) for i in range(0, n, dims[0])]


class Set:
    def __init__(self, gguf, s, knots):
        key, tensor = "rdcodec.set.%d." % s, "set.%d." % s
        self.scale = gguf.keys[key + "scale"]
        d = len(self.scale)
        steps = gguf.keys[key + "steps"]
        self.steps = [steps[k * d:k * d + d] for k in range(knots)]
        weights = gguf.keys[key + "weights"]
        self.weights = list(zip(weights[:d], weights[d:]))
        self.mean = gguf.tensors[tensor + "mean"][0]
        self.synthesis = gguf.tensors[tensor + "synthesis"]
        self.readout = gguf.tensors.get(tensor + "readout")


class File:
    def __init__(self, data):
        gguf = Gguf(data)
        self.keys = gguf.keys
        assert self.key("version") in (1, 2, 3)
        self.networks = Networks(self) if self.key("version") == 3 else None
        self.hidden, self.coarsest, self.knots = self.key("hidden_size"), self.key("level.coarsest"), self.key("knots")
        self.constants = gguf.tensors.get("constants", [])
        self.sets = [Set(gguf, s, len(self.knots)) for s in range(1 if self.key("side_info") == "none" else 2)]
        magnitude = self.key("tables.magnitude")
        self.magnitude = {True: magnitude[:SCALES], False: magnitude[SCALES:]}
        self.tables = self.read_tables("tables")
        assert len(self.tables) == TABLES
        self.tables += self.networks.latents if self.networks else []

    def key(self, name):
        return self.keys["rdcodec." + name]

    def read_tables(self, name):
        tables, cumulative, at = [], self.key(name + ".cumulative"), 0
        for low, count, golomb in zip(self.key(name + ".min"), self.key(name + ".count"), self.key(name + ".golomb")):
            tables.append((low, count, golomb, cumulative[at:at + count + 2]))
            at += count + 2
        assert at == len(cumulative)
        return tables

    def latents(self, s):
        """How many a token of this set has."""
        return len(self.networks.latents) if self.networks and self.networks.set == s else 0

    def log_steps(self, s, level, scalar):
        """Logarithm of the step of each coefficient for a token step of 0."""
        k = max(i for i in range(len(self.knots) - 1) if self.knots[i] <= level)
        a, b = self.knots[k], self.knots[k + 1]
        low, high = self.sets[s].steps[k], self.sets[s].steps[k + 1]
        common = self.coarsest - 16 * level + (SCALAR_STEP if scalar else 0)
        return [common + x + (y - x) * (level - a) // (b - a) for x, y in zip(low, high)]


# ---- networks ----

class Networks:
    def __init__(self, file):
        numbers = iter(file.key("networks.layers"))
        biases, weights = iter(file.key("networks.biases")), iter(file.key("networks.weights"))
        self.entropy, self.set, self.layers = file.key("entropy"), file.key("networks.set"), []
        assert self.entropy in ("autoregressive", "hyperprior-factorized", "hyperprior-fourier")
        for inputs, outputs, shift in zip(numbers, numbers, numbers):
            bias, slope = [next(biases) for _ in range(outputs)], [next(biases) for _ in range(outputs)]
            rows = [[next(weights) for _ in range(inputs)] for _ in range(outputs)]
            self.layers.append((rows, bias, slope, shift))
        units = file.key("networks.units")
        self.units = {True: units[:SCALES], False: units[SCALES:]}
        groups = len(self.layers) // 2 + 1
        self.starts = [file.key("hidden_size") * g // groups for g in range(groups + 1)]
        self.latents = file.read_tables("latents") if self.entropy != "autoregressive" else []


def clamp(x, low, high):
    return max(low, min(high, x))


def layer_sums(layer, level, inputs):
    rows, bias, slope, _ = layer
    return [b + s * level + sum(w * x for w, x in zip(row, inputs)) for row, b, s in zip(rows, bias, slope)]


def shifted(total, bits):
    return (total + (1 << bits >> 1)) >> bits


class Shifts:
    """What the networks say of one token's scales, a group at a time."""

    def __init__(self, networks, scalar, level, latents):
        self.networks, self.units, self.level, self.group = networks, networks.units[scalar], level, 1
        if latents:
            self.values = [clamp(z, -127, 127) for z in latents]
            for i, layer in enumerate(networks.layers):
                low, high = (-4096, 4096) if i + 1 == len(networks.layers) else (0, 4095)
                self.values = [clamp(shifted(x, layer[3]), low, high) for x in layer_sums(layer, level, self.values)]
            return
        self.sums = [0] * len(networks.layers[0][0])
        self.values = [0] * networks.starts[1]

    def next_group(self, symbols, scales):
        """From the symbols so far and the static logarithms of their scales."""
        inputs, g = [], self.group
        for j in range(self.networks.starts[g - 1], self.networks.starts[g]):
            unit = self.units[clamp_scale((scales[j] + 1552) >> 5)]
            f = clamp(shifted(clamp(symbols[j], -32767, 32767) * unit, 4), -1024, 1024)
            inputs += [f, abs(f)]
        first, second = self.networks.layers[2 * g - 2], self.networks.layers[2 * g - 1]
        self.sums = [a + b for a, b in zip(self.sums, layer_sums(first, self.level, inputs))]
        hidden = [clamp(shifted(x, first[3]), 0, 4095) for x in self.sums]
        self.values += [clamp(shifted(x, second[3]), -4096, 4096) for x in layer_sums(second, self.level, hidden)]
        self.group += 1


# ---- contexts and values of one token ----

def lg(x):
    x = min(x, (1 << 24) - 1)
    p = x.bit_length() - 1
    return 256 * p + ((x << 24 - p) >> 16) - 256


def clamp_scale(i):
    return max(0, min(SCALES - 1, i))


class Token:
    """Tables of a token's coefficients, and what its symbols mean."""

    def __init__(self, file, s, level, scalar, step, latents):
        self.file, self.set, self.scalar, self.step = file, file.sets[s], scalar, step
        self.log_steps = file.log_steps(s, level, scalar)
        self.whole = self.whole_mean = 48
        self.near = self.near_mean = 32
        self.state, self.coefficients, self.symbols = 0, [], []
        with_shifts = file.networks and file.networks.set == s
        self.shifts = Shifts(file.networks, scalar, level, latents) if with_shifts else None
        self.scales = [a - b - 32 * step for a, b in zip(self.set.scale, self.log_steps)]

    def nominal(self):
        j = len(self.coefficients)
        if not self.shifts:
            return self.scales[j]
        if j == len(self.shifts.values):
            self.shifts.next_group(self.symbols, self.scales)
        return self.scales[j] + self.shifts.values[j]

    def table(self):
        whole_weight, near_weight = self.set.weights[len(self.coefficients)]
        correction = whole_weight * (lg(self.whole) - lg(self.whole_mean)) + near_weight * (lg(self.near) - lg(self.near_mean))
        i = clamp_scale((self.nominal() + (correction >> 6) + 1552) >> 5)
        return i if self.scalar else SCALES + i + SCALES * (self.state & 1)

    def add(self, k):
        """The symbol of the next coefficient."""
        nominal = self.nominal()
        size, sign = abs(k), (k > 0) - (k < 0)
        if size > MAX_SYMBOL:
            raise Damage("symbol")
        a, e = min(size, 255) * 16, self.file.magnitude[self.scalar][clamp_scale((nominal + 1552) >> 5)]
        self.whole, self.whole_mean = self.whole + a, self.whole_mean + e
        self.near += a - (self.near >> 5)
        self.near_mean += e - (self.near_mean >> 5)
        r = k if self.scalar else 2 * k - (self.state & 1) * sign
        b0, b1, b2 = self.state & 1, self.state >> 1 & 1, self.state >> 2
        self.state = (b1 ^ b0) | (b2 ^ size & 1) << 1 | b0 << 2
        self.symbols.append(k)
        self.coefficients.append(f32(r * step_of(self.log_steps[len(self.coefficients)] + 32 * self.step)))


def reconstruct(file, s, mode, coefficients, features):
    x = list(file.constants[mode - 1] if mode else file.sets[s].mean)
    for f, value in enumerate(features if mode == 0 and s == 1 else []):
        x = [multiply_add(v, value, r) for v, r in zip(x, file.sets[s].readout[f])]
    for c, row in zip(coefficients, file.sets[s].synthesis):
        x = [multiply_add(v, c, m) for v, m in zip(x, row)]
    return x


# ---- blocks ----

def padded(n):
    return n if n < LANES else -(-n // LANES) * LANES


def lanes(n):
    return 1 if n < LANES else LANES


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


class Block:
    """Symbols of a block, whoever chooses them: choose(tables) is asked for each line of symbols."""

    def __init__(self, file, s, level, scalar, n, choose):
        w, self.raw, self.lines, self.tables = padded(n), 1 + len(file.constants), [], []
        self.choose = choose
        latents = [self.line([TABLES + i] * n + [PADDING] * (w - n)) for i in range(file.latents(s))]
        if any(z for line in latents for z in line[n:]):
            raise Damage("padding")
        self.modes = self.line([MODE] * n + [PADDING] * (w - n))
        if any(not 0 <= m <= (self.raw if t < n else 0) for t, m in enumerate(self.modes)):
            raise Damage("mode")
        coded = [t < n and m != self.raw for t, m in enumerate(self.modes)]
        steps = self.line([STEP if c else PADDING for c in coded])
        if any(not -32 <= d <= 31 or d and not c for d, c in zip(steps, coded)):
            raise Damage("step")
        self.tokens = [Token(file, s, level, scalar, d, [line[t] for line in latents]) if c else None
                       for t, (d, c) in enumerate(zip(steps, coded))]
        for _ in range(file.hidden):
            values = self.line([token.table() if token else PADDING for token in self.tokens])
            for token, k in zip(self.tokens, values):
                if token:
                    token.add(k)
                elif k:
                    raise Damage("padding")

    def line(self, tables):
        values = self.choose(tables)
        self.tables += tables
        self.lines += values
        return values


def decode_block(file, s, level, flags, n, stream, raw, features):
    """Rows of floats; raw(size) gives the bytes of a row as it is."""
    decoder = rdrans.Decoder(file.tables, lanes(n), (file.latents(s) + file.hidden + 2) * padded(n), stream)
    block = Block(file, s, level, bool(flags & SCALAR), n, decoder.take)
    decoder.finish()
    rows = []
    for t in range(n):
        if block.modes[t] == block.raw:
            if not flags & LENGTHS:
                raise Damage("raw")
            rows.append(floats(raw(4 * file.hidden)))
        else:
            rows.append(reconstruct(file, s, block.modes[t], block.tokens[t].coefficients, features and features[t]))
    return rows


# ---- payloads ----

class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Damage("end")
        self.at += n
        return self.data[self.at - n:self.at]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if value >> 32 or shift and byte == 0:
                raise Damage("length")
            if byte < 128:
                return value
            shift += 7


def unpack_plane(reader, n):
    """A plane as it is, or a zstd frame whose only block is a run of one byte: more is not needed here."""
    length = reader.varint()
    if not length:
        return reader.take(n)
    frame = reader.take(length)
    block = int.from_bytes(frame[2:5], "little")
    assert frame[0] == 0 and block & 7 == 3 and length == 6, "not a run"
    return frame[5:] * (block >> 3)


def unpack_planes(reader, n):
    size = len(reader.data) - reader.at
    if not 4 * n // 256 <= size < 4 * n:
        raise Damage("planes")
    planes = [unpack_plane(reader, n) for _ in range(4)]
    return bytes(planes[i % 4][i // 4] for i in range(4 * n))


def read_flags(reader):
    first = reader.take(1)[0]
    flags = reader.take(1)[0] if first & 128 else 0
    if first & 128 and not flags or flags > 31 or flags & PLANES and not flags & LOSSLESS:
        raise Damage("flags")
    if flags & LOSSLESS and (first & 127 or flags & ~(LOSSLESS | PLANES)):
        raise Damage("flags")
    return first & 127, flags


def decode(file, payload, n, features=None):
    """n rows of floats; features: as many rows, needed for payloads with FEATURES."""
    reader = Reader(payload)
    level, flags = read_flags(reader)
    if flags & LOSSLESS:
        count = n * file.hidden
        values = floats(unpack_planes(reader, count) if flags & PLANES else reader.take(4 * count))
        rows = [values[t * file.hidden:(t + 1) * file.hidden] for t in range(n)]
    else:
        s, rows = int(bool(flags & FEATURES)), []
        for t in range(0, n, BLOCK):
            last = t + BLOCK >= n
            size = len(payload) - reader.at if last and not flags & LENGTHS else reader.varint()
            rows += decode_block(file, s, level, flags, min(BLOCK, n - t), reader.take(size), reader.take,
                                 features[t:t + BLOCK] if s else None)
    if reader.at != len(payload):
        raise Damage("left")
    return rows


def encode(file, level, flags, n, choose, raw):
    """A payload of n rows, but for LOSSLESS: choose(tables) gives a line of symbols, raw() the bytes of a row as it is."""
    out = bytes([level | (128 if flags else 0)]) + (bytes([flags]) if flags else b"")
    for t in range(0, n, BLOCK):
        count = min(BLOCK, n - t)
        block = Block(file, int(bool(flags & FEATURES)), level, bool(flags & SCALAR), count, choose)
        stream = rdrans.encode(file.tables, lanes(count), block.tables, block.lines)
        if flags & LENGTHS or t + BLOCK < n:
            out += varint(len(stream))
        out += stream
        out += b"".join(raw() for m in block.modes if m == block.raw)
    return out
