"""Makes tests/data/rerankers/train-*.json and train-*/: what PEFT computes when it trains an adapter and a head on labels, and its adapter.

Usage: python make_label_training.py tests/data    (needs what make_rerankers.py needs, and peft)
"""
import json
import tempfile

import peft
import torch
import transformers
from transformers import PreTrainedTokenizerFast

import make_rerankers as rerankers
from make_families import uniform

STEPS, ROWS, RANK, ALPHA = 6, 3, 2, 4
TRAIN = dict(learning_rate=1e-2, weight_decay=0.01, max_grad_norm=1.0)


def make(name, labels, wanted):
    config = transformers.BertConfig(**(rerankers.ENCODER | dict(num_labels=labels)))
    model = transformers.AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").float().eval()
    tensors = rerankers.fill(model)
    core, post = rerankers.word_pieces(False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="[PAD]", model_max_length=rerankers.MAX_LENGTH)
    written = json.loads(config.to_json_string(use_diff=False))
    model = peft.get_peft_model(model, peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["query", "key", "value", "dense"],
                                                      task_type="SEQ_CLS")).eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            if "lora_" not in key:
                continue
            path, _, factor = key.removeprefix("base_model.model.").partition(".lora_")
            p.copy_(uniform(f"{path}.lora_{factor[0]}", tuple(p.shape), 0.0, 0.5 if factor[0] == "A" else 0.25))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=TRAIN["learning_rate"], weight_decay=TRAIN["weight_decay"], eps=1e-8)
    losses, norms = [], []
    for step in range(STEPS):
        rows = [(step * ROWS + k) % len(rerankers.TEXTS) for k in range(ROWS)]
        batch = tokenizer([[rerankers.QUERY, rerankers.TEXTS[k]] for k in rows], truncation="longest_first", padding=True, return_tensors="pt")
        target = torch.tensor([wanted[k] for k in rows])
        if labels > 1:
            loss = model(**batch, labels=target).loss
        else:
            loss = torch.nn.BCEWithLogitsLoss()(model(**batch).logits.view(-1), target.float())
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(trained, TRAIN["max_grad_norm"]).item())
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        batch = tokenizer([[rerankers.QUERY, t] for t in rerankers.TEXTS], truncation="longest_first", padding=True, return_tensors="pt")
        logits = model(**batch).logits
    model.save_pretrained(rerankers.OUT / name)
    (rerankers.OUT / name / "README.md").unlink(missing_ok=True)
    out = dict(config=json.dumps(written), tensors=tensors, post_processor=json.dumps(post), max_length=rerankers.MAX_LENGTH,
               inputs=tokenizer.model_input_names, query=rerankers.QUERY, texts=rerankers.TEXTS, wanted=wanted, rank=RANK, alpha=ALPHA,
               rows=ROWS, losses=rerankers.short(losses), grad_norms=rerankers.short(norms), logits_after=rerankers.short(logits.flatten().tolist()),
               **TRAIN)
    print(name, losses, norms)
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in out.items())
    (rerankers.OUT / f"{name}.json").write_text("{" + lines + "}\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    make("train-classes", 3, [0, 1, 2, 1, 0])
    make("train-relevance", 1, [1.0, 0.0, 0.25, 1.0, 0.0])
