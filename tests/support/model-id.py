#!/usr/bin/env python3
"""Prints the model id of a whole GGUF model, written apart from models/ids.c to check its format.

usage: model-id.py FILE TOKENIZER_ID      (TOKENIZER_ID "" for a model without a tokenizer)
"""
import hashlib
import math
import struct
import sys

VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9
BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 12: (256, 144),
          13: (256, 176), 14: (256, 210), 30: (1, 2)}


def unpack(form, data, at):
    return (*struct.unpack_from("<" + form, data, at), at + struct.calcsize("<" + form))


def read_string(data, at):
    size, at = unpack("Q", data, at)
    return data[at:at + size], at + size


def skip_value(data, kind, at):
    if kind == STRING:
        return read_string(data, at)[1]
    if kind == ARRAY:
        kind, n, at = unpack("IQ", data, at)
        for _ in range(n):
            at = skip_value(data, kind, at)
        return at
    return at + VALUE_BYTES[kind]


def read(data):
    n_tensors, n_keys, at = unpack("QQ", data, 8)
    keys, tensors, alignment = {}, [], 32
    for _ in range(n_keys):
        key, at = read_string(data, at)
        kind, at = unpack("I", data, at)
        end = skip_value(data, kind, at)
        keys[key] = (kind, data[at:end])
        at = end
    if b"general.alignment" in keys:
        alignment = struct.unpack("<I", keys[b"general.alignment"][1])[0]
    for _ in range(n_tensors):
        name, at = read_string(data, at)
        n_dims, at = unpack("I", data, at)
        *dims, kind, offset, at = unpack(f"{n_dims}QIQ", data, at)
        block, width = BLOCKS[kind]
        tensors.append((name, kind, dims + [1] * (4 - n_dims), offset, math.prod(dims) // block * width))
    return keys, tensors, -(-at // alignment) * alignment


def samples(content):
    if len(content) <= 256:
        return content
    stride = (len(content) - 64) // 3
    return b"".join(content[i * stride:i * stride + 64] for i in range(3)) + content[-64:]


def model_id(data, tokenizer_id):
    keys, tensors, start = read(data)
    result = hashlib.sha256()

    def put_string(content):
        result.update(struct.pack("<Q", len(content)) + content)

    put_string(b"split-transformer model id 1")
    architecture = keys[b"general.architecture"][1][8:]
    put_string(architecture)
    own = sorted(key for key in keys if key.startswith(architecture + b"."))
    result.update(struct.pack("<Q", len(own)))
    for key in own:
        put_string(key)
        result.update(struct.pack("<I", keys[key][0]))
        put_string(keys[key][1])
    put_string(tokenizer_id)
    result.update(struct.pack("<Q", len(tensors)))
    for name, kind, dims, offset, size in sorted(tensors):
        put_string(name)
        result.update(struct.pack("<I4Q", kind, *dims))
        content = data[start + offset:start + offset + size]
        result.update(hashlib.sha256(samples(content)).digest())
    return result.hexdigest()


if __name__ == "__main__":
    print(model_id(open(sys.argv[1], "rb").read(), sys.argv[2].encode()))
