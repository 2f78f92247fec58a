"""Writes small vocabularies of sentencepiece and tiktoken, and cases.json: what transformers' AutoTokenizer makes of folders without tokenizer.json.

Needs tokenizers, transformers 5, sentencepiece, protobuf and tiktoken: python make.py
"""
import base64
import json
import logging
import os
import shutil
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
os.environ["HF_HUB_OFFLINE"] = "1"
import sentencepiece  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

here = os.path.dirname(os.path.abspath(__file__))
FILES = os.path.join(here, "..", "files")
TEXTS = ["the quick  fox", "", " ", "  two  spaces at the end  ", "the\n\nthe\tdog\r\n", "Café naïve ﬁ Ａ 中文字", "🙂 👩‍👩‍👧 e\u0301",
         "a\x00b\x07c\x7f", "<s> a </s><unk><pad>", "x<tool>y <tool> <ctl>z<0x41>", "▁the ▁▁", "<|end|> 123456 it's <|x|>",
         "def main():\n    return 0", "the lazy dog and the cat " * 2, "\u200b\u00a0\u3000the", "[MASK] THE unable <mask>."]
CORPUS = ["the quick brown fox jumps over the lazy dog", "a cat sat on the mat and the dog ran", "def main(): return 0",
          "Numbers 123 456 and 789", "Café naïve 中文 字", "in the beginning there was nothing and then there were trees"] * 20


def train(name, **options):
    with tempfile.TemporaryDirectory() as folder:
        corpus, rules = os.path.join(folder, "corpus.txt"), os.path.join(folder, "rules.tsv")
        open(corpus, "w").write("\n".join(CORPUS))
        # Full width A, the ligature fi, the ideographic space, tab and line feed.
        open(rules, "w").write("FF21\t41\nFB01\t66 69\n3000\t20\n9\t20\nA\t20\n")
        if options.pop("rules", False):
            options["normalization_rule_tsv"] = rules
        sentencepiece.SentencePieceTrainer.train(input=corpus, model_prefix=os.path.join(folder, "m"), minloglevel=2, hard_vocab_limit=False,
                                                 num_threads=1, **options)
        shutil.copy(os.path.join(folder, "m.model"), os.path.join(here, name))


def write_ranks():
    tokens = [bytes([i]) for i in range(256)] + [b"th", b"the", b" the", b"er", b"in", b"  ", b"    ", "中".encode(), "é".encode(), b"12"]
    with open(os.path.join(here, "ranks.model"), "w") as out:
        out.writelines(f"{base64.b64encode(t).decode()} {i}\n" for i, t in enumerate(tokens))


train("bpe.model", vocab_size=330, model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
      user_defined_symbols=["<tool>", "  ", "he.d"], control_symbols=["<ctl>"])
train("bpe_plain.model", vocab_size=75, model_type="bpe", rules=True)
train("unigram.model", vocab_size=120, model_type="unigram", rules=True, user_defined_symbols=["<tool>"], control_symbols=["<ctl>"])
train("unigram_bytes.model", vocab_size=330, model_type="unigram", byte_fallback=True, normalization_rule_name="identity",
      add_dummy_prefix=False)
write_ranks()

CASES = []
TOKEN = {"content": "<|end|>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False, "special": True}


def case(name, model, vocabulary, config=None, **files):
    """`vocabulary`: names in the folder, and what lies here or is made of a file of ../files under them."""
    contents = {"config.json": {"model_type": model}, "tokenizer_config.json": config or {}}
    contents.update({k.replace("__", ".json"): v for k, v in files.items()})
    CASES.append({"name": name, "vocabulary": vocabulary, "files": contents})


def llama(config=None):
    return {"tokenizer_class": "LlamaTokenizer", **(config or {})}


BPE, PLAIN, UNIGRAM, BYTES = ({"tokenizer.model": n + ".model"} for n in ("bpe", "bpe_plain", "unigram", "unigram_bytes"))
for name, config in {"as it is": {}, "ends": {"add_bos_token": True, "add_eos_token": True}, "legacy": {"legacy": True}, "no prefix": {"add_prefix_space": False, "add_bos_token": True},
                     "tokens": {"added_tokens_decoder": {"0": {**TOKEN, "content": "<unk>"}, "1": {**TOKEN, "content": "<s>"}, "400": TOKEN}},
                     "a list": {"additional_special_tokens": ["<|x|>"]},
                     "other ends": {"eos_token": "<|end|>", "pad_token": "<pad>", "add_eos_token": True},
                     "no begin": {"bos_token": None, "add_bos_token": True}, "split": {"split_special_tokens": True}}.items():
    case("Llama, " + name, "llama", BPE, llama(config))
case("Llama, plain", "llama", PLAIN, llama())
case("Llama, added_tokens.json", "llama", BPE, llama(), added_tokens__={"<|end|>": 330}, special_tokens_map__={"pad_token": "<|x|>"})
case("Llama, special_tokens_map.json", "llama", BPE, llama(), special_tokens_map__={"additional_special_tokens": ["<|x|>"], "eos_token": TOKEN})
for name, config in {"as it is": {}, "begin": {"add_bos_token": True, "tokenizer_class": "GemmaTokenizerFast"},
                     "its names": {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<unk>", "mask_token": None}}.items():
    case("Gemma, " + name, "gemma2", BPE, config)
for name, model in {"BPE": BPE, "plain": PLAIN, "unigram": UNIGRAM, "unigram with bytes": BYTES}.items():
    for title, config in {"as it is": {}, "not legacy": {"legacy": False, "add_bos_token": True, "add_eos_token": True},
                          "tokens": {"added_tokens_decoder": {"3": {**TOKEN, "content": "<|x|>"}, "900": TOKEN}}}.items():
        case(f"No class, {name}, {title}", "mistral", model, llama(config))
case("No class, BPE, names swapped", "phi3", BPE, {"added_tokens_decoder": {"1": {**TOKEN, "content": "</s>"}, "2": {**TOKEN, "content": "<s>"}}})
case("No class, no settings", "llama", UNIGRAM)
XLMR = {"sentencepiece.bpe.model": "unigram.model"}
case("XLM-RoBERTa", "xlm-roberta", XLMR)
case("XLM-RoBERTa, its class", "bert", XLMR, {"tokenizer_class": "XLMRobertaTokenizer", "mask_token": {"__type": "AddedToken", **TOKEN, "content": "<mask>", "lstrip": True}})
case("XLM-RoBERTa, no prefix", "xlm-roberta", XLMR, {"add_prefix_space": False, "cls_token": "<ctl>", "sep_token": "<tool>"})
case("XLM-RoBERTa, tokenizer.model", "xlm-roberta", UNIGRAM)
RANKS = {"tokenizer.model": "ranks.model"}
for name, config in {"as it is": {}, "a list": {"extra_special_tokens": ["<|end|>", "<|x|>"]}, "begin": {"bos_token": "<|x|>", "add_bos_token": True},
                     "tokens": {"added_tokens_decoder": {"266": TOKEN, "269": {**TOKEN, "content": "<|x|>"}}, "bos_token": "<|x|>", "eos_token": "<|end|>"},
                     "both": {"added_tokens_decoder": {"267": TOKEN}, "additional_special_tokens": ["<|x|>", "<|end|>"], "add_bos_token": False}}.items():
    case("Ranks, " + name, "llama", RANKS, {"tokenizer_class": "PreTrainedTokenizerFast", **config})
case("Ranks of Llama's class", "llama", RANKS, llama({"add_bos_token": True}))
case("tiktoken.model", "llama", {"tiktoken.model": "ranks.model"})
LISTS = {"vocab.json": "byte_level", "merges.txt": "byte_level"}
for name, model, config in (("GPT2, begin", "gpt2", {"add_bos_token": True, "add_prefix_space": True}),
                            ("GPT2, its class", "llama", {"tokenizer_class": "GPT2Tokenizer", "bos_token": "<s>", "pad_token": "<pad>"}),
                            ("GPT-NeoX", "gpt_neox", {"add_eos_token": True}), ("Qwen2", "qwen2", {"added_tokens_decoder": {"300": TOKEN}}),
                            ("Qwen3", "qwen3", {"tokenizer_class": "Qwen2Tokenizer", "add_bos_token": False, "extra_special_tokens": ["<|x|>"]}),
                            ("RoBERTa", "roberta", {})):
    case(name, model, LISTS, config)
case("Qwen2, added_tokens.json", "qwen2", LISTS, {}, added_tokens__={"<|end|>": 266, "<|x|>": 265}, special_tokens_map__={"additional_special_tokens": ["<|end|>"]})
for name, model, config in (("BERT", "bert", {}), ("BERT, cased", "distilbert", {"do_lower_case": False}), ("MPNet", "mpnet", {}),
                            ("BERT, its class", "llama", {"tokenizer_class": "BertTokenizerFast", "additional_special_tokens": ["<|x|>"]})):
    case(name, model, {"vocab.txt": "words"}, config)


def write_file(folder, name, source):
    if source.endswith(".model"):
        return shutil.copy(os.path.join(here, source), os.path.join(folder, name))
    model = json.load(open(os.path.join(FILES, source + ".json")))["model"]
    with open(os.path.join(folder, name), "w", newline="") as out:
        if name == "vocab.json":
            json.dump(model["vocab"], out)
        elif name == "merges.txt":
            out.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in model["merges"]))
        else:  # a word that comes again, spaces at an end, and no line feed after the last one
            out.write("\n".join(model["vocab"]) + "  \r\n\nthe\nlast\u3000")


POOL = []


def pooled(ids):
    if ids not in POOL:
        POOL.append(ids)
    return POOL.index(ids)


for c in CASES:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in c["files"].items():
            json.dump(content, open(os.path.join(folder, name), "w"))
        for name, source in c["vocabulary"].items():
            write_file(folder, name, source)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        ids = [tokenizer(text)["input_ids"] for text in TEXTS]
        c["ids"] = [pooled(i) for i in ids]
        c["pair"] = pooled(tokenizer(TEXTS[0], TEXTS[8])["input_ids"])
        c["decoded"] = [tokenizer.decode(i, skip_special_tokens=True, clean_up_tokenization_spaces=False) for i in (ids[3], ids[5])]
        c["special"] = [tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id]
        c["size"] = max(tokenizer.get_vocab().values()) + 1
        if c["name"].startswith("No class") and c["name"].endswith("as it is"):
            reference = sentencepiece.SentencePieceProcessor(model_file=os.path.join(folder, "tokenizer.model"))
            c["sentencepiece"] = [pooled(reference.encode(text)) for text in TEXTS]
with open(os.path.join(here, "cases.json"), "w") as out:
    lines = ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in CASES)
    pool = ",\n".join(json.dumps(ids, separators=(",", ":")) for ids in POOL)
    out.write('{"texts":%s,"pool":[\n%s\n],"cases":[\n%s\n]}\n' % (json.dumps(TEXTS, ensure_ascii=False), pool, lines))
print(len(CASES), "cases", file=sys.stderr)
