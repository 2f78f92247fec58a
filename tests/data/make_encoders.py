"""Makes tests/data/encoders: what transformers and PEFT compute with small encoders of many architectures whose weights are a formula.

Usage: python make_encoders.py tests/data [NAME...]    (needs torch, transformers, peft and numpy; seconds)

Weights are those of make_families.py. Each file has the configuration as transformers writes it, the tensors with their shapes, shifts and
scales, the states of some texts, each alone, and losses and gradient norms of LoRA steps on the cosines of pairs of texts.
"""
import json
import pathlib
import sys

import torch
import transformers
from peft import LoraConfig, get_peft_model

import whole_model_numbers as numbers
from make_families import uniform

VOCABULARY, STEPS, PAIRS, TOKENS, RANK, ALPHA = 120, 5, 4, 9, 2, 4
LENGTHS = (1, 5, 9, 30, 70)
TRAIN = dict(learning_rate=1e-2, weight_decay=0.01, max_grad_norm=1.0)
COMMON = dict(vocab_size=VOCABULARY, hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4)
ENCODERS = {
    # A padding id inside a text is its own position.
    "roberta": lambda: transformers.RobertaConfig(max_position_embeddings=75, pad_token_id=3, layer_norm_eps=1e-5, **COMMON),
    "xlm-roberta": lambda: transformers.XLMRobertaConfig(max_position_embeddings=80, type_vocab_size=1, **COMMON),
    "camembert": lambda: transformers.CamembertConfig(max_position_embeddings=72, type_vocab_size=1, **COMMON),
    "distilbert": lambda: transformers.DistilBertConfig(vocab_size=VOCABULARY, dim=24, hidden_dim=40, n_layers=3, n_heads=4, max_position_embeddings=70),
    # A window of 3 to either side in two of three layers, or as layer_types says; texts are longer than it.
    "modernbert": lambda: transformers.ModernBertConfig(max_position_embeddings=70, local_attention=6, pad_token_id=0, cls_token_id=1, sep_token_id=2,
                                                        bos_token_id=1, eos_token_id=2, **COMMON | dict(num_hidden_layers=4)),
    "modernbert_biases": lambda: transformers.ModernBertConfig(max_position_embeddings=70, local_attention=9, pad_token_id=0, attention_bias=True,
        mlp_bias=True, norm_bias=True, hidden_activation="silu", layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        bos_token_id=1, eos_token_id=2, rope_parameters=dict(full_attention=dict(rope_type="linear", factor=2.0, rope_theta=5000.0),
                                                            sliding_attention=dict(rope_type="default", rope_theta=100.0)), **COMMON),
    "nomic_bert": lambda: transformers.NomicBertConfig(max_position_embeddings=70, **COMMON),
    "electra": lambda: transformers.ElectraConfig(max_position_embeddings=70, embedding_size=16, **COMMON),
}


def parts(name):
    """Shift and scale of a tensor."""
    if name.endswith("weight") and "norm" in name.lower():
        return 1.0, 0.5
    if name.endswith("bias"):
        return 0.0, 0.25
    return 0.0, 2.0 if "embeddings." in name else 1.0


def fill(model):
    tensors = {}
    with torch.no_grad():
        for name, p in model.named_parameters():
            shift, scale = parts(name)
            p.copy_(uniform(name, tuple(p.shape), shift, scale))
            tensors[name] = [list(p.shape), shift, scale]
    return tensors


def ids(name, *shape):
    return torch.from_numpy(numbers.ids(name, torch.Size(shape).numel(), VOCABULARY)).reshape(shape)


def states_of(model, text):
    return model(input_ids=text[None], attention_mask=torch.ones_like(text[None])).last_hidden_state[0]


def train(model, encoder):
    model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="FEATURE_EXTRACTION"))
    parameters = [(n, p) for n, p in model.named_parameters() if "lora_" in n]
    with torch.no_grad():
        for name, p in parameters:
            path, _, factor = name.removeprefix("base_model.model.").partition(".lora_")
            p.copy_(uniform(f"{path}.lora_{factor[0]}", tuple(p.shape), 0.0, 0.5 if factor[0] == "A" else 0.25))
    model.eval()
    used = [p for n, p in parameters if "pooler" not in n]
    optimizer = torch.optim.AdamW(used, lr=TRAIN["learning_rate"], weight_decay=TRAIN["weight_decay"], eps=1e-8)
    losses, norms = [], []
    for step in range(STEPS):
        batch = ids(f"{encoder}.step.{step}", 2 * PAIRS, TOKENS)
        states = model(input_ids=batch, attention_mask=torch.ones_like(batch)).last_hidden_state
        a, b = torch.nn.functional.normalize(states.mean(1)).split(PAIRS)
        loss = torch.nn.functional.cross_entropy(20 * a @ b.T, torch.arange(PAIRS))
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(used, TRAIN["max_grad_norm"]).item())
        optimizer.step()
        losses.append(loss.item())
    return sorted(n.removeprefix("base_model.model.").removesuffix(".lora_A.default.weight") for n, _ in parameters if "lora_A" in n), losses, norms


def make(encoder, folder):
    config = ENCODERS[encoder]()
    config._attn_implementation = "eager"
    model = transformers.AutoModel.from_config(config, attn_implementation="eager").float().eval()
    tensors = fill(model)
    short = lambda values: [float(f"{v:.7g}") for v in values.tolist()]
    texts = []
    with torch.no_grad():
        for k, length in enumerate(LENGTHS):
            text = ids(f"{encoder}.text.{k}", length)
            text[text == 0] = 5
            if length == 30:
                text[7] = config.pad_token_id or 0  # padding's id inside a text
            h = states_of(model, text)
            texts.append(dict(ids=text.tolist(), first=short(h[0]), last=short(h[-1]), mean=short(h.mean(0))))
    layers, losses, norms = train(model, encoder)
    print(encoder, "spread", h.std().item(), "losses", losses, flush=True)
    written = json.loads(config.to_json_string(use_diff=False))
    for key in ("_name_or_path", "transformers_version", "id2label", "label2id"):
        written.pop(key, None)
    out = dict(config=json.dumps(written), vocabulary=VOCABULARY, tensors=tensors, rank=RANK, alpha=ALPHA, texts=texts, batch=[2 * PAIRS, TOKENS], layers=layers,
               losses=losses, grad_norms=norms, **TRAIN)
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in out.items())
    (folder / f"{encoder}.json").write_text("{" + lines + "}\n")


def main():
    folder = pathlib.Path(sys.argv[1]) / "encoders"
    folder.mkdir(exist_ok=True)
    for encoder in sys.argv[2:] or ENCODERS:
        make(encoder, folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
