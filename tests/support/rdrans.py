"""A second implementation of codec/entropy/FORMAT.md, as plain as can be. A table is (min, values, order, cumulative)."""
import bisect
import struct

L, TOTAL = 1 << 15, 1 << 14


class Damage(Exception):
    pass


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


class Decoder:
    """Symbols of a stream of n. Damage raises Damage."""

    def __init__(self, tables, lanes, n, stream):
        groups = n // lanes
        self.tables, self.lanes, self.n, self.done = tables, lanes, n, 0
        self.main = (groups - 64) * lanes if lanes > 1 and groups >= 256 else 0
        self.states, self.size, at = [0] * lanes, 0, 0
        for lane in range(1, lanes if self.main else 1):
            count = 3 + (stream[at] & 1) if at < len(stream) else 3
            if len(stream) - at < count:
                raise Damage("states")
            self.states[lane] = int.from_bytes(stream[at:at + count], "little") >> 1
            at += count
            if self.states[lane] < L:
                raise Damage("state")
        left = len(stream) - at
        count = left if left <= 4 else 4 - left % 2
        self.states[0] = int.from_bytes(stream[at:at + count], "little")
        rest = stream[at + count:]
        self.words = [rest[i] | rest[i + 1] << 8 for i in range(0, len(rest), 2)]
        self.words.reverse()
        if self.states[0] >= 1 << 31 or self.main and self.states[0] < L:
            raise Damage("first state")

    def refill(self, lane):
        if self.states[lane] < L and self.words:
            self.states[lane] = self.states[lane] << 16 | self.words.pop()

    def bits(self, lane, count):
        bits = self.states[lane] & (1 << count) - 1
        self.states[lane] >>= count
        self.refill(lane)
        return bits

    def escape(self, lane, table):
        low, values, order, _ = table
        above, length = self.bits(lane, 1), order
        while length < 26 and self.bits(lane, 1):
            length += 1
        e = 1
        for count in ([length - 14] if length > 14 else []) + [min(length, 14)]:
            e = e << count | self.bits(lane, count)
        distance = e - (1 << order)
        value = low + values + distance if above else low - 1 - distance
        if abs(value) > 1 << 24:
            raise Damage("escape")
        return value

    def group(self, indices):
        """One group in lanes."""
        symbols = []
        for lane, index in enumerate(indices):
            x, table = self.states[lane], self.tables[index]
            s = symbol_of(table, x % TOTAL)
            self.states[lane] = frequency(table, s) * (x // TOTAL) + x % TOTAL - table[3][s]
            symbols.append(s)
        for lane in range(self.lanes):
            if self.states[lane] < L and not self.words:
                raise Damage("words")
            self.refill(lane)
        values = []
        for lane, (s, index) in enumerate(zip(symbols, indices)):
            table = self.tables[index]
            values.append(self.escape(lane, table) if s == table[1] else table[0] + s)
        return values

    def leave_lanes(self):
        hidden = []
        for lane in range(1, self.lanes):
            x = self.states[lane]
            if x >> 16 == 1 and len(hidden) + 1 == lane:
                hidden.append(x & 0xFFFF)
            elif x != L:
                raise Damage("lanes")
        self.words += reversed(hidden)

    def begin_ending(self):
        if not self.main and not self.size and self.n and self.states[0] < 1 << 14 and not self.words:
            if self.states[0] == 0:
                raise Damage("ending")
            t = self.states[0].bit_length() - 1
            self.states[0], self.size = self.states[0] - (1 << t) << 31 - t, 1 << 31

    def symbol(self, index):
        """One symbol of the single state, or of the ending."""
        self.begin_ending()
        table = self.tables[index]
        unit = max(1, self.size // TOTAL) if self.size else 0
        slot = min(self.states[0] // unit, TOTAL - 1) if unit else self.states[0] % TOTAL
        s = symbol_of(table, slot)
        f = frequency(table, s)
        if unit:
            self.states[0], self.size = self.states[0] - table[3][s] * unit, f * unit
            if s == table[1]:
                raise Damage("escape in the ending")
            return table[0] + s
        self.states[0] = f * (self.states[0] // TOTAL) + slot - table[3][s]
        self.refill(0)
        return self.escape(0, table) if s == table[1] else table[0] + s

    def take(self, indices):
        """The next symbols, under the tables of these indices; whole groups as long as there are lanes."""
        values = []
        while len(values) < len(indices):
            at = len(values)
            if self.done < self.main:
                values += self.group(indices[at:at + self.lanes])
            else:
                values.append(self.symbol(indices[at]))
            self.done += len(values) - at
            if self.main and self.done == self.main:
                self.leave_lanes()
        return values

    def finish(self):
        self.begin_ending()
        x = self.states[0]
        good = x < self.size if self.size else x == (L if self.main else 1 << 14 if self.n else 0)
        if self.words or not good:
            raise Damage("end")


def symbol_of(table, slot):
    return bisect.bisect_right(table[3], slot) - 1
