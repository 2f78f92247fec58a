#!/usr/bin/env python3
"""Compares the speed of a small model with experts in `lazuli bench` with transformers and PEFT: a prompt, decoding, and training steps.

Usage: bench/experts_vs_transformers.py [--dtype f32,bf16] [--device cpu|cuda] [--rounds 3] [--threads N] [--implementation grouped_mm]

The model is qwen3_moe: hidden size 512, 8 layers of 32 experts of size 256, of which a token has 4; random weights, stored in the dtype that
is measured. Both read a prompt of 512 tokens (pp), write 64 tokens from an empty context (tg), and train rank 8 on the attention layers at
4 x 128 tokens (tr). They run in processes of their own that take turns, so that both see the same state of the machine. The first run of
each measurement does not count. The model is made without torch: where torch, transformers or PEFT are missing, that is said, and lazuli is
measured alone.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROMPT, NEW, BATCH, TOKENS, REPEATS = 512, 64, 4, 128, 3
CONFIG = dict(model_type="qwen3_moe", architectures=["Qwen3MoeForCausalLM"], vocab_size=8192, hidden_size=512, intermediate_size=1024,
              num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=4, head_dim=64, num_experts=32, num_experts_per_tok=4,
              moe_intermediate_size=256, norm_topk_prob=True, max_position_embeddings=2048, tie_word_embeddings=True, bos_token_id=1,
              eos_token_id=0, rms_norm_eps=1e-6, hidden_act="silu", rope_theta=10000.0)
SIZES = dict(f32=4, bf16=2)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/lazuli"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--implementation", help="of the experts in transformers: eager, grouped_mm or batched_mm; its default otherwise")
    parser.add_argument("--dtype", default="f32,bf16", help="f32, bf16 or both")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.dtypes = arguments.dtype.split(",")
    if not set(arguments.dtypes) <= set(SIZES):
        parser.error("--dtype: f32, bf16 or f32,bf16 expected")
    return arguments


def tensors():
    """Names and shapes, with experts one by one as models are published."""
    c = CONFIG
    hidden, inner, queries, keys = c["hidden_size"], c["moe_intermediate_size"], 8 * c["head_dim"], 4 * c["head_dim"]
    yield "model.embed_tokens.weight", (c["vocab_size"], hidden)
    yield "model.norm.weight", (hidden,)
    for k in range(c["num_hidden_layers"]):
        layer = f"model.layers.{k}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{layer}{name}.weight", (hidden,)
        for name in ("q_norm", "k_norm"):
            yield f"{layer}self_attn.{name}.weight", (c["head_dim"],)
        for name, shape in dict(q_proj=(queries, hidden), k_proj=(keys, hidden), v_proj=(keys, hidden), o_proj=(hidden, queries)).items():
            yield f"{layer}self_attn.{name}.weight", shape
        yield f"{layer}mlp.gate.weight", (c["num_experts"], hidden)
        for e in range(c["num_experts"]):
            for name, shape in dict(gate_proj=(inner, hidden), up_proj=(inner, hidden), down_proj=(hidden, inner)).items():
                yield f"{layer}mlp.experts.{e}.{name}.weight", shape


def numbers(name, shape, size):
    """Norms are 1, the rest is plus or minus 1/128 to 1/32."""
    count = 1
    for s in shape:
        count *= s
    if "norm" in name:
        return (bytes(size - 2) + b"\x80\x3f") * count
    out = bytearray(os.urandom(count * size))
    out[size - 1::size] = os.urandom(count).translate(bytes(0x3C if k % 2 else 0xBC for k in range(256)))
    return out


def make_model(folder, dtype):
    header, at = {}, 0
    for name, shape in tensors():
        count = SIZES[dtype]
        for s in shape:
            count *= s
        header[name] = dict(dtype=dtype.upper(), shape=shape, data_offsets=(at, at + count))
        at += count
    text = json.dumps(dict(__metadata__=dict(format="pt"), **header)).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in tensors():
            file.write(numbers(name, shape, SIZES[dtype]))
    (folder / "config.json").write_text(json.dumps(dict(CONFIG, torch_dtype=dict(f32="float32", bf16="bfloat16")[dtype])))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(ROOT / "models/pycoder-16m" / name, folder)


def rates_of(tokens, run, wait):
    """Tokens a second of each run after the first."""
    rates = []
    for _ in range(REPEATS + 1):
        wait()
        start = time.perf_counter()
        run()
        wait()
        rates.append(tokens / (time.perf_counter() - start))
    return rates[1:]


def transformers_worker(arguments):
    try:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM
    except ImportError as error:
        print(json.dumps(dict(missing=str(error))))
        return
    device = torch.device(arguments.device)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print(json.dumps(dict(missing="torch without a CUDA device")))
        return
    wait = torch.cuda.synchronize if arguments.device == "cuda" else lambda: None
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    more = dict(experts_implementation=arguments.implementation) if arguments.implementation else {}
    dtype = dict(f32=torch.float32, bf16=torch.bfloat16)[arguments.dtype]
    model = AutoModelForCausalLM.from_pretrained(arguments.worker, dtype=dtype, **more).to(device).eval()
    prompt = torch.randint(2, CONFIG["vocab_size"], (1, PROMPT), device=device)
    rates = {}
    with torch.no_grad():
        rates["pp"] = rates_of(PROMPT, lambda: model(prompt, use_cache=True, logits_to_keep=1), wait)
        rates["tg"] = rates_of(NEW, lambda: model.generate(prompt[:, :1], do_sample=False, max_new_tokens=NEW, min_new_tokens=NEW,
                                                           pad_token_id=0), wait)
    layers = ["q_proj", "k_proj", "v_proj", "o_proj"]
    model.config.use_cache = False
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=layers, task_type="CAUSAL_LM")).train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.01, fused=True)

    def step():
        ids = torch.randint(0, CONFIG["vocab_size"], (BATCH, TOKENS), device=device)
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()

    rates["tr"] = rates_of(BATCH * TOKENS, step, wait)
    print(json.dumps(rates))


def run_transformers(arguments, model, dtype):
    line = [sys.executable, __file__, "--worker", str(model), "--threads", str(arguments.threads), "--dtype", dtype, "--device",
            arguments.device]
    if arguments.implementation:
        line += ["--implementation", arguments.implementation]
    environment = dict(os.environ, OMP_NUM_THREADS=str(arguments.threads), HF_HUB_OFFLINE="1")
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)
    if done.returncode != 0:
        sys.exit(f"transformers failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_lazuli(arguments, model, dtype):
    line = [arguments.program, "bench", "--model", str(model), "--prompt-tokens", str(PROMPT), "--generate-tokens", str(NEW), "--train-tokens",
            str(TOKENS), "--batch-size", str(BATCH), "--repeats", str(REPEATS), "--threads", str(arguments.threads), "--dtype", dtype,
            "--device", arguments.device, "--target-modules", "q_proj,k_proj,v_proj,o_proj", "--quiet", "--json"]
    result = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)
    return {r["test"][:2]: r["samples"] for r in result["results"]}


def measure(arguments, model, dtype):
    """Of each side and measurement, all rates; the other side's may be missing."""
    runs = {"lazuli": {}, "transformers": {}}
    missing = None
    for _ in range(arguments.rounds):
        for side, run in ("lazuli", run_lazuli), ("transformers", run_transformers):
            if side == "transformers" and missing:
                continue
            rates = run(arguments, model, dtype)
            missing = missing or rates.pop("missing", None)
            for what, values in rates.items():
                runs[side].setdefault(what, []).extend(values)
    return runs, missing


def summary(runs):
    short = lambda values: dict(median=statistics.median(values), worst=min(values), best=max(values))
    result = {side: {what: short(values) for what, values in rates.items()} for side, rates in runs.items()}
    peer = result["transformers"]
    result["ratios"] = {what: {kind: own[kind] / peer[what][kind] for kind in ("median", "best")}
                        for what, own in result["lazuli"].items() if what in peer}
    return result


def show(arguments, dtype, result, missing):
    cell = lambda s: f"{s['median']:9.1f} ({s['worst']:.1f} to {s['best']:.1f})"
    for what, own in result["lazuli"].items():
        line = f"{dtype} {what} tokens/s: lazuli {cell(own)}"
        if what in result["ratios"]:
            ratio = result["ratios"][what]
            line += f"; transformers {cell(result['transformers'][what])}; ratio {ratio['median']:.2f}, of the best runs {ratio['best']:.2f}"
        print(line, flush=True)
    if missing:
        print(f"transformers was not measured: {missing}", flush=True)


def main():
    arguments = parse_arguments()
    if arguments.worker:
        transformers_worker(arguments)
        return
    loads, all_results = [os.getloadavg()[0]], {}
    for dtype in arguments.dtypes:
        with tempfile.TemporaryDirectory() as folder:
            make_model(pathlib.Path(folder), dtype)
            runs, missing = measure(arguments, pathlib.Path(folder), dtype)
        result = summary(runs)
        all_results[dtype] = result if not missing else dict(result, missing=missing)
        loads.append(os.getloadavg()[0])
        if not arguments.json:
            show(arguments, dtype, result, missing)
    if arguments.json:
        print(json.dumps({**all_results, "device": arguments.device, "threads": arguments.threads, "rounds": arguments.rounds, "load": loads}))
        return
    print(f"medians (worst to best) of {arguments.rounds} rounds of {REPEATS} runs, {arguments.device}, {arguments.threads} threads; "
          f"load of the machine {' '.join(f'{load:.1f}' for load in loads)}")


if __name__ == "__main__":
    main()
