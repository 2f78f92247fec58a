#!/usr/bin/env python3
"""Compares Lazuli's tokenizer with the `tokenizers` package, and writes the golden files of its C++ test.

  tokenizer_differential.py --program BUILD/bin/lazuli_tests   compares ids and decoded text of thousands of strings
  tokenizer_differential.py --write-fixtures                   rewrites tests/io/tokenizer_data

Needs `pip install tokenizers`. The tokenizers other than pycoder-16m's are trained here on Python's own library.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "io" / "tokenizer_data"
PYCODER = ROOT / "models" / "pycoder-16m" / "tokenizer.json"

QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")
MARKS = r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}{1,3}(?=\p{N}*$)| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]|\s+(?!\S)|\s+|^x"


def byte_level(**options):
    return pre_tokenizers.ByteLevel(**{"add_prefix_space": False, "use_regex": False, **options})


def split(expression, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(expression), behavior, invert)


def train(pre_tokenizer, vocab_size=700, normalizer=None, alphabet=True, unk=None, **model):
    tokenizer = Tokenizer(models.BPE(unk_token=unk, **model))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, show_progress=False, special_tokens=["<|endoftext|>"] + ([unk] if unk else []),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()) if alphabet else [])
    corpus = [pathlib.Path(json.__file__).with_name(n).read_text() for n in ("decoder.py", "encoder.py", "scanner.py")]
    corpus.append("The cat's hat; they'll see 12345 años, naïve café, Straße und Öl. Привет мир! 你好世界 日本語 한국어 🙂👍🏽 " * 20)
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


def add_kinds_of_tokens(tokenizer):
    tokenizer.add_special_tokens([AddedToken("<s>", rstrip=True), AddedToken("<mask>", lstrip=True), AddedToken("<mask>x")])
    tokenizer.add_tokens([AddedToken("def", single_word=True), AddedToken("caf\u00e9", normalized=True),
                          AddedToken("e\u0301a", normalized=False), AddedToken("  ", lstrip=True, rstrip=True, normalized=False),
                          AddedToken("foobar"), AddedToken("foo"), AddedToken("[x]", single_word=True, lstrip=True, normalized=False)])


def with_bos(tokenizer):
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", tokenizer.token_to_id("<|endoftext|>"))])])


def old_merges(path):
    """Writes merges as "a b", as older files have them."""
    data = json.loads(path.read_text())
    data["model"]["merges"] = [" ".join(m) for m in data["model"]["merges"]]
    path.write_text(json.dumps(data, ensure_ascii=False, indent=0))


def kept_tokenizers(folder):
    """The tokenizers whose files are kept as fixtures."""
    files = {}

    def save(name, tokenizer, old=False):
        files[name] = folder / (name + ".json")
        data = json.loads(tokenizer.to_str())
        files[name].write_text(json.dumps(data, ensure_ascii=False, indent=0))
        if old:
            old_merges(files[name])

    save("gpt2", train(byte_level(add_prefix_space=True, use_regex=True), 500), old=True)
    llama = train(pre_tokenizers.Sequence([split(LLAMA3), byte_level()]), 500, ignore_merges=True)
    with_bos(llama)
    save("llama3", llama)
    kinds = train(pre_tokenizers.Sequence([split(QWEN2), byte_level()]), 450, normalizers.Sequence([normalizers.NFC()]))
    add_kinds_of_tokens(kinds)
    save("added", kinds)
    return files


def more_tokenizers(folder):
    files = {}

    def save(name, tokenizer):
        files[name] = folder / (name + ".json")
        tokenizer.save(str(files[name]))

    save("marks", train(pre_tokenizers.Sequence([split(MARKS), byte_level()])))
    save("digits", train(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(use_regex=True)])))
    save("digit_runs", train(pre_tokenizers.Sequence([pre_tokenizers.Digits(), byte_level(add_prefix_space=True)])))
    for behavior in ("isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"):
        for invert in (False, True):
            save(f"{behavior}_{invert}", train(pre_tokenizers.Sequence([split(r"[\p{P}\s]|x*", behavior, invert), byte_level()]), 400))
        save(f"literal_{behavior}", train(pre_tokenizers.Sequence([pre_tokenizers.Split("ab", behavior), byte_level()]), 400))
    save("gaps", train(pre_tokenizers.Sequence([split(QWEN2, "removed", True), byte_level(add_prefix_space=True)])))
    words = train(split(r"\s+", "merged_with_next"), 600, alphabet=False, unk="<unk>")
    words.decoder = decoders.Fuse()
    save("characters", words)
    fused = Tokenizer.from_str(words.to_str().replace('"fuse_unk":false', '"fuse_unk":true'))
    save("characters_fused", fused)
    save("prefixed", train(pre_tokenizers.Sequence([split(LLAMA3), byte_level(add_prefix_space=True)])))
    bare = train(byte_level(use_regex=True), 400, alphabet=False)
    bare.decoder = None
    save("few_bytes", bare)
    return files


def unicode_blocks(rng, step):
    """Text of every assigned part of Unicode: each 64 code points some of them, with spaces, digits and joining marks between."""
    for start in range(0, 0x110000, step):
        if 0xD800 <= start < 0xE000 or 0x40000 <= start < 0xE0000 or start >= 0xE0200:
            continue
        chars = [chr(c) for c in range(start, start + step) if not 0xD800 <= c < 0xE000]
        sample = [rng.choice(chars) for _ in range(24)]
        yield "".join(c + rng.choice(["", "", "", " ", "1", "a", "\n", "e\u0301", "."]) for c in sample)


# HF normalises with Unicode 9's combining classes, so later marks are left out (see Tokenizer's documentation), and counts the digits of
# Unicode 17 as numbers in Digits only.
def is_comparable(text):
    return all((unicodedata.ucd_3_2_0.category(c) != "Cn" or unicodedata.combining(c) == 0) and not "\U00011de0" <= c <= "\U00011de9" for c in text)


# Expressions that PCRE2 runs have the classes of its Unicode version, which is at least 14, and U+180E as a space.
def is_of_unicode_14(text):
    return all(unicodedata.category(c) != "Cn" and c != "\u180e" for c in text)


def special_cases():
    yield from ["", " ", "  ", "\n", "\r\n", "a", "\u0000", "\ufeffx", "\ufffd", "\u00a0\u00a0x", " \u3000 y", "\t\tz", "x \n \n  y", "  \r\r\n\n  "]
    yield from ["it's we're I'VE you'Ll 'S '\u017f x'\u017fy 'tis 'D'd", "''s 'r 'v 'l 've", "1234567 12 3 \u0661\u0662\u0663\u0664 \u00bd\u00b2\u2167"]
    yield from ["e\u0301 \u00e9 cafe\u0301 caf\u00e9", "\u1100\u1161\u11a8 \uac00\u11a8 \ud55c", "\u0344 \u212b \u2126 \uf900 \u0958 \u0f73",
                "a\u0323\u0301 a\u0301\u0323 \u0301x \u0301\u0323", "\u0928\u093c \u09c7\u09be"]
    yield from ["<|endoftext|>", "a<|endoftext|>b <|endoftext|>", "<|im_start|>user\nhi<|im_end|>\n", "<|im_start", "<<|im_end|>|>"]
    yield from ["<s>  x <s>\n\n<s>", "a  <mask> <mask>x  <mask>", "def defx xdef _def def_ (def) def1 \u00e9def def", "cafe\u0301s caf\u00e9 e\u0301a",
                "foobar foofoo foob barfoo", "[x] a[x] [x]a  [x] \u2003[x]-", "    four   three", "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1eb\U0001f1f7"]
    yield from ["a" * 5000, "ab" * 2000, " " * 3000, "\n" * 1000, "=" * 777, "1" * 999, "\u4f60" * 500, "e\u0301" * 300, "x" + "\u0301\u0323" * 200,
                "'" * 100, " \n" * 200, "\U0001f600" * 100]


def random_mixes(rng, count):
    pieces = ["def ", "return", "    ", "\n", "\t", "self.", "(x)", "'s", "'LL", " ", "  ", "12", "345", "\u00e9", "e\u0301", "\u4f60\u597d", "\U0001f642", "<s>",
              "<mask>", "<|endoftext|>", "<|im_end|>", "foo", "bar", "\r\n", "_", "-", "\u00a0", "\u2028", "\u0301", "\ud55c", "x", "!=", "\"", "\\", "ab",
              "[x]", "caf", "The", " cat", "\u0000", "\u200d", "\u0327", "\uac00", "\u11a8", "\u017f", "'"]
    for _ in range(count):
        yield "".join(rng.choice(pieces) for _ in range(rng.randint(1, 24)))


def code_lines(rng, count):
    lines = pathlib.Path(argparse.__file__).read_text().splitlines(keepends=True)
    lines += (ROOT / "include" / "lazuli" / "tokenizer.h").read_text().splitlines(keepends=True)
    for _ in range(count):
        start = rng.randrange(len(lines))
        yield "".join(lines[start:start + rng.randint(1, 12)])


def strings(size, seed=0):
    rng = random.Random(seed)
    texts = list(special_cases())
    texts += random_mixes(rng, size)
    texts += code_lines(rng, size // 3)
    blocks = list(unicode_blocks(rng, 64 if size > 500 else 1024))
    texts += blocks if size > 500 else rng.sample(blocks, size // 2)
    return [t for t in texts if is_comparable(t)]


def patterns_of(pre_tokenizer):
    return [p["pattern"] for p in pre_tokenizer.get("pretokenizers", [pre_tokenizer]) if "pattern" in p]


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


def write_fixtures():
    DATA.mkdir(exist_ok=True)
    texts = [t for t in strings(180) if len(t) <= (400 if len(set(t)) <= 3 else 100)]
    few = texts[:70] + texts[-30:]
    golden = {"pycoder": golden_rows(PYCODER, texts)}
    for name, path in kept_tokenizers(DATA).items():
        golden[name] = golden_rows(path, few)
    (DATA / "golden.json").write_text("{\n" + ",\n".join(f'"{name}": {rows}' for name, rows in golden.items()) + "\n}\n")
    print(len(texts), "strings for pycoder,", len(few), "for the others")


def compare(program, size, seed):
    all_texts = strings(size, seed)
    old_texts = [t for t in all_texts if is_of_unicode_14(t)]
    differences = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        files = {"pycoder": PYCODER, **kept_tokenizers(folder), **more_tokenizers(folder)}
        for name, path in files.items():
            expressions = [p["Regex"] for p in patterns_of(json.loads(path.read_text())["pre_tokenizer"]) if "Regex" in p]
            texts = all_texts if all(e in (QWEN2, LLAMA3) for e in expressions) else old_texts
            (folder / "request").write_text(json.dumps({"tokenizer": str(path), "texts": texts}))
            environment = {**os.environ, "LAZULI_TOKENIZER_REQUEST": str(folder / "request"), "LAZULI_TOKENIZER_ANSWER": str(folder / "answer")}
            subprocess.run([program, "--gtest_also_run_disabled_tests", "--gtest_filter=TokenizerDump.*"], env=environment, check=True,
                           stdout=subprocess.DEVNULL)
            ours = json.loads((folder / "answer").read_text())
            theirs = {**answers(path, texts), "ids_plain_special": answers_plain_specials(path, texts),
                      "ids_without_template": answers(path, texts, False)["ids"]}
            wrong = [(key, i) for key in theirs for i in range(len(texts)) if theirs[key][i] != ours[key][i]]
            print(f"{name}: {len(texts)} strings, {len(wrong)} differences")
            for key, i in wrong[:5]:
                print(f"  {key} of {texts[i][:200]!r}\n    tokenizers {theirs[key][i][:60]!r}\n    lazuli     {ours[key][i][:60]!r}")
            differences += len(wrong)
    return differences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", help="lazuli_tests of a build")
    parser.add_argument("--write-fixtures", action="store_true")
    parser.add_argument("--size", type=int, default=3000, help="how many random strings")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.write_fixtures:
        write_fixtures()
    if options.program:
        sys.exit(1 if compare(options.program, options.size, options.seed) else 0)


if __name__ == "__main__":
    main()
