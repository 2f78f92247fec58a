"""Writes cases.json, and the tokenizers that its cases start from: what transformers' AutoTokenizer makes of the files of a folder.

Needs tokenizers, transformers 5 and nothing else: python make.py
"""
import json
import logging
import os
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
os.environ["HF_HUB_OFFLINE"] = "1"
from tokenizers import pre_tokenizers  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

here = os.path.dirname(os.path.abspath(__file__))
TEXTS = ["hi<|im_end|> yo <x>  <img> the</s>", "THE Café 12345 中文 it's  ", "a <mask> b [MASK] NewWord newword<image>",
         " the\n\nthe unable <|endoftext|>"]


def added(content, id, **flags):
    return {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **flags}


def token(content, **flags):
    return {k: v for k, v in added(content, 0, **flags).items() if k != "id"}


def template(token, id):
    special, a, b = {"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}
    return {"type": "TemplateProcessing", "single": [special, a], "pair": [special, a, special, b],
            "special_tokens": {token: {"id": token, "ids": [id], "tokens": [token]}}}


def file(model, added_tokens, normalizer=None, pre_tokenizer=None, post_processor=None, decoder=None):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added_tokens, "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer, "post_processor": post_processor, "decoder": decoder, "model": model}


def bpe(vocab, merges, **options):
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
            "byte_fallback": False, "vocab": vocab, "merges": merges, **options}


def numbered(tokens):
    return {t: i for i, t in enumerate(dict.fromkeys(tokens))}


def byte_level():
    merges = [["t", "h"], ["th", "e"], ["i", "n"], ["Ġ", "the"], ["e", "r"], ["a", "n"]]
    vocab = numbered(["<s>", "</s>", "<pad>"] + sorted(pre_tokenizers.ByteLevel.alphabet()) + [a + b for a, b in merges])
    split = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return file(bpe(vocab, merges), [added("<s>", 0), added("</s>", 1), added("<pad>", 2)], None, split, template("<s>", 0),
                {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True})


def words():
    chars = "abcdefghijklmnopqrstuvwxyz0123456789"
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocab = numbered(names + "the a cat un ##able ##s hello . , ! é caf ##é".split() + list(chars) + ["##" + c for c in chars])
    return file({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab},
                [added(n, i) for i, n in enumerate(names)],
                {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
                {"type": "BertPreTokenizer"},
                {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}, {"type": "WordPiece", "prefix": "##", "cleanup": True})


def pieces():
    vocab = numbered(["<unk>", "<s>", "</s>"] + ["<0x%02X>" % i for i in range(256)] + list("▁theacdogxyzimHIT") + ["▁t", "he", "▁the"])
    return file(bpe(vocab, [["▁", "t"], ["h", "e"], ["▁t", "he"]], unk_token="<unk>", fuse_unk=True, byte_fallback=True),
                [added("<unk>", 0), added("<s>", 1), added("</s>", 2)],
                {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
                                                     {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}, None, template("<s>", 1),
                {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
                                                  {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})


def scores():
    vocab = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["▁the", -2.0], ["▁", -2.5], ["the", -3.0]]
    vocab += [[c, -4.0 - i * 0.1] for i, c in enumerate("abcdehitoxyTHE<>|_m/sn")] + [["<mask>", 0.0]]
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    return file({"type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": False},
                [added(vocab[i][0], i) for i in range(4)] + [added("<mask>", len(vocab) - 1, lstrip=True)], None, space, None, space)


BASES = {"byte_level": (byte_level(), "llama", {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
                                                "pad_token": "<pad>"}),
         "words": (words(), "bert", {"tokenizer_class": "BertTokenizer", "do_lower_case": True}),
         "pieces": (pieces(), "llama", {"tokenizer_class": "LlamaTokenizer", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}),
         "scores": (scores(), "bert", {"tokenizer_class": "XLMRobertaTokenizer"})}
CASES = []


def case(name, base="byte_level", config=None, tokenizer=None, without=(), model=None, **files):
    """`config` and `model` change tokenizer_config.json and config.json, `tokenizer` sections of tokenizer.json; a value of ... takes a key out."""
    _, model_type, start = BASES[base]
    changed = {k: v for k, v in {**start, **(config or {})}.items() if v is not ...}
    contents = {"config.json": {"model_type": model_type, **(model or {})}, "tokenizer_config.json": changed}
    contents.update({k.replace("__", ".json"): v for k, v in files.items()})
    CASES.append({"name": name, "base": base, "tokenizer": tokenizer or {}, "files": {k: v for k, v in contents.items() if k not in without}})


END = token("<|im_end|>")
case("as it stands")
case("added_tokens_decoder", config={"added_tokens_decoder": {"265": END}})
case("added_tokens_decoder gives an order, no ids", config={"added_tokens_decoder": {"300": token("<x>"), "265": END}})
case("added_tokens_decoder changes flags", config={"added_tokens_decoder": {"1": token("</s>", lstrip=True)}})
case("added_tokens_decoder with a token that is not special", config={"added_tokens_decoder": {"265": token("<x>", special=False, normalized=True, rstrip=True)}})
case("additional_special_tokens", config={"additional_special_tokens": ["<|im_end|>", "<x>"]})
case("additional_special_tokens of objects", config={"additional_special_tokens": [{"__type": "AddedToken", **END}]})
case("extra_special_tokens by name", config={"extra_special_tokens": {"end_token": "<|im_end|>"}})
case("extra_special_tokens by a known name", config={"extra_special_tokens": {"image": "<img>", "eos_token": "<x>"}})
case("extra_special_tokens as a list", config={"extra_special_tokens": ["<|im_end|>"]})
case("extra_special_tokens before additional_special_tokens", config={"extra_special_tokens": ["<|im_end|>"], "additional_special_tokens": ["<x>"]})
case("an empty extra_special_tokens", config={"extra_special_tokens": [], "additional_special_tokens": ["<x>"]})
case("a name of the model's own", config={"image_token": "<img>"})
case("a name of the model's own with an object", config={"image_token": {"__type": "AddedToken", **token("<img>")}})
case("added_tokens.json", added_tokens__={"<|im_end|>": 265})
case("added_tokens.json gives an order, no ids", added_tokens__={"<x>": 300, "<|im_end|>": 265})
case("added_tokens.json with a special token", added_tokens__={"<x>": 300, "<|im_end|>": 265}, config={"additional_special_tokens": ["<x>"]})
case("added_tokens.json with a token of the vocabulary", added_tokens__={"the": 260})
case("added_tokens.json beside added_tokens_decoder", added_tokens__={"<x>": 300}, config={"added_tokens_decoder": {"265": END}})
case("special_tokens_map.json", special_tokens_map__={"eos_token": "<|im_end|>"})
case("special_tokens_map.json of objects", special_tokens_map__={"eos_token": END, "bos_token": token("<x>")})
case("special_tokens_map.json with more tokens", special_tokens_map__={"additional_special_tokens": ["<|im_end|>", "<x>"]})
case("special_tokens_map.json beside additional_special_tokens", special_tokens_map__={"additional_special_tokens": ["<|im_end|>"]},
     config={"additional_special_tokens": ["<x>"]})
case("special_tokens_map.json with extra_special_tokens", special_tokens_map__={"extra_special_tokens": ["<|im_end|>"]},
     config={"additional_special_tokens": ["<x>"]})
case("special_tokens_map.json beside added_tokens_decoder", special_tokens_map__={"eos_token": "<x>"}, config={"added_tokens_decoder": {"265": END}})
case("special_tokens_map.json with a name of the model's own", special_tokens_map__={"image_token": "<img>"})
case("eos_token as an object", config={"eos_token": {"__type": "AddedToken", **END}})
case("eos_token null", config={"eos_token": None})
case("eos_token that is new", config={"eos_token": "<|im_end|>"})
case("eos_token of the vocabulary", config={"eos_token": "the"})
case("no pad_token", config={"pad_token": ...})
case("add_bos_token false", config={"add_bos_token": False})
case("add_eos_token true", config={"add_eos_token": True})
case("add_bos_token without a post_processor", config={"add_bos_token": True, "add_eos_token": True}, tokenizer={"post_processor": None})
case("padding of tokenizer.json", config={"pad_token": ...},
     tokenizer={"padding": {"strategy": {"Fixed": 20}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 2, "pad_type_id": 0, "pad_token": "<pad>"}})
case("truncation of tokenizer.json", tokenizer={"truncation": {"direction": "Left", "max_length": 4, "strategy": "LongestFirst", "stride": 0}})
case("truncation_side", config={"truncation_side": "left"})
case("truncation_side before truncation of tokenizer.json", config={"truncation_side": "right"},
     tokenizer={"truncation": {"direction": "Left", "max_length": 4, "strategy": "LongestFirst", "stride": 0}})
case("split_special_tokens", config={"split_special_tokens": True})
case("add_prefix_space", config={"add_prefix_space": True})
case("do_lower_case of no class", config={"do_lower_case": True})
case("padding_side, legacy, model_max_length, chat_template", config={"padding_side": "left", "legacy": False, "model_max_length": 4,
                                                                      "clean_up_tokenization_spaces": True, "chat_template": "{{ 1 }}"})
case("no tokenizer_config.json", without=("tokenizer_config.json",))
case("no config.json", without=("config.json",))
case("no config.json, a class", without=("config.json",), config={"tokenizer_class": "GPT2Tokenizer"})
case("a hole in the ids", tokenizer={"added_tokens": byte_level()["added_tokens"] + [added("<x>", 300)]})
known = byte_level()["added_tokens"]
case("an added token twice", tokenizer={"added_tokens": known + [added("<x>", 265), added("<x>", 265)]})
case("an added token twice with other flags", tokenizer={"added_tokens": known + [added("<x>", 265), added("<x>", 265, lstrip=True, rstrip=True)]})
case("an added token twice, special first", tokenizer={"added_tokens": known + [added("<x>", 265), added("<x>", 265, special=False, normalized=True)]})
case("an added token twice, special last", tokenizer={"added_tokens": known + [added("<x>", 265, special=False, normalized=True), added("<x>", 265)]})
case("an added token twice with two ids", tokenizer={"added_tokens": known + [added("<x>", 265), added("<x>", 266, lstrip=True), added("<img>", 266)]})
case("a token of the vocabulary added twice", tokenizer={"added_tokens": known + [added("</s>", 1, lstrip=True), added("the", 260, special=False)]})
case("an added token twice, of a class", tokenizer={"added_tokens": known + [added("<x>", 265), added("<x>", 265, lstrip=True)]},
     config={"tokenizer_class": "GPT2Tokenizer"})
case("LlamaTokenizer of bytes", config={"tokenizer_class": "LlamaTokenizerFast"})
for name in ("GPT2Tokenizer", "GPTNeoXTokenizer", "Qwen2Tokenizer", "RobertaTokenizer", "NoSuchTokenizer"):
    case(name, config={"tokenizer_class": name})
case("GPT2Tokenizer with add_prefix_space", config={"tokenizer_class": "GPT2TokenizerFast", "add_prefix_space": True})
case("GPT2Tokenizer with added_tokens_decoder", config={"tokenizer_class": "GPT2Tokenizer", "added_tokens_decoder": {"265": END}})
case("GPT2Tokenizer with its own names", config={"tokenizer_class": "GPT2Tokenizer", "eos_token": ..., "bos_token": ...})
case("tokenizer_class of config.json", config={"tokenizer_class": ...}, model={"tokenizer_class": "GPT2Tokenizer"})
case("tokenizer_class of both", model={"tokenizer_class": "GPT2Tokenizer"})
qwen2 = {"model_type": "qwen2"}
case("qwen2 takes its class", model=qwen2)
case("qwen2 takes its class before another", model=qwen2, config={"tokenizer_class": "GPT2Tokenizer"})
case("qwen2 with add_prefix_space", model=qwen2, config={"add_prefix_space": True})
case("qwen2 with unk_token null", model=qwen2, config={"unk_token": None})
case("qwen2 with added_tokens_decoder", model=qwen2, config={"added_tokens_decoder": {"1": token("</s>", lstrip=True), "265": END}})
qwen3_5 = {"model_type": "qwen3_5"}
case("qwen3_5 takes its class", model=qwen3_5)
case("qwen3_5 takes its class before another", model=qwen3_5, config={"tokenizer_class": "Qwen2Tokenizer"})
case("qwen3_5 with added_tokens_decoder", model=qwen3_5, config={"added_tokens_decoder": {"1": token("</s>", lstrip=True), "265": END}})
case("qwen3_5_text takes the class that is named", model={"model_type": "qwen3_5_text"}, config={"tokenizer_class": "Qwen2Tokenizer"})
case("qwen3_5_moe with add_prefix_space and no class", model={"model_type": "qwen3_5_moe"}, config={"tokenizer_class": ..., "add_prefix_space": True})
for name, config in {"as it stands": {}, "do_lower_case false": {"do_lower_case": False}, "strip_accents": {"strip_accents": True},
                     "strip_accents false": {"strip_accents": False}, "strip_accents, cased": {"strip_accents": True, "do_lower_case": False},
                     "tokenize_chinese_chars false": {"tokenize_chinese_chars": False},
                     "as the file": {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False},
                     "no class": {"tokenizer_class": ..., "do_lower_case": False},
                     "DistilBertTokenizer": {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": False},
                     "ElectraTokenizerFast": {"tokenizer_class": "ElectraTokenizerFast", "do_lower_case": False},
                     "MPNetTokenizer": {"tokenizer_class": "MPNetTokenizer"}, "unk_token": {"unk_token": "the"}, "cls_token": {"cls_token": "<x>"},
                     "additional_special_tokens": {"additional_special_tokens": ["<x>"]},
                     "added_tokens_decoder": {"added_tokens_decoder": {"0": token("[PAD]"), "1": token("[UNK]")}},
                     "never_split, do_basic_tokenize": {"never_split": ["THE"], "do_basic_tokenize": False}}.items():
    case("BERT, " + name, "words", config)
case("BERT, no tokenizer_config.json", "words", without=("tokenizer_config.json",), tokenizer={"normalizer": {**words()["normalizer"], "lowercase": False}})
case("BERT, no post_processor", "words", tokenizer={"post_processor": None})
case("BERT, a word added", "words", tokenizer={"added_tokens": words()["added_tokens"] + [added("NewWord", len(words()["model"]["vocab"]), normalized=True, special=False)]})
case("BERT, another limit of characters", "words", tokenizer={"model": {**words()["model"], "max_input_chars_per_word": 3}})
case("MPNet", "words", {"tokenizer_class": ...}, model={"model_type": "mpnet"})
for name, config in {"as it stands": {}, "Fast": {"tokenizer_class": "LlamaTokenizerFast"}, "legacy": {"legacy": True}, "legacy null": {"legacy": None},
                     "add_prefix_space false": {"add_prefix_space": False}, "as the file": {"tokenizer_class": "PreTrainedTokenizerFast"},
                     "add_bos_token false": {"add_bos_token": False, "add_eos_token": True},
                     "added_tokens_decoder": {"added_tokens_decoder": {"0": token("<unk>"), "1": token("<s>"), "2": token("</s>"), "300": token("<x>")}}}.items():
    case("Llama, " + name, "pieces", config)
case("Llama of a model that takes the file", "pieces", model={"model_type": "mistral"})
case("Llama of a model that names it wrongly", "pieces", model={"model_type": "phi3"})
case("Gemma", "pieces", {"tokenizer_class": "GemmaTokenizer"})
case("Gemma, its model", "pieces", {"tokenizer_class": ..., "pad_token": "<x>", "mask_token": None}, model={"model_type": "gemma3_text"})
case("Qwen 3.5 before another", model={"model_type": "qwen3_5_text"}, config={"tokenizer_class": "Qwen2Tokenizer"})
case("a class of a registered model", model={"model_type": "starcoder2"}, config={"tokenizer_class": ...})
case("a class of a model that takes the file", model={"model_type": "granite"}, config={"tokenizer_class": "GPT2Tokenizer"})
case("XLM-RoBERTa", "scores")
case("XLM-RoBERTa, add_prefix_space false", "scores", {"tokenizer_class": "XLMRobertaTokenizerFast", "add_prefix_space": False})
case("XLM-RoBERTa, as the file", "scores", {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"})

for base, (content, _, _) in BASES.items():
    json.dump(content, open(os.path.join(here, base + ".json"), "w"), ensure_ascii=False, separators=(",", ":"))
for c in CASES:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in [("tokenizer.json", {**BASES[c["base"]][0], **c["tokenizer"]}), *c["files"].items()]:
            json.dump(content, open(os.path.join(folder, name), "w"))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        c["ids"] = [tokenizer(text)["input_ids"] for text in TEXTS]
        c["cut"] = tokenizer(TEXTS[0], truncation=True, max_length=7)["input_ids"]
        pair = tokenizer(TEXTS[0], TEXTS[3])
        c["pair"] = pair["input_ids"]
        c["decoded"] = tokenizer.decode(c["ids"][0], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        c["special"] = [tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id]
with open(os.path.join(here, "cases.json"), "w") as out:
    lines = ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in CASES)
    out.write('{"texts":%s,"cases":[\n%s\n]}\n' % (json.dumps(TEXTS, ensure_ascii=False), lines))
print(len(CASES), "cases", file=sys.stderr)
