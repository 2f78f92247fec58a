#!/usr/bin/env python3
"""Compares the speed of a small model with experts in `lazuli bench` with transformers and PEFT: a prompt, decoding, and training steps.

Usage: bench/experts_vs_transformers.py [--rounds 3] [--threads N] [--implementation grouped_mm]    run it with a Python that has torch,
transformers and peft

The model is qwen3_moe in float32: hidden size 512, 8 layers of 32 experts of size 256, of which a token has 4; random weights. Both read a
prompt of 512 tokens, write 64 tokens from an empty context, and train rank 8 on the attention layers at 4 x 128 tokens. They run in
processes of their own that take turns, so that both see the same state of the machine. The first run of each measurement does not count.
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
SIZES = dict(vocab_size=8192, hidden_size=512, intermediate_size=1024, num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=4,
             head_dim=64, num_experts=32, num_experts_per_tok=4, moe_intermediate_size=256, norm_topk_prob=True,
             max_position_embeddings=2048, tie_word_embeddings=True, bos_token_id=1, eos_token_id=0)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/lazuli"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--implementation", help="of the experts in transformers: eager, grouped_mm or batched_mm; its default otherwise")
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def make_model(folder):
    import torch
    import transformers

    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(transformers.Qwen3MoeConfig(**SIZES))
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(ROOT / "models/pycoder-16m" / name, folder)


def rate_of(tokens, run):
    """Tokens a second: the median of the runs after the first."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return tokens / statistics.median(times[1:])


def transformers_worker(arguments):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    more = dict(experts_implementation=arguments.implementation) if arguments.implementation else {}
    model = AutoModelForCausalLM.from_pretrained(arguments.worker, dtype=dict(f32=torch.float32, bf16=torch.bfloat16)[arguments.dtype], **more)
    model.eval()
    prompt = torch.randint(2, SIZES["vocab_size"], (1, PROMPT))
    rates = {}
    with torch.no_grad():
        rates["prompt"] = rate_of(PROMPT, lambda: model(prompt, use_cache=True, logits_to_keep=1))
        rates["decode"] = rate_of(NEW, lambda: model.generate(prompt[:, :1], do_sample=False, max_new_tokens=NEW, min_new_tokens=NEW,
                                                              pad_token_id=0))
    layers = ["q_proj", "k_proj", "v_proj", "o_proj"]
    model.config.use_cache = False
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=layers, task_type="CAUSAL_LM")).train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.01, fused=True)

    def step():
        ids = torch.randint(0, SIZES["vocab_size"], (BATCH, TOKENS))
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()

    rates["train"] = rate_of(BATCH * TOKENS, step)
    print(json.dumps(rates))


def run_transformers(arguments, model):
    line = [sys.executable, __file__, "--worker", model, "--threads", str(arguments.threads), "--dtype", arguments.dtype]
    if arguments.implementation:
        line += ["--implementation", arguments.implementation]
    environment = dict(os.environ, OMP_NUM_THREADS=str(arguments.threads), HF_HUB_OFFLINE="1")
    return json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment).stdout)


def run_lazuli(arguments, model):
    line = [arguments.program, "bench", "--model", model, "--prompt-tokens", str(PROMPT), "--generate-tokens", str(NEW), "--train-tokens",
            str(TOKENS), "--batch-size", str(BATCH), "--repeats", str(REPEATS), "--threads", str(arguments.threads), "--dtype",
            arguments.dtype, "--quiet", "--json"]
    result = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)
    names = {"pp": "prompt", "tg": "decode", "tr": "train"}
    return {names[r["test"][:2]]: r["median"] for r in result["results"]}


def main():
    arguments = parse_arguments()
    if arguments.worker:
        transformers_worker(arguments)
        return
    runs = {"lazuli": [], "transformers": []}
    with tempfile.TemporaryDirectory() as folder:
        make_model(folder)
        for _ in range(arguments.rounds):
            runs["lazuli"].append(run_lazuli(arguments, folder))
            runs["transformers"].append(run_transformers(arguments, folder))
    medians = {who: {what: statistics.median(r[what] for r in results) for what in results[0]} for who, results in runs.items()}
    ratios = {what: medians["lazuli"][what] / medians["transformers"][what] for what in medians["lazuli"]}
    if arguments.json:
        print(json.dumps({**medians, "ratios": ratios, "threads": arguments.threads, "rounds": arguments.rounds}))
        return
    for what, ratio in ratios.items():
        print(f"{what:7} tokens/s: lazuli {medians['lazuli'][what]:7.0f}, transformers {medians['transformers'][what]:7.0f}; ratio {ratio:.2f}")
    print(f"medians of {arguments.rounds} rounds, {arguments.threads} threads")


if __name__ == "__main__":
    main()
