#!/usr/bin/env python3
"""Checks that an adapter trained by the program loads in PEFT and has the same held-out loss there.

Usage: scripts/check_peft.py [--program build/release/bin/lazuli] [--adapter DIR] [--venv DIR]

Without --adapter one is trained for a few steps on this project's sources. Needs the packages torch, transformers, peft and
safetensors; --venv names a virtual environment with them, which is made, from PyPI, if it is not there.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ["torch", "transformers", "peft", "safetensors"]
LARGEST_DIFFERENCE = 1e-4


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/lazuli"))
    parser.add_argument("--model", default=str(ROOT / "models/pycoder-16m"))
    parser.add_argument("--adapter", help="folder of an adapter; default: train one")
    parser.add_argument("--iters", type=int, default=30, help="steps to train for")
    parser.add_argument("--max-seq-length", type=int, default=256)
    parser.add_argument("--venv", help="virtual environment to run in")
    return parser.parse_args()


def enter_venv(folder):
    """Runs this script again with the environment's interpreter, making the environment first if need be."""
    python = pathlib.Path(folder) / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    if pathlib.Path(sys.prefix).resolve() != pathlib.Path(folder).resolve():
        os.execv(str(python), [str(python), *sys.argv])


def write_texts(folder):
    """One text of the project's own sources to train on, and one of other files to measure on."""
    files = sorted(p for part in ("src", "include") for p in (ROOT / part).rglob("*") if p.suffix in (".cc", ".h"))
    train, held_out = folder / "train.jsonl", folder / "held-out.jsonl"
    with train.open("w") as to_train, held_out.open("w") as to_hold_out:
        for index, file in enumerate(files):
            row = json.dumps({"text": file.read_text()}) + "\n"
            (to_hold_out if index % 8 == 3 else to_train).write(row)
    return train, held_out


def run_program(arguments, *command):
    line = [arguments.program, *command, "--json", "--quiet"]
    return json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)


def peft_loss(arguments, adapter, held_out):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    base = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, adapter).eval()
    ids = []
    for line in held_out.read_text().splitlines():
        ids += [tokenizer.eos_token_id] + tokenizer(json.loads(line)["text"], add_special_tokens=False)["input_ids"]
    length = min(arguments.max_seq_length, base.config.max_position_embeddings, len(ids))
    total, count = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(ids), length):
            window = torch.tensor([ids[start : start + length]])
            if window.shape[1] < 2:
                continue
            logits = model(input_ids=window).logits[0, :-1].double()
            total += torch.nn.functional.cross_entropy(logits, window[0, 1:], reduction="sum").item()
            count += window.shape[1] - 1
    return total / count, count


def main():
    arguments = parse_arguments()
    if arguments.venv:
        enter_venv(arguments.venv)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        train, held_out = write_texts(folder)
        common = ["--model", arguments.model, "--max-seq-length", str(arguments.max_seq_length)]
        adapter = arguments.adapter
        if adapter is None:
            adapter = str(folder / "adapter")
            run_program(arguments, "finetune", *common, "--data", str(train), "--adapter-path", adapter, "--iters", str(arguments.iters),
                        "--learning-rate", "1e-3", "--val-batches", "0")
        before = run_program(arguments, "eval", *common, "--data", str(held_out))
        ours = run_program(arguments, "eval", *common, "--data", str(held_out), "--adapter-path", adapter)
        theirs, tokens = peft_loss(arguments, adapter, held_out)
    difference = abs(ours["loss"] - theirs)
    print(f"held-out loss without adapter {before['loss']:.6f}; with it {ours['loss']:.6f} here and {theirs:.6f} in PEFT, "
          f"over {ours['tokens']} and {tokens} tokens; difference {difference:.2e}")
    if difference > LARGEST_DIFFERENCE or ours["tokens"] != tokens:
        sys.exit(f"check_peft: a difference of at most {LARGEST_DIFFERENCE} over the same tokens is expected")


if __name__ == "__main__":
    main()
