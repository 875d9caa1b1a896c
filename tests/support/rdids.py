"""A second implementation of the coded ids of codec/wire/FORMAT.md, for rdwire.py."""
import os
import re

import rdrans
from rdrans import Damage

HERE = os.path.dirname(os.path.abspath(__file__))
WIRE = os.path.join(HERE, "../../codec/wire")
TOTAL, ORDER, CONTEXTS, RANKS, FIELD = rdrans.TOTAL, 12, 4, 64, 9


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
    return rdrans.encode(TABLES, 1, [t for t, _ in symbols], [s for _, s in symbols])


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
    decoder, ids, recent, context = rdrans.Decoder(TABLES, 1, n, stream), [], Recent(), 0
    for _ in range(n):
        line, token = decode_id(decoder, recent, context)
        ids.append(token)
        if line is None or LINES[line][1]:
            recent.add(token)
        context = 0 if line is None else LINES[line][2]
    decoder.finish()
    return ids
