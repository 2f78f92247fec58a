#!/usr/bin/env python3
"""What each fusion gains: the same work with all of them and without one, in turns. Prints the medians of both and the gain in speed, as a
table, and writes them as JSON. Whole models are timed by `lazuli bench`, single layers by `lazuli_rows` (-DLAZULI_BENCH=ON); what is not
there is left out by name, and so is a fusion that changes nothing in a model's graphs.

Usage: bench/fusions.py [FUSION ...] [--model models/pycoder-16m] [--encoder DIR] [--bin build/release/bin] [--rounds 3] [--threads N]
                        [--output gains.json]
       without fusions: all of them, each alone and then all at once
"""
import argparse
import functools
import json
import os
import pathlib
import statistics
import subprocess

from run import Worker

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = {
    "prefill": ("--prompt-tokens", "256", "--generate-tokens", "0", "--train-tokens", "0", "--repeats", "9"),
    "decode": ("--prompt-tokens", "0", "--generate-tokens", "64", "--train-tokens", "0", "--repeats", "7"),
    "train": ("--prompt-tokens", "0", "--generate-tokens", "0", "--train-tokens", "256", "--repeats", "2"),
    "embed": ("--embed-tokens", "64", "--embed-batch", "16", "--repeats", "7"),
}
ALL = "all"
# Without fusions and without a plan of more than one operation: each is evaluated before the next is recorded.
PLANS = "all and plans"
SWITCHED_OFF = dict.fromkeys((ALL, PLANS), "recognise,-epilogues,-joins,-chains")
# Where each takes part: tests of models, then rows of lazuli_rows, whose operations are recorded one by one.
FUSIONS = {
    "LoRA": ("lora_1x512", "lora_4096x512"),
    "LoRALinear": ("lora_w_512x512",),
    "MatmulBias": ("prefill", "decode", "embed"),
    "LinearAdd": ("prefill", "decode", "embed", "block_qwen_128", "block_768_128"),
    "AttentionResidual": ("prefill", "decode", "embed", "block_qwen_128", "block_768_128"),
    "LinearGelu": ("embed", "block_768_128"),
    "SwiGLU": ("prefill", "decode", "block_qwen_128"),
    "RoPEPair": ("prefill", "decode", "train", "block_qwen_128"),
    "AddRMSNorm": ("train",),
    "AddLayerNorm": ("embed",),
    "LinearCrossEntropy": ("train",),
    "OptimizerStep": ("train",),
    "chains": ("train", "embed", "chain_cheap_1e7", "chain_costly_1e6"),
    ALL: ("prefill", "decode", "train", "embed", "lora_1x512", "lora_w_512x512", "block_qwen_128", "block_768_128", "block_64_8"),
    PLANS: ("block_qwen_128", "block_768_128", "block_64_8"),
}


def environment_without(fusion):
    environment = dict(os.environ)
    environment.pop("LAZULI_PASSES", None)
    if fusion:
        environment["LAZULI_PASSES"] = "-" + SWITCHED_OFF.get(fusion, fusion)
    return environment


class Model:
    """A test of `lazuli bench`; its samples are tokens per second."""
    unit = "tokens/s"

    def __init__(self, arguments, test, fusion):
        self.command = [os.path.join(arguments.bin, "lazuli"), "bench", "--model", model_of(arguments, test), "--json", "--quiet",
                        *TESTS[test], *threads_of(arguments)]
        self.environment, self.samples = environment_without(fusion), []

    def sample(self):
        run = subprocess.run(self.command, capture_output=True, text=True, env=self.environment)
        if run.returncode != 0:
            raise SystemExit(f"{' '.join(self.command)}: {run.stderr.strip()}")
        self.samples.append(json.loads(run.stdout)["results"][0]["median"])

    def close(self):
        pass


class Layer:
    """A row of lazuli_rows; its samples are calls per second."""
    unit = "calls/s"

    def __init__(self, arguments, row, fusion):
        threads = arguments.threads or len(os.sched_getaffinity(0))
        row += "_op_by_op" if fusion == PLANS else ""
        self.worker, self.samples = Worker([os.path.join(arguments.bin, "lazuli_rows"), row, str(threads)], environment_without(fusion)), []

    def sample(self):
        self.worker.sample()
        if self.worker.skipped:
            raise SystemExit(f"lazuli_rows {self.worker.process.args[1]}: {self.worker.skipped}")
        self.samples.append(1 / self.worker.samples[-1])

    def close(self):
        self.worker.close()


def threads_of(arguments):
    return ("--threads", str(arguments.threads)) if arguments.threads else ()


def model_of(arguments, test):
    return arguments.encoder if test == "embed" else arguments.model


@functools.cache
def fused(program, model, test, fusion):
    """How often each fusion takes place in the graphs of the test."""
    command = [program, "explain", "--model", model, "--mode", test, "--format", "json"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment_without(fusion), check=True)
    return json.loads(run.stdout)["fused"]


def why_not(arguments, where, fusion):
    """Why it cannot be measured there; None where it can."""
    if where not in TESTS:
        return None if os.path.exists(os.path.join(arguments.bin, "lazuli_rows")) else "lazuli_rows is not built"
    if where == "embed" and not os.path.exists(arguments.encoder):
        return f"there is no encoder in {arguments.encoder}"
    program, model = os.path.join(arguments.bin, "lazuli"), model_of(arguments, where)
    return "takes no part" if fused(program, model, where, "") == fused(program, model, where, fusion) else None


def measure(arguments, where, fusion):
    kind = Model if where in TESTS else Layer
    sides = [kind(arguments, where, ""), kind(arguments, where, fusion)]
    for round_ in range(arguments.rounds):
        for side in sides if round_ % 2 == 0 else sides[::-1]:
            side.sample()
    for side in sides:
        side.close()
    on, off = (statistics.median(side.samples) for side in sides)
    return {"fusion": fusion, "where": where, "unit": kind.unit, "with": on, "without": off, "gain": on / off - 1,
            "samples_with": sides[0].samples, "samples_without": sides[1].samples}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fusions", nargs="*", metavar="FUSION")
    parser.add_argument("--model", default=str(ROOT / "models/pycoder-16m"))
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "lazuli/bench"
    parser.add_argument("--encoder", default=str(cache / "minilm/model"), help="for the test of texts; bench/run.py minilm_1 puts one there")
    parser.add_argument("--bin", default=str(ROOT / "build/release/bin"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--output", help="write the numbers as JSON into this file")
    arguments = parser.parse_args()
    unknown = set(arguments.fusions) - set(FUSIONS)
    if unknown:
        parser.error(f"no fusion is called {', '.join(sorted(unknown))}; there are {', '.join(FUSIONS)}")
    rows, left_out = [], []
    print("| without | where | unit | with | without | gain |\n| --- | --- | --- | ---: | ---: | ---: |")
    for fusion in arguments.fusions or FUSIONS:
        for where in FUSIONS[fusion]:
            reason = why_not(arguments, where, fusion)
            if reason:
                left_out.append({"fusion": fusion, "where": where, "reason": reason})
                continue
            row = measure(arguments, where, fusion)
            rows.append(row)
            print(f"| {fusion} | {where} | {row['unit']} | {row['with']:,.4g} | {row['without']:,.4g} | {100 * row['gain']:+.1f} % |", flush=True)
            if arguments.output:
                pathlib.Path(arguments.output).write_text(json.dumps({"rows": rows, "left_out": left_out}, indent=1) + "\n")
    for one in left_out:
        print(f"left out: {one['fusion']} in {one['where']}: {one['reason']}")
    if arguments.output:
        pathlib.Path(arguments.output).write_text(json.dumps({"rows": rows, "left_out": left_out}, indent=1) + "\n")


if __name__ == "__main__":
    main()
