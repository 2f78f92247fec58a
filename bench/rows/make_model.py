"""Writes folders of models with random weights in the shapes that the comparisons use. Needs numpy alone."""
import json
import pathlib
import shutil
import struct

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHAPES = {
    "qwen2.5-0.5b": dict(vocab_size=151936, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
                         num_key_value_heads=2, max_position_embeddings=32768, rope_theta=1000000.0, tie_word_embeddings=True),
    "1gb": dict(vocab_size=32768, hidden_size=1024, intermediate_size=2816, num_hidden_layers=19, num_attention_heads=16,
                num_key_value_heads=4, max_position_embeddings=2048, rope_theta=10000.0, tie_word_embeddings=True),
    "small": dict(vocab_size=4096, hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=4,
                  num_key_value_heads=2, max_position_embeddings=2048, rope_theta=10000.0, tie_word_embeddings=True),
}
DTYPES = {"f16": ("F16", "float16"), "bf16": ("BF16", "bfloat16")}  # by the end of a shape's name


def tensors(c):
    """Names and shapes, in the order of the file."""
    size, inner, head = c["hidden_size"], c["intermediate_size"], c["hidden_size"] // c["num_attention_heads"]
    kv = head * c["num_key_value_heads"]
    yield "model.embed_tokens.weight", (c["vocab_size"], size)
    for k in range(c["num_hidden_layers"]):
        layer = f"model.layers.{k}."
        for name, rows in (("q", size), ("k", kv), ("v", kv)):
            yield f"{layer}self_attn.{name}_proj.weight", (rows, size)
            yield f"{layer}self_attn.{name}_proj.bias", (rows,)
        yield f"{layer}self_attn.o_proj.weight", (size, size)
        for name in ("gate", "up"):
            yield f"{layer}mlp.{name}_proj.weight", (inner, size)
        yield f"{layer}mlp.down_proj.weight", (size, inner)
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{layer}{name}.weight", (size,)
    yield "model.norm.weight", (size,)


def encoded(values, dtype):
    """The bytes of float32 numbers in the dtype, rounded to nearest even."""
    import numpy
    if dtype == "BF16":
        bits = values.view(numpy.uint32)
        return ((bits + (((bits >> 16) & 1) + 0x7fff)) >> 16).astype(numpy.uint16).tobytes()
    return values.astype(numpy.float16 if dtype == "F16" else numpy.float32).tobytes()


def make_model(folder, shape):
    """A qwen2 model in float32, or in f16 or bf16 where the shape's name ends so; nothing is done when the folder has one."""
    import numpy
    folder = pathlib.Path(folder)
    if (folder / "config.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    suffix = shape.rpartition("-")[2]
    dtype, torch_dtype = DTYPES.get(suffix, ("F32", "float32"))
    shape = shape.removesuffix("-" + suffix) if suffix in DTYPES else shape
    config = dict(SHAPES[shape], architectures=["Qwen2ForCausalLM"], model_type="qwen2", rms_norm_eps=1e-6, hidden_act="silu",
                  use_sliding_window=False, dtype=torch_dtype, bos_token_id=0, eos_token_id=0)
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, dims in tensors(config):
        bytes_ = (4 if dtype == "F32" else 2) * int(numpy.prod(dims))
        header[name] = {"dtype": dtype, "shape": list(dims), "data_offsets": [offset, offset + bytes_]}
        offset += bytes_
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    random = numpy.random.default_rng(0)
    with open(folder / "model.safetensors.part", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, dims in tensors(config):
            values = random.standard_normal(dims, dtype=numpy.float32) * 0.02
            file.write(encoded(values + 1 if "norm" in name else values, dtype))
    (folder / "model.safetensors.part").rename(folder / "model.safetensors")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(ROOT / "models/pycoder-16m" / name, folder)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    return folder
