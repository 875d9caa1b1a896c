"""A second implementation of the coded ids of codec/wire/FORMAT.md, for rdwire.py."""
import importlib.util
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
WIRE = os.path.join(HERE, "../../codec/wire")
TOTAL, L, ORDER, CONTEXTS, RANKS, FIELD = 16384, 1 << 15, 12, 4, 64, 9

spec = importlib.util.spec_from_file_location("rans_golden", os.path.join(HERE, "rans-golden.py"))
rans = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rans)


class Damage(Exception):
    pass


def numbers(name):
    text = re.sub(r"/\*.*?\*/", "", open(os.path.join(WIRE, name), encoding="utf-8").read(), flags=re.S)
    return [[int(word) for word in re.findall(r"\d+", line)] for line in text.splitlines() if line.strip()]


def table(frequencies):
    cumulative = [0]
    for f in frequencies:
        cumulative.append(cumulative[-1] + f)
    return (0, len(frequencies), ORDER, cumulative + [TOTAL])


LINES = numbers("id-ranges.inc")
HIT = len(LINES) - 1
FIRST = [sum(1 << line[0] for line in LINES[:i]) for i in range(HIT)]
TABLES = [table([line[3 + c] for line in LINES]) for c in range(CONTEXTS)]
TABLES.append(table(sum(numbers("id-ranks.inc"), [])))
TABLES += [table([TOTAL >> b] * ((1 << b) - 1) + [(TOTAL >> b) - 1]) for b in range(1, FIELD + 1)]


def table_of_field(bits):
    return CONTEXTS + bits


class Recent(list):
    def add(self, token):
        if token in self:
            self.remove(token)
        self.insert(0, token)
        del self[RANKS:]


def encode(ids):
    symbols, recent, context = [], Recent(), 0
    for token in ids:
        if token in recent:
            line = HIT
            symbols += [(context, HIT), (CONTEXTS, recent.index(token))]
        elif token >= 65536:
            line = None
            symbols.append((context, token - 65536 + HIT + 1))
        else:
            line = max(i for i in range(HIT) if FIRST[i] <= token)
            bits, offset = LINES[line][0], token - FIRST[line]
            symbols.append((context, line))
            if bits > FIELD:
                symbols.append((table_of_field(bits - FIELD), offset >> FIELD))
            if bits:
                symbols.append((table_of_field(min(bits, FIELD)), offset & (1 << min(bits, FIELD)) - 1))
        if line is None or LINES[line][1]:
            recent.add(token)
        context = 0 if line is None else LINES[line][2]
    return rans.encode(TABLES, 1, [t for t, _ in symbols], [s for _, s in symbols])


class Decoder:
    """One state, codec/entropy/FORMAT.md."""

    def __init__(self, stream):
        n = len(stream) if len(stream) <= 4 else 4 - len(stream) % 2
        self.x, self.words, self.size = int.from_bytes(stream[:n], "little"), stream[n:], 0
        if self.x >= 1 << 31:
            raise Damage

    def refill(self):
        if self.x < L and self.words:
            self.x = self.x << 16 | int.from_bytes(self.words[:2], "little")
            self.words = self.words[2:]

    def bits(self, count):
        bits = self.x & (1 << count) - 1
        self.x >>= count
        self.refill()
        return bits

    def escape(self, low, values, order):
        above, length = self.bits(1), order
        while length < 26 and self.bits(1):
            length += 1
        e = 1
        for count in ([length - 14] if length > 14 else []) + [min(length, 14)]:
            e = e << count | self.bits(count)
        distance = e - (1 << order)
        value = low + values + distance if above else low - 1 - distance
        if abs(value) > 1 << 24:
            raise Damage
        return value

    def begin_ending(self):
        if not self.size and self.x < 1 << 14 and not self.words:
            if self.x == 0:
                raise Damage
            t = self.x.bit_length() - 1
            self.x, self.size = self.x - (1 << t) << 31 - t, 1 << 31

    def symbol(self, index):
        low, values, order, cumulative = TABLES[index]
        self.begin_ending()
        unit = max(1, self.size // TOTAL) if self.size else 0
        slot = min(self.x // unit, TOTAL - 1) if unit else self.x % TOTAL
        s = max(i for i in range(values + 1) if cumulative[i] <= slot)
        f = cumulative[s + 1] - cumulative[s]
        if unit:
            self.x, self.size = self.x - cumulative[s] * unit, f * unit
            if s == values:
                raise Damage
        else:
            self.x = f * (self.x // TOTAL) + slot - cumulative[s]
            self.refill()
        return self.escape(low, values, order) if s == values else low + s

    def finish(self):
        self.begin_ending()
        if self.words or (self.x >= self.size if self.size else self.x != 1 << 14):
            raise Damage


def field(decoder, bits):
    value = decoder.symbol(table_of_field(bits))
    if not 0 <= value < 1 << bits:
        raise Damage
    return value


def decode_id(decoder, recent, context):
    """(line or None, id)"""
    line = decoder.symbol(context)
    if line < 0:
        raise Damage
    if line > HIT:
        return None, 65536 + line - HIT - 1
    if line == HIT:
        rank = decoder.symbol(CONTEXTS)
        if not 0 <= rank < len(recent):
            raise Damage
        return line, recent[rank]
    bits, offset = LINES[line][0], 0
    if bits > FIELD:
        offset = field(decoder, bits - FIELD) << FIELD
    if bits:
        offset |= field(decoder, min(bits, FIELD))
    return line, FIRST[line] + offset


def decode(stream, n):
    if n > 8 * (len(stream) + 4) + 7:
        raise Damage
    decoder, ids, recent, context = Decoder(stream), [], Recent(), 0
    for _ in range(n):
        line, token = decode_id(decoder, recent, context)
        ids.append(token)
        if line is None or LINES[line][1]:
            recent.add(token)
        context = 0 if line is None else LINES[line][2]
    decoder.finish()
    return ids
