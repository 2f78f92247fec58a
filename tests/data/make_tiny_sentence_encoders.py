"""Makes tests/data/tiny-sentences: a WordPiece tokenizer for tiny-bert, three folders of sentence-transformers around it (without the
encoder's weights), and the vectors that sentence-transformers computes with them.

Usage: python make_tiny_sentence_encoders.py tests/data    (needs sentence-transformers)
"""
import json
import pathlib
import shutil
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules.transformer import Transformer
from sentence_transformers.sentence_transformer import modules
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

DATA = pathlib.Path(sys.argv[1])
OUT = DATA / "tiny-sentences"
WEIGHTS = ("model.safetensors", "config.json", "tokenizer.json", "special_tokens_map.json", "README.md")
TEXTS = ["a cat", "The Dog sat on the mat, and the cat on a rug.", "", "how do I train? " * 12, "Find the [MASK] word; naïve café!"]


def make_tokenizer():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    texts = TEXTS + ["the cat sat on the mat", "query find a word", "passage dogs and cats train models"]
    tokenizer.train_from_iterator(texts * 3, trainers.WordPieceTrainer(vocab_size=120, special_tokens=special, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=200, **names)


def make(name, base, later, prompts, default_prompt, max_seq_length, lower=False):
    encoder = Transformer(str(base), max_seq_length=max_seq_length, do_lower_case=lower)
    model = SentenceTransformer(modules=[encoder, *later], prompts=prompts, default_prompt_name=default_prompt, device="cpu")
    model.save(str(OUT / name))
    results = []
    for prompt in [None, *(prompts or {})]:
        vectors = model.encode(TEXTS, prompt_name=prompt, convert_to_numpy=True)
        results.append({"prompt": prompt or "", "vectors": [[round(float(x), 6) for x in v] for v in vectors]})
    for file in WEIGHTS:
        (OUT / name / file).unlink(missing_ok=True)
    return results


def main():
    torch.manual_seed(3)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    tokenizer = make_tokenizer()
    expected = {"texts": TEXTS}
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder)
        tokenizer.save_pretrained(base)
        shutil.copy(DATA / "tiny-bert" / "config.json", base / "config.json")
        # Stored as f16, which would also be computed in.
        state = {name: t.float() for name, t in load_file(DATA / "tiny-bert" / "model.safetensors").items()}
        save_file(state, base / "model.safetensors", metadata={"format": "pt"})
        shutil.copy(base / "tokenizer.json", OUT / "tokenizer.json")
        expected["ids"] = [tokenizer(t)["input_ids"] for t in TEXTS]
        every = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
        prompts = {"query": "query: find ", "passage": "passage: "}
        expected["all-modes"] = make("all-modes", base, [modules.Pooling(32, every)], None, None, 200)
        later = [modules.Pooling(32, "mean", include_prompt=False), modules.Dense(32, 24), modules.Normalize()]
        expected["dense"] = make("dense", base, later, prompts, "query", 20)
        later = [modules.Pooling(32, ("cls", "lasttoken"), include_prompt=False),
                 modules.Dense(64, 16, bias=False, activation_function=torch.nn.Identity())]
        expected["prompts"] = make("prompts", base, later, prompts, None, 60, True)
    (OUT / "expected.json").write_text(json.dumps(expected))


main()
