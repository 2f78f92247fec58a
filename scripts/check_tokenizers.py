#!/usr/bin/env python3
"""Compares Lazuli's tokenizer with the `tokenizers` package on tokenizers of every kind, and writes the golden files of the C++ tests.

  check_tokenizers.py [--program build/release/bin/lazuli_tests]   compares ids, decoded text and speed on tens of thousands of strings
  check_tokenizers.py --write-fixtures                             rewrites tests/text/tokenizer_data

Needs the package tokenizers; --venv names a virtual environment with it, which is made, from PyPI, if it is not there.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from tokenizer_strings import is_of_unicode_14, strings

ROOT = pathlib.Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "text" / "tokenizer_data"
PYCODER = ROOT / "models" / "pycoder-16m" / "tokenizer.json"

os.environ["TOKENIZERS_PARALLELISM"] = "false"


def load_package():
    """The names of the package, which --venv may have to provide first."""
    global Tokenizer, kinds
    try:
        from tokenizers import Tokenizer
    except ImportError:
        sys.exit("check_tokenizers: skipped, the package tokenizers is not installed (--venv DIR installs it)")
    import tokenizer_kinds as kinds


def expressions_of(node):
    """Every expression in a tokenizer's file."""
    if isinstance(node, list):
        return [e for item in node for e in expressions_of(item)]
    if not isinstance(node, dict):
        return []
    return [node["Regex"]] if "Regex" in node else expressions_of([v for k, v in node.items() if k != "model"])


def answers(path, texts, add_special_tokens=True):
    tokenizer = Tokenizer.from_file(str(path))
    ids = [tokenizer.encode(t, add_special_tokens=add_special_tokens).ids for t in texts]
    return {"ids": ids, "text": [tokenizer.decode(i, skip_special_tokens=True) for i in ids],
            "text_with_special": [tokenizer.decode(i, skip_special_tokens=False) for i in ids]}


def answers_plain_specials(path, texts):
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True
    return [tokenizer.encode(t).ids for t in texts]


def golden_rows(path, texts):
    """What the C++ test expects of each text; a decoded text equal to the one before it is left out."""
    known = answers(path, texts)
    rows = []
    for i, (text, plain) in enumerate(zip(texts, answers_plain_specials(path, texts))):
        row = {"input": text, "ids": known["ids"][i]}
        if plain != row["ids"]:
            row["ids_plain_special"] = plain
        if known["text"][i] != text:
            row["text"] = known["text"][i]
        if known["text_with_special"][i] != known["text"][i]:
            row["text_with_special"] = known["text_with_special"][i]
        rows.append(json.dumps(row, separators=(",", ":")))
    return "[\n" + ",\n".join(rows) + "\n]"


def save_kinds(folder, kinds):
    files = {}
    for name, tokenizer in kinds:
        files[name] = folder / (name + ".json")
        files[name].write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, indent=0))
    return files


def write_rows(path, golden):
    path.write_text("{\n" + ",\n".join(f'"{name}": {rows}' for name, rows in golden.items()) + "\n}\n")


def write_fixtures():
    DATA.mkdir(exist_ok=True)
    texts = [t for t in strings(180) if len(t) <= (400 if len(set(t)) <= 3 else 100)]
    few = texts[:70] + texts[-30:]
    golden = {"pycoder": golden_rows(PYCODER, texts)}
    for name, path in kinds.kept_tokenizers(DATA).items():
        golden[name] = golden_rows(path, few)
    write_rows(DATA / "golden.json", golden)
    write_rows(DATA / "golden_kinds.json", {name: golden_rows(path, few) for name, path in save_kinds(DATA, kinds.kept_kinds()).items()})
    print(len(texts), "strings for pycoder,", len(few), "for the others")


def random_ids(tokenizer, seed, count=400):
    """Ids in no sensible order, many of them those of bytes."""
    rng = random.Random(seed)
    known = sorted(set(tokenizer.get_vocab().values()))
    byte_ids = [i for i in (tokenizer.token_to_id(b) for b in kinds.BYTES) if i is not None] or known
    return [[rng.choice(rng.choice([known, byte_ids])) for _ in range(rng.randint(1, 12))] for _ in range(count)]


def run_program(program, folder, request):
    (folder / "request").write_text(json.dumps(request))
    environment = {**os.environ, "LAZULI_TOKENIZER_REQUEST": str(folder / "request"), "LAZULI_TOKENIZER_ANSWER": str(folder / "answer")}
    subprocess.run([program, "--gtest_also_run_disabled_tests", "--gtest_filter=TokenizerDump.*"], env=environment, check=True,
                   stdout=subprocess.DEVNULL)
    return json.loads((folder / "answer").read_text())


def expected(path, texts, ids_to_decode):
    tokenizer = Tokenizer.from_file(str(path))
    pairs = [tokenizer.encode(a, b) for a, b in zip(texts[:500], texts[1:])]
    return {**answers(path, texts), "ids_plain_special": answers_plain_specials(path, texts),
            "ids_without_template": answers(path, texts, False)["ids"], "pair_ids": [p.ids for p in pairs], "pair_types": [p.type_ids for p in pairs],
            "decoded": [tokenizer.decode(ids, skip_special_tokens=False) for ids in ids_to_decode]}


def seconds_of(path, texts, rounds):
    """The best time of the package on one thread, without a call of Python's for each text."""
    tokenizer = Tokenizer.from_file(str(path))
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        tokenizer.encode_batch_fast(texts)
        best = min(best, time.perf_counter() - start)
    return best


def all_files(folder):
    return {"pycoder": PYCODER, **kinds.kept_tokenizers(folder), **kinds.more_tokenizers(folder), **save_kinds(folder, kinds.kept_kinds()),
            **save_kinds(folder, kinds.more_kinds())}


def compare(options):
    all_texts = strings(options.size, options.seed)
    old_texts = [t for t in all_texts if is_of_unicode_14(t)]
    wrong_in_all = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, path in all_files(folder).items():
            if options.only and options.only not in name:
                continue
            expressions = expressions_of(json.loads(path.read_text()))
            texts = all_texts if all(e in (kinds.QWEN2, kinds.LLAMA3) for e in expressions) else old_texts
            ids_to_decode = random_ids(Tokenizer.from_file(str(path)), options.seed)
            ours = run_program(options.program, folder, {"tokenizer": str(path), "texts": texts, "decode": ids_to_decode})
            theirs = expected(path, texts, ids_to_decode)
            wrong = [(key, i) for key in theirs for i in range(len(theirs[key])) if theirs[key][i] != ours[key][i]]
            print(f"{name}: {len(texts)} strings, {len(wrong)} differences")
            for key, i in wrong[:options.show]:
                source = ids_to_decode if key == "decoded" else texts
                print(f"  {key} of {source[i][:200]!r}\n    tokenizers {theirs[key][i][:80]!r}\n    lazuli     {ours[key][i][:80]!r}")
            wrong_in_all += len(wrong)
    return wrong_in_all


def compare_speed(options):
    texts = [p.read_text() for part in ("src", "include", "docs") for p in sorted((ROOT / part).rglob("*")) if p.suffix in (".cc", ".h", ".md")]
    prose = [paragraph for text in texts for paragraph in text.split("\n\n")]
    print(f"\n{'tokens/s on one thread':24}{'tokenizers':>12}{'lazuli':>12}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        files = {"pycoder": PYCODER, **kinds.kept_tokenizers(folder), **save_kinds(folder, kinds.speed_kinds())}
        for name, path in files.items():
            if options.only and options.only not in name:
                continue
            ours = run_program(options.program, folder, {"tokenizer": str(path), "texts": [], "timed": prose, "rounds": 5})
            theirs = seconds_of(path, prose, 5)
            print(f"{name:24}{ours['tokens'] / theirs:12.0f}{ours['tokens'] / ours['seconds']:12.0f}{theirs / ours['seconds']:8.2f}")


def enter_venv(folder):
    """Runs this script again with the environment's interpreter, making the environment first if need be."""
    python = pathlib.Path(folder) / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "tokenizers"], check=True)
    if pathlib.Path(sys.prefix).resolve() != pathlib.Path(folder).resolve():
        os.execv(str(python), [str(python), *sys.argv])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/lazuli_tests"), help="lazuli_tests of a build")
    parser.add_argument("--write-fixtures", action="store_true")
    parser.add_argument("--size", type=int, default=9000, help="how many random mixes; the other strings are in proportion")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="tokenizers whose name has this in it")
    parser.add_argument("--show", type=int, default=5, help="differences to print for each tokenizer")
    parser.add_argument("--speed", action="store_true", help="time only")
    parser.add_argument("--venv", help="virtual environment to run in")
    options = parser.parse_args()
    if options.venv:
        enter_venv(options.venv)
    load_package()
    if options.write_fixtures:
        write_fixtures()
        return
    wrong = 0 if options.speed else compare(options)
    compare_speed(options)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
