"""tinygguf.py - reads and writes GGUF files with nothing but numpy.

Written from the published format (version 3: header, key-values, tensor table, aligned data), so
that the reference shares no line with the engine's reader. Tensors come back as float32 whatever
their type; a shape is in numpy's order (rows, inputs), the reverse of the file's.

Limits: little-endian, whole file in memory, types of TYPES only. Errors are Python exceptions."""
import struct

import numpy as np

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
SCALAR = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?",
          U64: "Q", I64: "q", F64: "d"}
ALIGNMENT = 32


# ---- tensor types: id -> (name, weights in a block, bytes of a block, decoder of blocks) ----

def _half(blocks, at):
    return np.ascontiguousarray(blocks[:, at:at + 2]).view("<f2").astype(np.float32)


def _nibbles(qs):
    """Bytes -> low nibbles, then high ones: as the 32-weight types order them."""
    return np.concatenate([qs & 15, qs >> 4], axis=1)


def _fifth_bits(qh):
    return np.unpackbits(qh, axis=1, bitorder="little")


def _q4_0(b):
    return _half(b, 0) * (_nibbles(b[:, 2:]).astype(np.float32) - 8)


def _q4_1(b):
    return _half(b, 0) * _nibbles(b[:, 4:]).astype(np.float32) + _half(b, 2)


def _q5_0(b):
    q = _nibbles(b[:, 6:]) | _fifth_bits(b[:, 2:6]) << 4
    return _half(b, 0) * (q.astype(np.float32) - 16)


def _q5_1(b):
    q = _nibbles(b[:, 8:]) | _fifth_bits(b[:, 4:8]) << 4
    return _half(b, 0) * q.astype(np.float32) + _half(b, 2)


def _q8_0(b):
    return _half(b, 0) * b[:, 2:].view(np.int8).astype(np.float32)


def _k_scales(s):
    """12 bytes -> eight 6-bit scales, eight 6-bit minima."""
    low, mid, high = s[:, 0:4], s[:, 4:8], s[:, 8:12]
    scale = np.concatenate([low & 63, (high & 15) | (low >> 6) << 4], axis=1)
    least = np.concatenate([mid & 63, (high >> 4) | (mid >> 6) << 4], axis=1)
    return scale.astype(np.float32), least.astype(np.float32)


def _k_nibbles(qs):
    """128 bytes -> [8 sub-blocks][32]."""
    runs = qs.reshape(-1, 4, 1, 32)
    return np.concatenate([runs & 15, runs >> 4], axis=2).reshape(-1, 8, 32)


def _k_weights(b, q):
    scale, least = _k_scales(b[:, 4:16])
    w = (_half(b, 0) * scale)[:, :, None] * q.astype(np.float32)
    return (w - (_half(b, 2) * least)[:, :, None]).reshape(-1, 256)


def _q4_k(b):
    return _k_weights(b, _k_nibbles(b[:, 16:]))


def _q5_k(b):
    bits = b[:, 16:48, None] >> np.arange(8, dtype=np.uint8) & 1
    return _k_weights(b, _k_nibbles(b[:, 48:]) | bits.transpose(0, 2, 1) << 4)


def _q6_k(b):
    ql, qh = b[:, :128].reshape(-1, 2, 2, 32), b[:, 128:192].reshape(-1, 2, 32)
    quarters = []
    for c in range(4):
        low = ql[:, :, c % 2] >> 4 * (c // 2) & 15
        quarters.append(low | (qh >> 2 * c & 3) << 4)
    q = np.stack(quarters, axis=2).reshape(-1, 16, 16).astype(np.float32) - 32
    scale = b[:, 192:208].view(np.int8).astype(np.float32)
    return ((_half(b, 208) * scale)[:, :, None] * q).reshape(-1, 256)


TYPES = {
    0: ("F32", 1, 4, lambda b: b.view("<f4")),
    1: ("F16", 1, 2, lambda b: b.view("<f2").astype(np.float32)),
    30: ("BF16", 1, 2, lambda b: (b.view("<u2").astype(np.uint32) << 16).view(np.float32)),
    2: ("Q4_0", 32, 18, _q4_0),
    3: ("Q4_1", 32, 20, _q4_1),
    6: ("Q5_0", 32, 22, _q5_0),
    7: ("Q5_1", 32, 24, _q5_1),
    8: ("Q8_0", 32, 34, _q8_0),
    12: ("Q4_K", 256, 144, _q4_k),
    13: ("Q5_K", 256, 176, _q5_k),
    14: ("Q6_K", 256, 210, _q6_k),
}
IDS = {row[0]: number for number, row in TYPES.items()}


def decode(kind, raw, shape):
    """Raw bytes of one tensor -> float32 array."""
    _, _, size, blocks = TYPES[kind]
    raw = np.frombuffer(raw, dtype=np.uint8).reshape(-1, size)
    return np.ascontiguousarray(blocks(raw), dtype=np.float32).reshape(shape)


# ---- reading ----

class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, code):
        value, = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def string(self):
        n = self.take("Q")
        self.at += n
        return bytes(self.data[self.at - n:self.at]).decode("utf-8", "surrogateescape")

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            inner, n = self.take("I"), self.take("Q")
            return [self.value(inner) for _ in range(n)]
        return self.take(SCALAR[kind])


class File:
    """kv: key -> value. Tensors are decoded when asked for, so that a large file fits."""

    def __init__(self, path):
        self.data = np.memmap(path, dtype=np.uint8, mode="r")
        r = _Reader(memoryview(self.data))
        if r.take("I") != 0x46554747 or r.take("I") not in (2, 3):
            raise ValueError(f"{path}: not GGUF version 2 or 3")
        tensors, keys = r.take("Q"), r.take("Q")
        self.kv = {}
        for _ in range(keys):
            name = r.string()
            self.kv[name] = r.value(r.take("I"))
        self.tensors = {}
        for _ in range(tensors):
            name = r.string()
            shape = [r.take("Q") for _ in range(r.take("I"))]
            self.tensors[name] = (r.take("I"), shape[::-1], r.take("Q"))
        alignment = self.kv.get("general.alignment", ALIGNMENT)
        self.base = (r.at + alignment - 1) // alignment * alignment

    def __contains__(self, name):
        return name in self.tensors

    def is_quantized(self, name):
        return TYPES[self.tensors[name][0]][1] > 1

    def __getitem__(self, name):
        kind, shape, offset = self.tensors[name]
        _, weights, size, _ = TYPES[kind]
        n = int(np.prod(shape)) // weights * size
        return decode(kind, self.data[self.base + offset:self.base + offset + n], shape)


# ---- writing ----

def _kind(value):
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return U32
    if isinstance(value, float):
        return F32
    return STRING if isinstance(value, str) else ARRAY


def _string(text):
    raw = text.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(raw)) + raw


def _value(value, kind):
    if kind == STRING:
        return _string(value)
    if kind == ARRAY:
        inner = I32 if value and _kind(value[0]) == U32 else _kind(value[0])
        return struct.pack("<IQ", inner, len(value)) + b"".join(_value(v, inner) for v in value)
    return struct.pack("<" + SCALAR[kind], value)


def encode(array, kind):
    """Float array -> raw bytes of a float type. (Block types are written as raw bytes.)"""
    if kind == "F32":
        return array.astype("<f4").tobytes()
    if kind == "F16":
        return array.astype("<f2").tobytes()
    if kind == "BF16": # truncated: any BF16 number will do for a test
        return (array.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    raise ValueError(kind)


def write(path, kv, tensors):
    """tensors: list of (name, type name, shape in numpy's order, raw bytes)."""
    head = [struct.pack("<IIQQ", 0x46554747, 3, len(tensors), len(kv))]
    for key, value in kv.items():
        kind = _kind(value)
        head += [_string(key), struct.pack("<I", kind), _value(value, kind)]
    offset, body = 0, []
    for name, kind, shape, raw in tensors:
        dims = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        head += [_string(name), dims, struct.pack("<IQ", IDS[kind], offset)]
        body.append(raw + bytes(-len(raw) % ALIGNMENT))
        offset += len(body[-1])
    head = b"".join(head)
    with open(path, "wb") as out:
        out.write(head + bytes(-len(head) % ALIGNMENT) + b"".join(body))
