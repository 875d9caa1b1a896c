#!/usr/bin/python3
"""A second implementation of the frames of codec/wire/FORMAT.md, written from the document in plain Python.

usage: rdwire.py make        writes the golden frames (tests/data/wire/frames.txt) to standard output
       rdwire.py check FILE  decodes every line of FILE and encodes it again

A line is the frame in hexadecimal and what it means as key=value; a line "bad CODE hex" is a frame that must be refused with that code.
tests/unit/test-frame.c does the same with the C implementation.
"""
import struct
import sys

import rdids

SYNC = b"\xfd\x7e"
TYPES = ["HEADER", "STATES", "TOKENS", "CONTROL"]
SUBTYPES = ["ACK", "REPLAY", "KEY", "PROBE", "WORKING", "END", "END_ACK", "CANCEL", "ERROR", "KEEPALIVE"]
COUNT, EPOCH, TRUNCATE, GIVEN, PACKED, IDS, FRAGMENT, RECORDS = (1 << i for i in range(8))
WISHES = {0: ("temperature", 4), 1: ("top-k", 4), 2: ("top-p", 4), 3: ("min-p", 4), 4: ("repeat-penalty", 4), 5: ("repeat-last-n", 4),
          6: ("presence-penalty", 4), 7: ("frequency-penalty", 4), 8: ("seed", 8), 9: ("max-tokens", 4), 11: ("ignore-eos", 1)}
FLOAT_WISHES = (0, 2, 3, 4, 6, 7)
STOP = 10
MAX_FRAME = 1 << 24
CODED = 32
# The order in which golden HEADERs have their records; a reader takes any order.
HEADER_ORDER = [2, 4, 6, 8, 10, 12, 14, 3, 5, 1]
HEADER_NEEDED = {2, 4, 6, 8, 10, 12, 14}


class Bad(Exception):
    pass


def make_crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


CRC_TABLE = make_crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


class Reader:
    def __init__(self, data, short="INVALID"):
        self.data, self.at, self.short = data, 0, short

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Bad(self.short)
        self.at += n
        return self.data[self.at - n:self.at]

    def rest(self):
        return self.take(len(self.data) - self.at)

    def done(self):
        return self.at == len(self.data)

    def u8(self):
        return self.take(1)[0]

    def le(self, n):
        return int.from_bytes(self.take(n), "little")

    def varint(self, bits=32):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 127) << shift
            if value >> bits:
                raise Bad("INVALID")
            if byte < 128:
                if shift and byte == 0:
                    raise Bad("INVALID")
                return value
            shift += 7
            if shift >= bits:
                raise Bad("INVALID")


def pack_ids(ids):
    width = max(1, max(ids).bit_length())
    bits = sum(value << i * width for i, value in enumerate(ids))
    packed = bytes([width]) + bits.to_bytes((len(ids) * width + 7) // 8, "little")
    if len(ids) >= 3 and max(ids) < 1 << 24:
        stream = rdids.encode(ids)
        coded = bytes([CODED]) + varint(len(stream)) + stream
        packed = min(packed, coded, key=len)
    return varint(len(ids)) + packed


def unpack_ids(r, n):
    width = r.u8()
    if not (1 <= width <= CODED and 1 <= n <= 65537):
        raise Bad("INVALID")
    if width == CODED:
        try:
            return rdids.decode(r.take(r.varint()), n)
        except rdids.Damage:
            raise Bad("INVALID")
    bits = r.le((n * width + 7) // 8)
    if bits >> n * width:
        raise Bad("INVALID")
    return [bits >> i * width & (1 << width) - 1 for i in range(n)]


def records(data):
    r = Reader(data)
    while not r.done():
        tag = r.varint()
        yield tag, r.take(r.varint())


def record(tag, value):
    return varint(tag) + varint(len(value)) + value


# ---- extension ----

def read_extension(r, f):
    flags = r.u8()
    if flags == 0:
        raise Bad("INVALID")
    if flags & COUNT:
        f["count"] = r.varint()
        if not 2 <= f["count"] <= 65536:
            raise Bad("INVALID")
    if flags & EPOCH:
        f["epoch"] = r.varint()
    for bit, name in ((TRUNCATE, "truncate"), (GIVEN, "given"), (PACKED, "packed")):
        f[name] = int(flags & bit != 0)
    if f["truncate"] and not flags & EPOCH or f["given"] and not flags & IDS:
        raise Bad("INVALID")
    if flags & IDS:
        f["ids"] = unpack_ids(r, r.varint())
        allowed = {f["count"] + 1, 1} if f["given"] else {f["count"]}
        if len(f["ids"]) not in allowed:
            raise Bad("INVALID")
    if flags & FRAGMENT:
        f["fragment"] = (r.varint(), r.varint())
        if f["fragment"][0] >= f["fragment"][1]:
            raise Bad("INVALID")
    if flags & RECORDS:
        for tag, value in records(r.take(r.varint())):
            if tag == 1:
                if len(value) != 8 or f["cookie"]:
                    raise Bad("INVALID")
                f["cookie"] = value
            elif tag % 2 == 0:
                raise Bad("INVALID")


def write_extension(f):
    flags, out = 0, b""
    if f["type"] == "STATES":
        if f["count"] > 1:
            flags |= COUNT
            out += varint(f["count"])
        if f["epoch"] is not None:
            flags |= EPOCH
            out += varint(f["epoch"])
        for bit, name in ((TRUNCATE, "truncate"), (GIVEN, "given"), (PACKED, "packed")):
            flags |= bit if f[name] else 0
        if f["ids"]:
            flags |= IDS
            out += pack_ids(f["ids"])
        if f["fragment"]:
            flags |= FRAGMENT
            out += varint(f["fragment"][0]) + varint(f["fragment"][1])
    elif f["type"] != "HEADER" and f["cookie"]:
        flags |= RECORDS
        value = record(1, f["cookie"])
        out += varint(len(value)) + value
    return bytes([flags]) + out if flags else b""


# ---- types ----

def read_header(body, f):
    seen = set()
    f["wishes"], f["stop"] = {}, None
    for name in ("name", "port", "cookie"):
        f[name] = None
    for tag, value in records(body):
        r = Reader(value)
        if tag < 32 and tag in seen:
            raise Bad("INVALID")
        seen.add(tag)
        if tag == 10:
            f["split"], f["hidden"], f["vocab"] = r.varint(), r.varint(), r.varint()
        elif tag == 12:
            f["next"], f["first"] = r.le(4), r.le(4)
        elif tag == 14:
            f["feedback"] = r.le(1)
        elif tag in (2, 4, 6, 1):
            f[{2: "session", 4: "model", 6: "tokenizer", 1: "cookie"}[tag]] = r.take({2: 16, 1: 8}.get(tag, 32))
        elif tag in (3, 8):
            f["name" if tag == 3 else "codec"] = name_of(value)
        elif tag == 5:
            f["port"] = r.le(2)
        elif tag == 33 + 2 * STOP:
            f["stop"] = (f["stop"] or []) + ([value] if value else [])
            if len(f["stop"]) > 16 or len(value) > 256 or b"\0" in value:
                raise Bad("INVALID")
        elif tag >= 33 and tag % 2 and (tag - 33) // 2 in WISHES:
            if (tag - 33) // 2 in f["wishes"]:
                raise Bad("INVALID")
            f["wishes"][(tag - 33) // 2] = r.take(WISHES[(tag - 33) // 2][1])
            if not r.done():
                raise Bad("INVALID")
        elif tag % 2 == 0:
            raise Bad("INVALID")
    if not HEADER_NEEDED <= seen or not 1 <= f["hidden"] <= 1 << 20 or f["split"] > 65535 or f["vocab"] >= 1 << 31:
        raise Bad("INVALID")
    for number in FLOAT_WISHES:
        bits = f["wishes"].get(number, b"\0\0\0\0")
        if struct.unpack("<I", bits)[0] & 0x7F800000 == 0x7F800000:
            raise Bad("INVALID")


def name_of(value):
    try:
        if 1 <= len(value) <= 63 and b"\0" not in value:
            return value.decode()
    except UnicodeDecodeError:
        pass
    raise Bad("INVALID")


def write_header(f):
    parts = {2: f["session"], 4: f["model"], 6: f["tokenizer"], 8: f["codec"].encode(),
             10: varint(f["split"]) + varint(f["hidden"]) + varint(f["vocab"]), 12: struct.pack("<II", f["next"], f["first"]),
             14: bytes([f["feedback"]])}
    if f["name"]:
        parts[3] = f["name"].encode()
    if f["port"]:
        parts[5] = struct.pack("<H", f["port"])
    if f["cookie"]:
        parts[1] = f["cookie"]
    out = b"".join(record(tag, parts[tag]) for tag in HEADER_ORDER if tag in parts)
    out += b"".join(record(33 + 2 * n, f["wishes"][n]) for n in sorted(f["wishes"]))
    if f["stop"] is not None:
        out += b"".join(record(33 + 2 * STOP, s) for s in f["stop"] or [b""])
    return out


def read_tokens(r, f):
    f["check"], f["instance"], f["epoch"] = r.le(2), r.le(2), r.varint()
    z = r.varint(64)
    f["ack"] = f["position"] + (-(z // 2) - 1 if z & 1 else z // 2)
    f["held"], f["finish"] = r.varint(64), r.u8()
    n = r.varint()
    if f["finish"] > 4 or n > 65536 or not 0 <= f["ack"] < 1 << 32:
        raise Bad("INVALID")
    f["ids"] = unpack_ids(r, n) if n else []
    if not r.done():
        raise Bad("INVALID")


def write_tokens(f):
    delta = f["ack"] - f["position"]
    out = struct.pack("<HH", f["check"], f["instance"]) + varint(f["epoch"])
    out += varint(-2 * delta - 1 if delta < 0 else 2 * delta) + varint(f["held"]) + bytes([f["finish"]])
    return out + (pack_ids(f["ids"]) if f["ids"] else varint(0))


def read_control(r, f):
    subtype = r.u8()
    f["subtype"] = SUBTYPES[subtype] if subtype < len(SUBTYPES) else str(subtype)
    f["check"], f["instance"], f["epoch"] = r.le(2), r.le(2), r.varint()
    f["value"], f["aux"], f["data"] = r.varint(64), r.varint(64), r.rest()
    if len(f["data"]) > 512:
        raise Bad("INVALID")


def write_control(f):
    return (bytes([SUBTYPES.index(f["subtype"])]) + struct.pack("<HH", f["check"], f["instance"]) + varint(f["epoch"])
            + varint(f["value"]) + varint(f["aux"]) + f["data"])


def decode(data):
    r = Reader(data, "TRUNCATED")
    if not SYNC.startswith(data[:2]):
        raise Bad("SYNC")
    r.take(2)
    vtf = r.u8()
    if vtf >> 6 != 1:
        raise Bad("VERSION")
    f = dict(alias=r.u8(), sequence=r.u8(), position=r.varint())
    length = r.varint()
    if r.at + length + 4 > MAX_FRAME:
        raise Bad("INVALID")
    body = Reader(r.take(length))
    end = r.at
    if r.le(4) != crc32c(data[:end]):
        raise Bad("CRC")
    kind = vtf >> 3 & 7
    f["type"] = TYPES[kind] if kind < 4 else str(kind)
    f.update(step=vtf & 1, sample=vtf >> 1 & 1, count=1, epoch=None, truncate=0, given=0, packed=0, ids=[], fragment=None, cookie=b"")
    if vtf & 4:
        read_extension(body, f)
    if kind == 0:
        read_header(body.rest(), f)
    elif kind == 1:
        f["payload"] = body.rest()
        offset, total = f["fragment"] or (0, 1 << 32)
        if f["position"] + f["count"] > 0xFFFFFFFF or f["fragment"] and not 0 < len(f["payload"]) <= total - offset:
            raise Bad("INVALID")
    elif kind == 2:
        read_tokens(body, f)
    elif kind == 3:
        read_control(body, f)
    return f


def encode(f):
    kind = TYPES.index(f["type"])
    extension = write_extension(f)
    body = extension + {"HEADER": write_header, "STATES": lambda f: f["payload"], "TOKENS": write_tokens,
                        "CONTROL": write_control}[f["type"]](f)
    flags = 4 if extension else 0
    if kind == 1:
        flags |= f["step"] | f["sample"] << 1
    out = SYNC + bytes([1 << 6 | kind << 3 | flags, f["alias"], f["sequence"]]) + varint(f["position"]) + varint(len(body)) + body
    return out + struct.pack("<I", crc32c(out))


# ---- text ----

def text_of(value):
    if value is None or value == b"" or value == []:
        return "-"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return ",".join(text_of(v) for v in value)
    return str(value)


KEYS = {
    "STATES": "step sample count epoch truncate given packed ids fragment payload",
    "TOKENS": "check instance epoch ack held finish ids cookie",
    "CONTROL": "subtype check instance epoch value aux data cookie",
    "HEADER": "session model tokenizer codec split hidden vocab next first feedback name port cookie",
}


def describe(f):
    keys = ["type", "alias", "sequence", "position"] + KEYS[f["type"]].split()
    text = " ".join("%s=%s" % (key, text_of(f[key])) for key in keys)
    if f["type"] == "HEADER":
        text += "".join(" %s=%s" % (WISHES[n][0], f["wishes"][n].hex()) for n in sorted(f["wishes"]))
        if f["stop"] is not None:
            text += " stop=" + text_of(f["stop"])
    return text


# ---- golden frames ----

def states(**more):
    f = dict(type="STATES", alias=7, sequence=52, position=0, step=0, sample=0, count=1, epoch=None, truncate=0, given=0, packed=0, ids=[],
             fragment=None, payload=b"\x01\x02\x03", cookie=b"")
    f.update(more)
    return f


def tokens(**more):
    f = dict(type="TOKENS", alias=7, sequence=90, position=120, check=0xBEEF, instance=0x1234, epoch=0, ack=120, held=0, finish=0, ids=[42],
             cookie=b"")
    f.update(more)
    return f


def control(subtype, **more):
    f = dict(type="CONTROL", alias=7, sequence=90, position=120, subtype=subtype, check=0xBEEF, instance=0x1234, epoch=0, value=0, aux=0,
             data=b"", cookie=b"")
    f.update(more)
    return f


def header(**more):
    f = dict(type="HEADER", alias=7, sequence=4, position=0, session=bytes(range(16)), model=bytes(range(32, 64)),
             tokenizer=bytes(range(64, 96)), codec="f16", split=10, hidden=576, vocab=49152, next=0x01020304, first=0x01020300, feedback=1,
             name=None, port=None, cookie=None, wishes={}, stop=None)
    f.update(more)
    return f


# ids as prose has them
PROSE = [504, 2085, 436, 260, 1143, 314, 1194, 28, 284, 260, 2085, 30, 378, 436, 314, 253, 1143, 282, 260, 2085, 28, 527, 260, 1143]


def golden():
    yield states(position=16383, step=1, sample=1, payload=bytes(range(127)))
    yield states(position=16384, step=1, sample=1, payload=bytes(range(128)))
    yield states(payload=b"")
    yield states(position=0xFFFFFFFE, alias=255, sequence=255)
    yield states(count=64, position=64, payload=bytes(200))
    yield states(count=65536, position=1)
    yield states(epoch=0)
    yield states(epoch=0xFFFFFFFF, truncate=1, position=400)
    yield states(packed=1, count=2)
    yield states(step=1, sample=1, given=1, ids=[49151])
    yield states(count=3, sample=1, given=1, ids=[1, 2, 3, 4])
    yield states(count=3, ids=[0, 0, 0])
    yield states(count=5, ids=[1, 0x7FFFFFFF, 0, 77, 0x12345678])
    yield states(fragment=(0, 9), step=1)
    yield states(fragment=(1000000, 1000003), epoch=3, count=7, packed=1, sample=1)
    yield tokens()
    yield tokens(ids=[], finish=3, position=0, ack=7, epoch=9)
    yield tokens(ids=[5, 49151, 17], finish=1, ack=100, held=65536, cookie=bytes(range(8)))
    yield tokens(ids=list(range(300)), finish=2, position=0xFFFF0000, ack=0)
    # coded: prose, many hits, one id only, ids beyond the ranges, wide fields, more recent ids than are kept
    yield tokens(ids=PROSE, ack=120)
    yield states(count=len(PROSE), ids=PROSE, position=64)
    yield states(count=len(PROSE), ids=PROSE + [284], given=1, sample=1)
    yield states(count=1000, ids=[2518] * 1000)
    yield tokens(ids=[260, 284, 65536, 30, 260, (1 << 24) - 1, 28, 65536, 260, 284, 260, 30, 28, 260, 284, 260])
    yield tokens(ids=[49152, 65535, 40000, 260, 28, 30, 260, 28, 30, 49152, 40000, 65535, 260, 28, 30, 284])
    yield tokens(ids=([260, 28, 284, 30] * 20 + list(range(9000, 9070)) + list(range(9000, 9070)) + [260, 28] * 60))
    for number, subtype in enumerate(SUBTYPES):
        yield control(subtype, value=number, aux=(1 << 64) - 1 if number == 3 else number * 100, epoch=number * 1000)
    yield control("REPLAY", data=bytes([0b10110100, 0, 1]), cookie=bytes(range(8, 16)))
    yield control("ERROR", data="Es fehlen Gewichte für Block 15".encode(), check=1)
    yield control("ACK", data=b"", position=0xFFFFFFFF, value=(1 << 64) - 1)
    yield header()
    yield header(name="SmolLM2-135M", port=5001, cookie=bytes(range(1, 9)), feedback=0, stop=[])
    wishes = {n: struct.pack("<f", 0.5 + n) for n in FLOAT_WISHES}
    wishes.update({1: struct.pack("<i", 40), 5: struct.pack("<i", -1), 8: struct.pack("<Q", (1 << 63) + 5), 9: struct.pack("<I", 256),
                   11: b"\1"})
    yield header(wishes=wishes, stop=["\n\n".encode(), "Fin à".encode()], codec="file:0123456789abcdef", hidden=1 << 20, vocab=(1 << 31) - 1)


def sealed(body, vtf=0x4C, position=b"\0", length=None):
    out = SYNC + bytes([vtf, 7, 52]) + position + (varint(len(body)) if length is None else length) + body
    return out + struct.pack("<I", crc32c(out))


def tokens_body(n, stream):
    return b"\xef\xbe\x34\x12\0\0\0\0" + varint(n) + bytes([CODED]) + varint(len(stream)) + stream


def refused(stream, n):
    """The streams with one bit changed that cannot be; not every change is noticed, which is the checksum's work."""
    for bit in range(8 * len(stream)):
        changed = (int.from_bytes(stream, "little") ^ 1 << bit).to_bytes(len(stream), "little")
        try:
            rdids.decode(changed, n)
        except rdids.Damage:
            yield changed


def bad():
    whole = encode(states())
    yield "SYNC", b"\x7e" + whole
    yield "SYNC", b"\xfd\x7f" + whole[2:]
    yield "TRUNCATED", b"\xfd"
    yield "TRUNCATED", whole[:6]
    yield "TRUNCATED", whole[:-1]
    yield "CRC", whole[:-1] + bytes([whole[-1] ^ 1])
    yield "VERSION", sealed(b"", vtf=0x88)
    yield "VERSION", sealed(b"", vtf=0x08)
    yield "INVALID", sealed(b"", position=b"\x80\0")
    yield "INVALID", sealed(b"", position=b"\xff\xff\xff\xff\x10")
    yield "INVALID", sealed(b"", length=b"\xff\xff\xff\xff\x0f")
    yield "INVALID", sealed(b"\0abc")
    yield "INVALID", sealed(b"\1\1abc")
    yield "INVALID", sealed(b"\1" + varint(65537))
    yield "INVALID", sealed(b"\4abc")
    yield "INVALID", sealed(b"\x08abc")
    yield "INVALID", sealed(b"\x20\2\1\3")
    yield "INVALID", sealed(b"\x20\1\0\0")
    yield "INVALID", sealed(b"\x20\1\x20\0\0\0\0")
    yield "INVALID", sealed(b"\x20\1\1\2")
    yield "INVALID", sealed(b"\x20\1\x21\0\0\0\0")
    stream = rdids.encode(PROSE)
    for text in [b""] + list(refused(stream, 24))[::8]:
        yield "INVALID", sealed(b"\x21" + varint(24) + varint(24) + b"\x20" + varint(len(text)) + text)
    yield "INVALID", sealed(b"\x21" + varint(24) + varint(24) + b"\x20" + varint(len(stream) + 1) + stream)
    # more ids than so few bytes can hold
    yield "INVALID", sealed(b"\x21" + varint(65536) + varint(65536) + b"\x20\4\xff\xff\xff\x7f")
    # a hit in the first place, where nothing is recent
    yield "INVALID", sealed(tokens_body(1, rdids.rdrans.encode(rdids.TABLES, 1, [0, 4], [rdids.HIT, 0])), vtf=0x50)
    yield "INVALID", sealed(b"\x40\3\3abc")
    yield "INVALID", sealed(b"\x40\0\2abc")
    yield "INVALID", sealed(b"\x40\0\2")
    yield "INVALID", sealed(b"\x80\3\2\1xabc")
    yield "INVALID", sealed(b"\x80\3\1\1xabc")
    yield "INVALID", sealed(b"\x80\7\3\1xabc")
    yield "INVALID", sealed(b"", position=b"\xff\xff\xff\xff\x0f", vtf=0x48)
    yield "INVALID", sealed(b"\0\0\0\0\0\0\0\5\0", vtf=0x50)
    yield "INVALID", sealed(b"\0\0\0\0\0\1\0\0\0", vtf=0x50)
    yield "INVALID", sealed(b"\0\0\0\0\0\0\0\0\0\0", vtf=0x50)
    yield "INVALID", sealed(b"\0\0\0\0\0\0\0", vtf=0x58)
    yield "INVALID", sealed(bytes(8) + bytes(513), vtf=0x58)


def bad_headers():
    good = write_header(header())
    yield good[18:]
    yield good + record(2, bytes(16))
    yield good + record(16, b"")
    yield good + record(5, b"\1")
    yield good + record(1, bytes(7))
    yield good + record(3, b"")
    yield good + record(3, b"a\0b")
    yield good + record(3, b"a" * 64)
    yield good + record(3, b"\xff\xfe")
    yield good + record(33, b"\0\0\xc0\x7f")
    yield good + record(33, bytes(4)) * 2
    yield good + record(33, bytes(5))
    yield good + record(35, bytes(3))
    yield good + record(53, b"x") * 17
    yield good + record(53, b"x" * 257)
    yield good + record(53, b"a\0b")
    yield good + b"\x05"
    yield good + b"\x05\x03ab"
    yield write_header(header(codec=""))
    yield write_header(header(hidden=0))
    yield write_header(header(hidden=(1 << 20) + 1))
    yield write_header(header(split=65536))
    yield write_header(header(vocab=1 << 31))


def make():
    for f in golden():
        print(encode(f).hex(), describe(f))
    for code, data in bad():
        print("bad", code, data.hex())
    for body in bad_headers():
        print("bad INVALID", sealed(body, vtf=0x40).hex())


def check(path):
    lines = open(path, encoding="utf-8").read().splitlines()
    for number, line in enumerate(lines, 1):
        words = line.split(" ", 2) if line.startswith("bad ") else line.split(" ", 1)
        try:
            f = decode(bytes.fromhex(words[-1] if words[0] == "bad" else words[0]))
            result = describe(f)
            if encode(f).hex() != words[0]:
                result = "other bytes"
        except Bad as error:
            result = "bad %s" % error
        expected = "bad " + words[1] if words[0] == "bad" else words[1]
        if result != expected:
            sys.exit("%s:%d: %s\nexpected %s" % (path, number, result, expected))
    print("%d frames agree" % len(lines))


if __name__ == "__main__":
    if sys.argv[1:] == ["make"]:
        make()
    elif len(sys.argv) == 3 and sys.argv[1] == "check":
        check(sys.argv[2])
    else:
        sys.exit(__doc__)
