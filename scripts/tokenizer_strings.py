"""Strings that tell tokenizers apart: code, every block of Unicode, marks, emoji, control characters, long runs."""
import argparse
import pathlib
import random
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parents[1]


def unicode_blocks(rng, step):
    """Text of every assigned part of Unicode: each 64 code points some of them, with spaces, digits and joining marks between."""
    for start in range(0, 0x110000, step):
        if 0xD800 <= start < 0xE000 or 0x40000 <= start < 0xE0000 or 0xE0200 <= start < 0xF0000 or 0xF0100 <= start:
            continue
        chars = [chr(c) for c in range(start, start + step) if not 0xD800 <= c < 0xE000]
        sample = [rng.choice(chars) for _ in range(24)]
        yield "".join(c + rng.choice(["", "", "", " ", "1", "a", "\n", "e\u0301", "."]) for c in sample)


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
              "[x]", "caf", "\u2581", "<0x41>", "<unk>", "[UNK]", "[SEP]", "</w>", "##", "``", "\ufb01", "\u0130", "\u3000", "I", "don't", "The", " cat", "\u0000", "\u200d", "\u0327", "\uac00", "\u11a8", "\u017f", "'"]
    for _ in range(count):
        yield "".join(rng.choice(pieces) for _ in range(rng.randint(1, 24)))


def code_lines(rng, count):
    lines = pathlib.Path(argparse.__file__).read_text().splitlines(keepends=True)
    lines += (ROOT / "include" / "lazuli" / "tokenizer.h").read_text().splitlines(keepends=True)
    for _ in range(count):
        start = rng.randrange(len(lines))
        yield "".join(lines[start:start + rng.randint(1, 12)])


def emoji(rng, count):
    parts = ["\U0001f468", "\u200d", "\U0001f469", "\U0001f467", "\ufe0f", "\u2764", "\U0001f3fd", "\U0001f1eb", "\U0001f1f7", "1\u20e3", " ", "\U0001f44d",
             "\U0001f3f4", "\U000e0067", "\U000e007f", "\u2640", "a"]
    for _ in range(count):
        yield "".join(rng.choice(parts) for _ in range(rng.randint(1, 20)))


def controls(rng, count):
    chars = [chr(c) for c in [*range(0x20), *range(0x7f, 0xa1), 0xad, 0x600, 0x61c, 0x180e, *range(0x200b, 0x2010), *range(0x2028, 0x202f), 0x2060, 0xfeff,
                              0xfff9, 0xfffd, 0xfffe, 0xe000, 0xe0001, 0x10ffff]]
    for _ in range(count):
        yield "".join(rng.choice([rng.choice(chars), rng.choice("ab .")]) for _ in range(rng.randint(1, 16)))


def marks(rng, count):
    """Letters with combining marks in any order, composed and not."""
    bases = list("aeonAEIs \u0131\u0130\u1100\uac00\u0928\u09c7\u212b\ufb01\u00bd\uff76\u3131\u1e9b\u00df")
    marks_ = [chr(c) for c in range(0x300, 0x370)] + list("\u0591\u05b0\u0651\u064e\u093c\u09be\u0e38\u1161\u11a8\u20d0\u3099\u0903\u0bd7\U0001d165\U0001e8d0")
    for _ in range(count):
        yield "".join(rng.choice(bases) + "".join(rng.choice(marks_) for _ in range(rng.randint(0, 4))) for _ in range(rng.randint(1, 8)))


def long_runs(rng):
    for unit in ["a", "ab", " ", "\n", "\u2581", "=", "1", "\u4f60", "e\u0301", "x\u0301\u0323", "'", " \n", "\U0001f600", "\u0001", "abc ", "##", "Z", "\ue000"]:
        yield unit * rng.randint(1500, 4000)


def strings(size, seed=0):
    rng = random.Random(seed)
    texts = list(special_cases())
    texts += random_mixes(rng, size)
    texts += code_lines(rng, size // 3)
    for some in (emoji, controls, marks):
        texts += some(rng, size // 8)
    blocks = list(unicode_blocks(rng, 64 if size > 500 else 1024))
    if size > 500:
        while len(blocks) < size:
            blocks += unicode_blocks(rng, 64)
    texts += blocks if size > 500 else rng.sample(blocks, size // 2)
    return texts + (list(long_runs(rng)) if size > 500 else [])
