"""Makes tests/data/decoder-embeddings: folders of sentence-transformers around small decoders, and the vectors that it computes with them.

Usage: python make_decoder_embeddings.py tests/data    (needs sentence-transformers)

Weights are a formula, those of make_families.py. Each file has the folder's own files as texts, the tensors of each file of weights with
their shapes, shifts and scales, some texts, and for each prompt their vectors.
"""
import json
import pathlib
import sys
import tempfile

import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules.transformer import Transformer
from sentence_transformers.sentence_transformer import modules
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from make_families import uniform

TEXTS = ["a cat", "the Dog sat on the mat and the cat sat on a rug by the door of the house where the cat and the dog sat", "", "find the word train", "a"]
COMMON = dict(vocab_size=48, hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
              max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2)


def tokenizer_of(template, padding_side):
    special = ["<pad>", "<bos>", "<eos>", "<unk>"]
    words = sorted({w for t in TEXTS + ["instruct find : query task search result | none title"] for w in t.lower().split()})
    t = Tokenizer(models.WordLevel({w: k for k, w in enumerate(special + words)}, unk_token="<unk>"))
    t.add_special_tokens(special)
    t.normalizer, t.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    t.post_processor = processors.TemplateProcessing(single=template, special_tokens=[("<bos>", 1), ("<eos>", 2)])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=t, model_max_length=60, padding_side=padding_side, pad_token="<pad>", bos_token="<bos>",
                                                eos_token="<eos>", unk_token="<unk>")


def fill(model, gemma=False):
    tensors = {}
    with torch.no_grad():
        for name, p in model.state_dict().items():
            shift = 1.0 if "norm" in name and not gemma else 0.0
            scale = 2.0 if "embed" in name else 0.5 if "norm" in name else 1.0
            p.copy_(uniform(name, tuple(p.shape), shift, scale))
            tensors[name] = [list(p.shape), shift, scale]
    return tensors


def dense(size_in, size_out):
    return modules.Dense(size_in, size_out, bias=False, activation_function=torch.nn.Identity())


CASES = {
    "qwen3": dict(config=lambda: transformers.Qwen3Config(tie_word_embeddings=False, **COMMON), template="$A <eos>", side="left", max_length=20,
                  later=lambda: [modules.Pooling(24, "lasttoken"), modules.Normalize()],
                  prompts={"query": "Instruct: find the task\nQuery:", "document": ""}),
    "mistral": dict(config=lambda: transformers.MistralConfig(sliding_window=6, **COMMON), template="<bos> $A <eos>", side="right", max_length=40,
                    later=lambda: [modules.Pooling(24, "lasttoken"), modules.Normalize()], prompts={}),
    "gemma3_text": dict(config=lambda: transformers.Gemma3TextConfig(
        use_bidirectional_attention=True, sliding_window=6, query_pre_attn_scalar=16, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters=dict(full_attention=dict(rope_type="default", rope_theta=5000.0), sliding_attention=dict(rope_type="default", rope_theta=100.0)), **COMMON),
        template="<bos> $A <eos>", side="right", max_length=40, later=lambda: [modules.Pooling(24, "mean"), dense(24, 32), dense(32, 24), modules.Normalize()],
        prompts={"query": "task: search result | query: ", "document": "title: none | text: "}),
    # No modules: the last token's state.
    "plain": dict(config=lambda: transformers.LlamaConfig(**COMMON), template="<bos> $A", side="right", max_length=None, later=None, prompts={}),
}


def make(name, out):
    case = CASES[name]
    config = case["config"]()
    weights = {}
    with tempfile.TemporaryDirectory() as folder:
        base, whole = pathlib.Path(folder) / "base", pathlib.Path(folder) / "whole"
        kind = transformers.AutoModel if case["later"] else transformers.AutoModelForCausalLM
        model = kind.from_config(config).float()
        weights["model.safetensors"] = fill(model, "gemma" in name)
        model.save_pretrained(base)
        tokenizer_of(case["template"], case["side"]).save_pretrained(base)
        if case["later"]:
            later = case["later"]()
            for k, module in enumerate(later):
                if isinstance(module, modules.Dense):
                    weights[f"{k + 1}_Dense/model.safetensors"] = fill(module)
            SentenceTransformer(modules=[Transformer(str(base), max_seq_length=case["max_length"]), *later], prompts=case["prompts"], device="cpu").save(str(whole))
        else:
            whole = base
        st = SentenceTransformer(str(whole), device="cpu")
        vectors = {p: st.encode(TEXTS, prompt_name=p or None, convert_to_numpy=True).tolist() for p in ["", *case["prompts"]]}
        files = {str(f.relative_to(whole)): f.read_text() for f in sorted(whole.rglob("*.json")) if f.name != "generation_config.json"}
    short = lambda rows: [[float(f"{v:.7g}") for v in row] for row in rows]
    result = dict(files=files, weights=weights, texts=TEXTS, vectors={p: short(rows) for p, rows in vectors.items()})
    (out / f"{name}.json").write_text("{" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in result.items()) + "}\n")


def main():
    out = pathlib.Path(sys.argv[1]) / "decoder-embeddings"
    out.mkdir(exist_ok=True)
    for name in sys.argv[2:] or CASES:
        make(name, out)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
