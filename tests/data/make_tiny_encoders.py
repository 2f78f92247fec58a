"""Makes the small random encoders tests/data/tiny-bert and tiny-mpnet and what transformers computes with them.

Usage: python make_tiny_encoders.py tests/data    (needs torch, transformers, safetensors and numpy)
"""
import json
import os
import sys

import torch
from transformers import BertConfig, BertModel, MPNetConfig, MPNetModel
from safetensors.torch import save_file, load_file
import numpy as np
out = sys.argv[1]
def build(kind):
    torch.manual_seed({"bert": 1, "mpnet": 2}[kind])
    common = dict(vocab_size=120, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, initializer_range=0.2,
                  attn_implementation="eager")
    if kind == "bert":
        m = BertModel(BertConfig(max_position_embeddings=200, type_vocab_size=2, **common))
    else:
        m = MPNetModel(MPNetConfig(max_position_embeddings=202, **common))
    for n, p in m.named_parameters():
        if "bias" in n and p.ndim == 1 or "LayerNorm" in n: p.data += 0.1 * torch.randn_like(p)
    m.eval()
    folder = f"{out}/tiny-{kind}"
    os.makedirs(folder, exist_ok=True)
    state = {k: v.half().contiguous() for k, v in m.state_dict().items() if "position_ids" not in k and "pooler" not in k}
    save_file(state, folder + "/model.safetensors", metadata={"format": "pt"})
    m.load_state_dict({k: v.float() for k, v in state.items()}, strict=False)
    c = m.config.to_dict()
    keep = ["model_type","vocab_size","hidden_size","num_hidden_layers","num_attention_heads","intermediate_size","hidden_act","layer_norm_eps","max_position_embeddings","type_vocab_size","pad_token_id","relative_attention_num_buckets","initializer_range"]
    json.dump({k: c[k] for k in keep if k in c}, open(folder + "/config.json", "w"), indent=1)
    rng = np.random.default_rng(5)
    lengths = [1, 5, 9, 30, 180]
    texts = [rng.integers(4, 120, size=n).tolist() for n in lengths]
    texts[3][7] = c.get("pad_token_id", 0) or 0  # padding's id inside a text
    rows = []
    with torch.no_grad():
        for t in texts:
            h = m(input_ids=torch.tensor([t]), attention_mask=torch.ones(1, len(t), dtype=torch.long)).last_hidden_state[0]
            rows.append({"ids": t, "mean": [round(float(x), 6) for x in h.mean(0)], "last": [round(float(x), 6) for x in h[-1]], "first": [round(float(x), 6) for x in h[0]], "max": [round(float(x), 6) for x in h.max(0).values],
            "weightedmean": [round(float(x), 6) for x in (h*torch.arange(1,len(t)+1)[:,None]).sum(0)/sum(range(1,len(t)+1))]})
    json.dump({"texts": rows}, open(folder + "/expected.json", "w"))
for k in ["bert", "mpnet"]: build(k)
