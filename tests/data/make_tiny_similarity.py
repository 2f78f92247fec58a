"""Makes tests/data/tiny-similarity: an adapter for tiny-bert, and the losses of PyTorch and PEFT when it is trained on pairs of texts.

Usage: python make_tiny_similarity.py tests/data    (needs torch, transformers, peft and safetensors)
"""
import json
import pathlib
import shutil
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

DATA = pathlib.Path(sys.argv[1])
OUT = DATA / "tiny-similarity"
PAIRS = [("a cat", "the cat sat on the mat"), ("how do I train?", "find a train"), ("The Dog", "a dog on a rug"), ("word", "naïve café!")]
SCORES = [0.9, 0.1, 0.7, -0.5]
NEGATIVES = [["a dog on a mat"], [], ["find a mat", "a train on a rug"], ["how do I sit?"]]
STEPS, RATE = 6, 1e-2


def vectors(model, tokenizer, texts):
    encoded = [tokenizer.encode(t).ids for t in texts]
    length = max(map(len, encoded))
    ids = torch.tensor([e + [0] * (length - len(e)) for e in encoded])
    mask = torch.tensor([[1] * len(e) + [0] * (length - len(e)) for e in encoded])
    states = model(input_ids=ids, attention_mask=mask).last_hidden_state
    return torch.nn.functional.normalize((states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))


def train(kind, tokenizer, save):
    torch.manual_seed(7)
    base = BertModel(BertConfig(**json.loads((DATA / "tiny-bert/config.json").read_text())), add_pooling_layer=False)
    state = {k: v.float() for k, v in load_file(DATA / "tiny-bert/model.safetensors").items()}
    base.load_state_dict(state, strict=False)
    config = LoraConfig(r=2, lora_alpha=4, task_type="FEATURE_EXTRACTION",
                        target_modules=["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"])
    model = get_peft_model(base, config)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            p.data.normal_(std=0.05)
    if save:
        model.save_pretrained(OUT)
        (OUT / "README.md").unlink(missing_ok=True)
    model.eval()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01)
    losses, norms = [], []
    for _ in range(STEPS):
        a, b = (vectors(model, tokenizer, [p[k] for p in PAIRS]) for k in (0, 1))
        if kind == "contrastive":
            loss = torch.nn.functional.cross_entropy(20 * a @ b.T, torch.arange(len(PAIRS)))
        elif kind == "negatives":
            # As MultipleNegativesRankingLoss has it: every negative of the batch is a further candidate for every anchor.
            b = torch.cat([b, vectors(model, tokenizer, [n for row in NEGATIVES for n in row])])
            loss = torch.nn.functional.cross_entropy(20 * a @ b.T, torch.arange(len(PAIRS)))
        else:
            loss = ((a * b).sum(1) - torch.tensor(SCORES)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, 1.0).item())
        optimizer.step()
        losses.append(loss.item())
    return {"losses": losses, "grad_norms": norms}


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    tokenizer = Tokenizer.from_file(str(DATA / "tiny-sentences/tokenizer.json"))
    expected = {"learning_rate": RATE, "pairs": PAIRS, "cosines": SCORES, "negatives_of": NEGATIVES}
    for kind in ("contrastive", "scores", "negatives"):
        expected[kind] = train(kind, tokenizer, kind == "contrastive")
    (OUT / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1))


main()
