"""llama.cpp beside Lazuli: writes the GGUF file of a model folder (package `gguf`) and times it through llama-cpp-python or, where that is
not installed, through xllamacpp, which comes built. Rows: prefill_512, decode, load_first_token, with _f16, _int8 (Q8_0), _int4 (Q4_0)."""
import importlib.util
import json
import pathlib

TYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16", "int8": "Q8_0", "int4": "Q4_0"}
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
         "post_attention_layernorm": "ffn_norm"}
PROMPT, TOKENS = 512, 16


class Missing(Exception):
    """The peer is not installed, or has no such row."""


def split_row(row):
    """The work and the type of the weights: decode_int8 is ("decode", "int8")."""
    work, _, kind = row.rpartition("_")
    return (work, kind) if kind in TYPES else (row, "f32")


def name_in_gguf(name):
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    layer, rest = name.removeprefix("model.layers.").split(".", 1)
    module, suffix = rest.rsplit(".", 1)
    return f"blk.{layer}.{NAMES[module]}.{suffix}"


def bytes_of_vocabulary():
    """One character for each byte, as in the vocabulary of GPT-2."""
    shown = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b]
    hidden = [b for b in range(256) if b not in shown]
    return [chr(b) for b in shown] + [chr(256 + k) for k in range(len(hidden))]


def tensors_of(folder):
    import numpy
    path = folder / "model.safetensors"
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    for name, t in header.items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            kind = {"F32": numpy.float32, "F16": numpy.float16, "BF16": numpy.uint16}[t["dtype"]]
            values = numpy.memmap(path, kind, "r", 8 + size + begin, ((end - begin) // numpy.dtype(kind).itemsize,)).reshape(t["shape"])
            if t["dtype"] == "BF16":
                values = (values.astype(numpy.uint32) << 16).view(numpy.float32)
            yield name, values.astype(numpy.float32, copy=False)


def make_gguf(folder, kind):
    """The file of the weights in `folder` (qwen2), made once. The embeddings, which are the last product too, get 8 bits beside 4."""
    folder = pathlib.Path(folder)
    path = folder / f"{kind}.gguf"
    if path.exists():
        return path
    import gguf
    import gguf.quants
    config = json.loads((folder / "config.json").read_text())
    part = folder / f"{kind}.gguf.part"
    writer = gguf.GGUFWriter(part, "qwen2", use_temp_file=True)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    words = bytes_of_vocabulary()
    words += [f"word{k}" for k in range(config["vocab_size"] - len(words))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(words)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(words))
    writer.add_token_merges([f"{words[0]} {words[1]}"])
    writer.add_eos_token_id(len(words) - 1)
    for name, values in tensors_of(folder):
        wanted = "F32" if values.ndim == 1 else "Q8_0" if kind == "int4" and "embed_tokens" in name else TYPES[kind]
        type_ = gguf.GGMLQuantizationType[wanted]
        writer.add_tensor(name_in_gguf(name), gguf.quants.quantize(values, type_), raw_dtype=type_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.rename(path)
    return path


def ids_of(count):
    return [(k * 7919 + 13) % 4096 + 256 for k in range(count)]


def python_worker(work, path, threads):
    """llama-cpp-python; its seconds are those of the calls."""
    import llama_cpp

    def load():
        return llama_cpp.Llama(model_path=str(path), n_ctx=PROMPT + TOKENS, n_batch=PROMPT, n_threads=threads, n_threads_batch=threads,
                               verbose=False)

    def first_token():
        llama = load()
        llama.eval(ids_of(4))
        llama.sample(temp=0)
    if work == "load_first_token":
        return first_token
    llama = load()

    def prefill():
        llama.reset()
        llama.eval(ids_of(PROMPT))

    def token():
        if llama.n_tokens == 0 or llama.n_tokens >= TOKENS:
            llama.reset()
        llama.eval(ids_of(1))
        llama.sample(temp=0)
    return prefill if work == "prefill_512" else token


def server_worker(work, path, threads):
    """xllamacpp; its seconds are those that llama.cpp reports of the work inside of its server, but for loading."""
    import xllamacpp

    def load():
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx, params.n_batch, params.n_ubatch, params.n_parallel = PROMPT + 2 * TOKENS, PROMPT, PROMPT, 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.warmup = False
        return xllamacpp.Server(params)

    def complete(server, prompt, tokens):
        return server.handle_completions({"prompt": ids_of(prompt), "max_tokens": tokens, "n_predict": tokens, "temperature": 0,
                                          "ignore_eos": True, "cache_prompt": False})
    if work == "load_first_token":
        def first_token():
            complete(load(), 4, 1)
        return first_token
    server = load()

    def prefill():
        return complete(server, PROMPT, 1)["timings"]["prompt_ms"] / 1e3

    def token():
        return complete(server, 1, TOKENS + 1)["timings"]["predicted_per_token_ms"] / 1e3
    return prefill if work == "prefill_512" else token


def worker(row, folder, threads):
    """A function that does the work once. What it returns, if anything, is the seconds that count in place of its own."""
    work, kind = split_row(row)
    if work not in ("prefill_512", "decode", "load_first_token"):
        raise Missing("no such row for llama.cpp")
    make = python_worker if importlib.util.find_spec("llama_cpp") else server_worker
    if make is server_worker and importlib.util.find_spec("xllamacpp") is None:
        raise Missing("neither llama-cpp-python nor xllamacpp is installed")
    path = pathlib.Path(folder) / f"{kind}.gguf"
    if not path.exists() and importlib.util.find_spec("gguf") is None:
        raise Missing("gguf, which writes its file, is not installed")
    return make(work, make_gguf(folder, kind), threads)
