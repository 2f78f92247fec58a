#!/usr/bin/env python3
"""Compares the speed and memory of `lazuli finetune` with PyTorch and PEFT doing the same steps.

Usage: bench/finetune_vs_peft.py [--rounds 5] [--steps 20] [--threads N]    run it with a Python that has torch and peft

Both train pycoder-16m at 4 x 256 tokens with rank 8 on all linear layers in float32 with AdamW and clipping, in processes of their own that
take turns, so that both see the same state of the machine. The first steps of each process are not counted.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BATCH, TOKENS, WARM_UP = 4, 256, 5


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/lazuli"))
    parser.add_argument("--model", default=str(ROOT / "models/pycoder-16m"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="counted steps in each process")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def peak_memory():
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def peft_worker(arguments):
    """Trains in this process and prints tokens per second and peak memory."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    base.config.use_cache = False
    model = get_peft_model(base, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")).train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.01, fused=True)
    start = 0.0
    for step in range(WARM_UP + arguments.steps):
        if step == WARM_UP:
            start = time.perf_counter()
        ids = torch.randint(0, base.config.vocab_size, (BATCH, TOKENS))
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
    rate = BATCH * TOKENS * arguments.steps / (time.perf_counter() - start)
    print(json.dumps({"tokens_per_second": rate, "peak_memory_bytes": peak_memory()}))


def run_peft(arguments):
    line = [sys.executable, __file__, "--worker", "--model", arguments.model, "--steps", str(arguments.steps), "--threads",
            str(arguments.threads)]
    environment = dict(os.environ, OMP_NUM_THREADS=str(arguments.threads), HF_HUB_OFFLINE="1")
    return json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment).stdout)


def run_lazuli(arguments, folder):
    adapter = folder / "adapter"
    line = [arguments.program, "finetune", "--model", arguments.model, "--data", str(folder / "data.txt"), "--adapter-path", str(adapter),
            "--batch-size", str(BATCH), "--max-seq-length", str(TOKENS), "--iters", str(WARM_UP + arguments.steps), "--steps-per-report", "1",
            "--val-batches", "0", "--save-every", "1000000", "--learning-rate", "1e-4", "--threads", str(arguments.threads), "--quiet",
            "--json"]
    result = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)
    lines = [json.loads(line) for line in (adapter / "metrics.jsonl").read_text().splitlines()]
    seconds = sum(BATCH * TOKENS / line["tokens_per_second"] for line in lines[WARM_UP:])
    return {"tokens_per_second": BATCH * TOKENS * arguments.steps / seconds, "peak_memory_bytes": result["peak_memory_bytes"]}


def write_text(path):
    files = sorted(p for part in ("src", "include", "tests") for p in (ROOT / part).rglob("*") if p.suffix in (".cc", ".h"))
    path.write_text("\n".join(p.read_text() for p in files))


def main():
    arguments = parse_arguments()
    if arguments.worker:
        peft_worker(arguments)
        return
    runs = {"lazuli": [], "peft": []}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_text(folder / "data.txt")
        for _ in range(arguments.rounds):
            runs["lazuli"].append(run_lazuli(arguments, folder))
            runs["peft"].append(run_peft(arguments))
    summary = {}
    for who, results in runs.items():
        rates = [r["tokens_per_second"] for r in results]
        memory = statistics.median(r["peak_memory_bytes"] for r in results)
        summary[who] = {"median": statistics.median(rates), "best": max(rates), "peak_memory_bytes": memory}
    ratio = summary["lazuli"]["median"] / summary["peft"]["median"]
    if arguments.json:
        print(json.dumps({**summary, "ratio_of_medians": ratio, "threads": arguments.threads, "rounds": arguments.rounds}))
        return
    for who, s in summary.items():
        print(f"{who:7} tokens/s: median {s['median']:7.0f}, best {s['best']:7.0f}; peak memory {s['peak_memory_bytes'] / 1e6:6.0f} MB")
    print(f"ratio of the medians {ratio:.2f} ({arguments.rounds} rounds, {arguments.threads} threads)")


if __name__ == "__main__":
    main()
