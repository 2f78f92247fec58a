"""Weights, adapters and token ids by formula for models of real sizes: what tests/support/whole_model.cc computes too, so that none of it is stored.

Every tensor has a name, and number i of it is made of the 32 bits mix(hash(name) + i): mix is the finaliser of MurmurHash3, hash is FNV-1a.
Weights are (low byte + next byte - 255) * 2^-e, a triangle around 0 of integers up to 255, which bf16 holds exactly; weights of norms are
1 + (bits % 32 - 16) / 128.

A weight is rounded to 8 bits by one scale a row, f32: the largest magnitude / 127; numbers are round(w * (1 / scale)), half to even. To 4 bits
by one scale for each 32 numbers of a row: of 18 candidates (+ or -) at / largest with at = 5.5, 6, 6.5, 7, 7.25, 7.5, 7.75, 8, 8.5 the first
whose numbers q = round(w * candidate), cut to -8..7, explain most: (sum w q)^2 / sum q^2; the scale is f16(sum w q / sum q^2), and the numbers
are rounded again with its reciprocal. All steps are in f32, and the sums are exact.
"""
import numpy as np

MULTIPLIERS = (np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35))
LARGEST_AT = (5.5, 6.0, 6.5, 7.0, 7.25, 7.5, 7.75, 8.0, 8.5)
GROUP = 32


def mix(x):
    x = x ^ (x >> np.uint32(16))
    x = x * MULTIPLIERS[0]
    x = x ^ (x >> np.uint32(13))
    x = x * MULTIPLIERS[1]
    return x ^ (x >> np.uint32(16))


def hash_of(name):
    h = 2166136261
    for byte in name.encode():
        h = (h ^ byte) * 16777619 & 0xFFFFFFFF
    return h


def bits(name, count, first=0):
    index = np.arange(first, first + count, dtype=np.uint64) + np.uint64(hash_of(name))
    return mix((index & np.uint64(0xFFFFFFFF)).astype(np.uint32))


def triangle(name, shape, exponent):
    b = bits(name, int(np.prod(shape)))
    whole = (b & np.uint32(255)).astype(np.int32) + ((b >> np.uint32(8)) & np.uint32(255)).astype(np.int32) - 255
    return (whole.astype(np.float32) * np.float32(2.0**-exponent)).reshape(shape)


def norm_weight(name, shape):
    return (1 + ((bits(name, int(np.prod(shape))) & np.uint32(31)).astype(np.float32) - 16) / np.float32(128)).reshape(shape)


def weight(name, shape, tied):
    """Of a model's tensor, by the kind that its name tells."""
    if "norm" in name.lower():
        return triangle(name, shape, 9) if name.endswith("bias") else norm_weight(name, shape)
    if name.endswith("bias"):
        return triangle(name, shape, 9)
    if "embed" in name:
        return triangle(name, shape, 11 if tied else 7)
    return triangle(name, shape, 12 if shape[-1] > 1024 else 11)


def adapter_factor(path, factor, shape):
    """Factor A (rank, in) or B (out, rank) of the layer at `path`."""
    rank = shape[0] if factor == "A" else shape[1]
    return triangle(f"{path}.lora_{factor}.{rank}", shape, 12 if factor == "A" else 10)


def ids(name, count, vocabulary):
    return ((bits(name, count) >> np.uint32(4)) % np.uint32(vocabulary)).astype(np.int64)


def checksum(array):
    """Sum of mix(256 i + byte i), of the bytes of an array; 32 bits."""
    data = np.frombuffer(np.ascontiguousarray(array).tobytes(), dtype=np.uint8)
    index = (np.arange(len(data), dtype=np.uint64) * np.uint64(256) + data) & np.uint64(0xFFFFFFFF)
    return int(mix(index.astype(np.uint32)).sum(dtype=np.uint64) & np.uint64(0xFFFFFFFF))


def signs(name, rows, columns, first_row):
    """+1 or -1 for each number of a block of rows of a matrix."""
    b = bits(name, rows * columns, first_row * columns)
    return (1.0 - 2.0 * ((b >> np.uint32(7)) & np.uint32(1))).reshape(rows, columns)


def round8(w):
    """Numbers (rows, columns) and scales (rows, 1), f32."""
    scale = (np.abs(w).max(axis=1, keepdims=True) / np.float32(127)).astype(np.float32)
    factor = (np.float32(1) / scale).astype(np.float32)
    return np.rint(np.clip(w * factor, -127, 127)).astype(np.int8), scale


def round4(w):
    """Numbers (rows, columns) and scales (rows, columns / 32), f16."""
    groups = w.reshape(w.shape[0], -1, GROUP)
    largest = np.abs(groups).max(axis=2)
    best, scale = np.zeros_like(largest), np.zeros_like(largest)

    def whole(factor):
        return np.clip(np.rint(groups * factor[..., None]), np.float32(-8), np.float32(7))

    for at in LARGEST_AT:
        for signed in (np.float32(at), np.float32(-at)):
            q = whole((signed / largest).astype(np.float32))
            p = (groups * q).sum(axis=2, dtype=np.float64).astype(np.float32)
            s = (q * q).sum(axis=2, dtype=np.float64).astype(np.float32)
            explained = (p * p / s).astype(np.float32)
            better = explained > best
            best, scale = np.where(better, explained, best), np.where(better, (p / s).astype(np.float32), scale)
    scale = scale.astype(np.float16)
    q = whole((np.float32(1) / scale.astype(np.float32)).astype(np.float32))
    return q.reshape(w.shape).astype(np.int8), scale


def packed4(q):
    """Two numbers a byte, 8 above themselves, the first in the lower half."""
    u = (q.astype(np.int16) + 8).astype(np.uint8)
    return u[:, 0::2] | (u[:, 1::2] << 4)


def bits_of(name, columns, quantization):
    """Bits that Lazuli keeps of a matrix; 0: it stays as it is."""
    if quantization == "none" or name.endswith("position_embeddings.weight") or name.endswith("token_type_embeddings.weight"):
        return 0
    sensitive = ("embed", "lm_head", "k_proj", "v_proj", "o_proj")
    if quantization == "int8" or any(part in name for part in sensitive) or columns % GROUP:
        return 8
    return 4


def dequantized(name, w, quantization):
    keep = bits_of(name, w.shape[1], quantization)
    if keep == 0:
        return w
    if keep == 8:
        q, scale = round8(w)
        return q.astype(np.float32) * scale
    q, scale = round4(w)
    return (q.reshape(w.shape[0], -1, GROUP) * scale.astype(np.float32)[..., None]).reshape(w.shape).astype(np.float32)
