#!/usr/bin/env python3
"""What each fusion gains: `lazuli bench` with all of them, and without one, in turns. Prints the median tokens per second of both and the gain.

Usage: bench/fusions.py [--model models/pycoder-16m] [--bin build/release/bin] [--rounds 5] [--threads N] [--output gains.json]
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = {
    "prefill": ("--prompt-tokens", "256", "--generate-tokens", "0", "--train-tokens", "0"),
    "decode": ("--prompt-tokens", "0", "--generate-tokens", "64", "--train-tokens", "0"),
    "train": ("--prompt-tokens", "0", "--generate-tokens", "0", "--train-tokens", "256"),
}
# What to switch off, and where it takes part; the last row is the run without any rewrite.
SWITCHES = {
    "MatmulBias": ("prefill", "decode"),
    "LinearAdd": ("prefill", "decode"),
    "AttentionResidual": ("prefill", "decode"),
    "SwiGLU": ("prefill", "decode"),
    "RoPEPair": ("prefill", "decode", "train"),
    "AddRMSNorm": ("train",),
    "LinearCrossEntropy": ("train",),
    "OptimizerStep": ("train",),
    "LoRALinear": ("train",),
    "chains": ("train",),
    "recognise,-epilogues,-joins,-chains": ("prefill", "decode", "train"),
}


def speed(arguments, test, switched_off):
    environment = dict(os.environ)
    environment.pop("LAZULI_PASSES", None)
    if switched_off:
        environment["LAZULI_PASSES"] = "-" + switched_off
    command = [str(pathlib.Path(arguments.bin) / "lazuli"), "bench", "--model", arguments.model, "--json", "--quiet", "--repeats", "3", *TESTS[test]]
    if arguments.threads:
        command += ["--threads", str(arguments.threads)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return json.loads(run.stdout)["results"][0]["median"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "models/pycoder-16m"))
    parser.add_argument("--bin", default=str(ROOT / "build/release/bin"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--output")
    arguments = parser.parse_args()
    rows = []
    print("| without | test | tokens/s with | without | gain |\n| --- | --- | ---: | ---: | ---: |")
    for switch, tests in SWITCHES.items():
        for test in tests:
            samples = {"": [], switch: []}
            for _ in range(arguments.rounds):
                for off, list_ in samples.items():
                    list_.append(speed(arguments, test, off))
            on, off = statistics.median(samples[""]), statistics.median(samples[switch])
            rows.append({"switch": switch, "test": test, "with": on, "without": off})
            print(f"| {switch.replace(',-', ', ')} | {test} | {on:,.0f} | {off:,.0f} | {100 * (on / off - 1):+.1f} % |", flush=True)
    if arguments.output:
        pathlib.Path(arguments.output).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
