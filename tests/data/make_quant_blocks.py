"""Makes tests/data/quant_blocks.json: small weights of every stored format, and the numbers that other libraries read from them.

Usage: python make_quant_blocks.py tests/data    (needs numpy, gguf and mlx; seconds)

gguf reads random blocks of its own types and mlx what it quantised itself. No small library reads GPTQ, AWQ and NF4 on its own: their cases
are packed here from random integers, as the documentation of AutoGPTQ, AutoAWQ and bitsandbytes has it, and their numbers come from the integers.
"""
import json
import pathlib
import sys

import gguf
import mlx.core as mx
import numpy as np

rng = np.random.default_rng(7)
cases = []


def add(name, outputs, inputs, group, parts, values):
    assert values.shape == (outputs, inputs) and values.dtype == np.float32 and np.isfinite(values).all()
    cases.append({"format": name, "outputs": outputs, "inputs": inputs, "group": group,
                  "parts": [{"dtype": t, "shape": list(p.shape), "data": p.tobytes().hex()} for t, p in parts],
                  "values": np.ascontiguousarray(values).tobytes().hex()})


# Where a block of a type has f16 numbers; in mxfp4 the first byte is an exponent.
FLOATS = {"q4_0": [0], "q8_0": [0], "q4_k": [0, 2], "q5_k": [0, 2], "q6_k": [208], "iq4_nl": [0], "mxfp4": []}
for name, places in FLOATS.items():
    kind = gguf.GGMLQuantizationType[name.upper()]
    block, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (2, 256 // block if block == 256 else 2, size), dtype=np.uint8)
    for at in places:
        scales = rng.normal(size=blocks.shape[:2]).astype(np.float16)
        scales[0, 0] = np.float16(3e-7)  # no normal number
        blocks[..., at:at + 2] = scales[..., None].view(np.uint8)
    if name == "mxfp4":
        blocks[..., 0] = [[0, 1], [127, 250]]
    rows = blocks.reshape(2, -1)
    add(name, 2, blocks.shape[1] * block, 0, [("u8", rows)], gguf.quants.dequantize(rows, kind).astype(np.float32))

for bits, group, dtype, label in ((4, 32, mx.float32, "f32"), (4, 64, mx.float16, "f16"), (8, 128, mx.float32, "f32")):
    weight = mx.array(rng.normal(size=(3, 128)).astype(np.float32)).astype(dtype)
    codes, scales, biases = mx.quantize(weight, group_size=group, bits=bits)
    numbers = mx.dequantize(codes, scales.astype(mx.float32), biases.astype(mx.float32), group_size=group, bits=bits)
    parts = [("u8", np.array(codes).view(np.uint8).reshape(3, -1)), (label, np.array(scales)), (label, np.array(biases))]
    add(f"affine{bits}", 3, 128, group, parts, np.array(numbers))


def words(integers, order):
    """Packs eight integers of 4 bits along the last axis into words; integer k goes to place order[k]."""
    shifted = integers.reshape(*integers.shape[:-1], -1, 8).astype(np.uint32) << (4 * np.array(order, dtype=np.uint32))
    return np.bitwise_or.reduce(shifted, axis=-1).astype(np.uint32).view(np.int32)


OUTPUTS, INPUTS, GROUP = 16, 24, 8
PLAIN, EVEN_FIRST = range(8), [0, 4, 1, 5, 2, 6, 3, 7]
for name, permuted in (("gptq4", True), ("gptq4", False), ("awq4", False)):
    order = EVEN_FIRST if name == "awq4" else PLAIN
    codes = rng.integers(0, 16, (INPUTS, OUTPUTS))
    zeros = rng.integers(0, 16, (INPUTS // GROUP, OUTPUTS))
    scales = rng.normal(size=zeros.shape).astype(np.float16)
    groups = np.arange(INPUTS, dtype=np.int32) // GROUP
    if permuted:
        groups = rng.permutation(groups).astype(np.int32)
    packed = np.ascontiguousarray(words(codes.T, order).T) if name == "gptq4" else words(codes, order)
    parts = [("i32", packed), ("f16", scales), ("i32", words(zeros, order))] + ([("i32", groups)] if permuted else [])
    less = zeros[groups] + (1 if name == "gptq4" else 0)
    add(name, OUTPUTS, INPUTS, GROUP, parts, ((codes - less).astype(np.float32) * scales[groups].astype(np.float32)).T.copy())

NF4 = np.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
                -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
                0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0], dtype=np.float32)
codes, scale = rng.integers(0, 16, (4, 96)), rng.integers(0, 256, 6, dtype=np.uint8)
table, outer, offset = np.sort(rng.normal(size=256)).astype(np.float32), np.array([0.3], np.float32), np.array(0.7, np.float32)
flat = codes.reshape(-1)
packed = (flat[0::2] << 4 | flat[1::2]).astype(np.uint8)
of_code = np.repeat(table[scale] * outer[0] + offset, 64)
add("nf4", 4, 96, 0, [("u8", packed), ("u8", scale), ("f32", table), ("f32", outer), ("f32", offset)],
    (NF4[flat] * of_code).astype(np.float32).reshape(4, 96))

text = ",\n".join(json.dumps(case) for case in cases)
(pathlib.Path(sys.argv[1]) / "quant_blocks.json").write_text(f'{{"cases": [\n{text}\n]}}\n')
