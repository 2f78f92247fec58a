"""Makes tests/data/families: what transformers and PEFT compute with small models of many architectures whose weights are a formula.

Usage: python make_families.py tests/data [NAME...]    (needs torch, transformers, peft and numpy; seconds)

Number i of a tensor is shift + scale * (bits / 2^24 - 1/2) with the upper 24 bits of mix(hash(name) + i) of whole_model_numbers.py, all exact in
f32; what tests/support/family_model.cc computes too. Each file has the configuration as transformers writes it, the tensors with their
shapes, shifts and scales, logits of a prompt, or of some of its rows, greedy tokens, and losses and gradient norms of ten LoRA steps, or of
fewer.
"""
import json
import pathlib
import sys

import numpy as np
import torch
import transformers
from peft import LoraConfig, get_peft_model

import whole_model_numbers as numbers

PROMPT, NEW_TOKENS, STEPS, ROWS, TOKENS, RANK, ALPHA = 17, 12, 10, 2, 15, 4, 8
MORE_NEW_TOKENS, WITH_EXPERTS = 32, ("qwen3_moe", "mixtral", "gpt_oss", "gemma4_moe", "deepseek_v2", "deepseek_v2_groups")
TRAIN = dict(learning_rate=1e-2, weight_decay=0.01, max_grad_norm=1.0)
# Heads whose size is not hidden_size / heads, and windows shorter than the prompt.
COMMON = dict(vocab_size=64, hidden_size=40, intermediate_size=56, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
              head_dim=16, max_position_embeddings=64, bos_token_id=1, eos_token_id=0, pad_token_id=0)
DEEPSEEK = {key: value for key, value in COMMON.items() if key not in ("num_key_value_heads", "head_dim")}
FAMILIES = {
    "mistral": lambda: transformers.MistralConfig(sliding_window=5, **COMMON),
    "ministral": lambda: transformers.MinistralConfig(sliding_window=5, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                                                      tie_word_embeddings=True, **COMMON),
    # The prompt is longer than the original context, so the queries of its end grow.
    "ministral3": lambda: transformers.Ministral3Config(rope_parameters=dict(
        rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=6, beta_fast=4.0, beta_slow=0.5, mscale=1.0,
        mscale_all_dim=1.0, llama_4_scaling_beta=0.3), **COMMON),
    "qwen3": lambda: transformers.Qwen3Config(use_sliding_window=True, sliding_window=6, max_window_layers=1, attention_bias=True,
                                              tie_word_embeddings=True, **COMMON),
    "qwen2": lambda: transformers.Qwen2Config(use_sliding_window=True, sliding_window=6, max_window_layers=1, **COMMON),
    "gemma2": lambda: transformers.Gemma2Config(sliding_window=5, query_pre_attn_scalar=24, attn_logit_softcapping=3.0,
                                                final_logit_softcapping=4.0, **COMMON),
    "olmo2": lambda: transformers.Olmo2Config(attention_bias=True, **COMMON),
    "granite": lambda: transformers.GraniteConfig(embedding_multiplier=3.0, residual_multiplier=0.6, attention_multiplier=0.2, logits_scaling=1.5,
                                                  attention_bias=True, mlp_bias=True, **COMMON),
    "smollm3": lambda: transformers.SmolLM3Config(use_sliding_window=True, sliding_window=5, no_rope_layer_interval=2, **COMMON),
    "starcoder2": lambda: transformers.Starcoder2Config(sliding_window=5, **COMMON),
    # The prompt is longer than the original context, so the long factors count.
    "phi3": lambda: transformers.Phi3Config(sliding_window=6, original_max_position_embeddings=8, rope_parameters=dict(
        rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75, short_factor=[1.0, 1.1, 1.2, 1.3, 1.5, 2.0],
        long_factor=[1.0, 1.5, 2.0, 3.0, 5.0, 8.0]), **COMMON | dict(hidden_size=64)),
    # A text within the original context, as all the memory of a small session is: the short factors count.
    "phi4": lambda: transformers.Phi3Config(tie_word_embeddings=True, original_max_position_embeddings=256, rope_parameters=dict(
        rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.5, short_factor=[1.0, 1.1, 1.3, 2.0],
        long_factor=[1.0, 1.5, 3.0, 8.0]), **COMMON | dict(hidden_size=64, max_position_embeddings=1024)),
    # With tables of their own the output layers repeat no token for ever, as scaled embeddings of random numbers would.
    "gemma": lambda: transformers.GemmaConfig(attention_bias=True, tie_word_embeddings=False, **COMMON),
    "gemma3": lambda: transformers.Gemma3TextConfig(sliding_window=5, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        query_pre_attn_scalar=24, final_logit_softcapping=4.0, rope_parameters=dict(
            full_attention=dict(rope_type="linear", factor=2.0, rope_theta=5000.0), sliding_attention=dict(rope_type="default", rope_theta=100.0)),
        tie_word_embeddings=False, **COMMON),
    # Every kind of layer: local and global, with keys of its own and of another's, and values that are keys.
    "gemma4": lambda: transformers.Gemma4TextConfig(sliding_window=5, layer_types=["sliding_attention", "full_attention"] * 3,
        num_kv_shared_layers=3, use_double_wide_mlp=True, attention_k_eq_v=True, global_head_dim=24, num_global_key_value_heads=1,
        hidden_size_per_layer_input=24, vocab_size_per_layer_input=64, final_logit_softcapping=4.0, attention_bias=False,
        tie_word_embeddings=False, **COMMON | dict(num_hidden_layers=6)),
    "gemma4_plain": lambda: transformers.Gemma4TextConfig(sliding_window=6, layer_types=["full_attention", "sliding_attention", "full_attention"],
        global_head_dim=16, hidden_size_per_layer_input=0, tie_word_embeddings=False, **COMMON),
    # One layer without experts, and ties of no two probabilities.
    "qwen3_moe": lambda: transformers.Qwen3MoeConfig(use_sliding_window=True, sliding_window=6, attention_bias=True, num_experts=6,
        num_experts_per_tok=3, moe_intermediate_size=24, norm_topk_prob=True, mlp_only_layers=[1], **COMMON),
    "mixtral": lambda: transformers.MixtralConfig(sliding_window=5, num_local_experts=4, num_experts_per_tok=2, **COMMON),
    # The limit is low enough to clamp.
    "gpt_oss": lambda: transformers.GptOssConfig(sliding_window=5, num_local_experts=5, num_experts_per_tok=2, swiglu_limit=1.0, attention_bias=True,
        rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16, beta_fast=4.0, beta_slow=0.5,
                             truncate=False), **COMMON | dict(hidden_size=64, intermediate_size=32)),
    # Experts beside the gated part, with a router of a norm of its own.
    "gemma4_moe": lambda: transformers.Gemma4TextConfig(sliding_window=5, layer_types=["sliding_attention", "full_attention"], global_head_dim=24,
        num_global_key_value_heads=1, attention_k_eq_v=True, hidden_size_per_layer_input=0, enable_moe_block=True, num_experts=5, top_k_experts=3,
        moe_intermediate_size=24, tie_word_embeddings=False, **COMMON | dict(num_hidden_layers=2, intermediate_size=32)),
    # Keys of other sizes than values, a first layer without experts, a context stretched by yarn, and queries of one product.
    "deepseek_v2": lambda: transformers.DeepseekV2Config(first_k_dense_replace=1, kv_lora_rank=24, q_lora_rank=None, n_routed_experts=6,
        n_shared_experts=2, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=12, num_experts_per_tok=3, moe_intermediate_size=24,
        routed_scaling_factor=1.5, attention_bias=True, rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=4.0,
            original_max_position_embeddings=16, beta_fast=4.0, beta_slow=0.5, mscale=0.7, mscale_all_dim=0.9), **DEEPSEEK),
    # Queries of two products with a norm between, and experts of the best groups alone.
    "deepseek_v2_groups": lambda: transformers.DeepseekV2Config(kv_lora_rank=24, q_lora_rank=20, n_routed_experts=8, n_shared_experts=1, n_group=4,
        topk_group=2, topk_method="group_limited_greedy", qk_nope_head_dim=12, qk_rope_head_dim=8, v_head_dim=20, num_experts_per_tok=3,
        moe_intermediate_size=20, routed_scaling_factor=2.0, mlp_bias=True, **DEEPSEEK | dict(num_hidden_layers=2)),
    # More heads of values than of keys, and texts of more than one chunk of 64. Without a large epsilon the norm of answers near 0 would make
    # much of rounded weights.
    "qwen3_5": lambda: transformers.Qwen3_5TextConfig(
        layer_types=["linear_attention", "linear_attention", "full_attention", "linear_attention"], linear_num_key_heads=2,
        linear_num_value_heads=6, linear_key_head_dim=8, linear_value_head_dim=12, rms_norm_eps=0.04,
        **COMMON | dict(num_hidden_layers=4, max_position_embeddings=256)),
    # Experts beside one that all tokens have, in layers of both kinds of attention.
    "qwen3_5_moe": lambda: transformers.Qwen3_5MoeTextConfig(
        layer_types=["linear_attention", "full_attention"], linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8,
        linear_value_head_dim=12, num_experts=6, num_experts_per_tok=3, moe_intermediate_size=24, shared_expert_intermediate_size=20,
        rms_norm_eps=0.04, **{k: v for k, v in COMMON.items() if k != "intermediate_size"} | dict(num_hidden_layers=2, max_position_embeddings=256)),
    # Weights that lie head by head, and a layer without experts.
    "qwen3_next": lambda: transformers.Qwen3NextConfig(
        layer_types=["linear_attention", "full_attention"], linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8,
        linear_value_head_dim=12, num_experts=5, num_experts_per_tok=2, moe_intermediate_size=24, shared_expert_intermediate_size=20,
        norm_topk_prob=False, mlp_only_layers=[1], attention_bias=True, rms_norm_eps=0.04,
        **COMMON | dict(num_hidden_layers=2, max_position_embeddings=256)),
    "llama_yarn": lambda: transformers.LlamaConfig(rope_parameters=dict(
        rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16, beta_fast=4.0, beta_slow=0.5), **COMMON),
}
# What differs of the sizes above; rows are those whose logits are listed.
SIZES = {"qwen3_5": dict(prompt=75, new_tokens=32, steps=5, tokens=70, rows=[0, 1, 17, 40, 62, 63, 64, 70, 74]),
         "qwen3_5_moe": dict(prompt=67, new_tokens=32, steps=5, rows=[0, 5, 40, 63, 64, 66]),
         "qwen3_next": dict(prompt=67, new_tokens=32, steps=5, rows=[0, 5, 40, 63, 64, 66])}
ONE_PLUS = ("gemma", "gemma2", "gemma3", "qwen3_5", "qwen3_5_moe", "qwen3_next")


def parts(family, name):
    """Shift and scale of a tensor; some scale by 1 + the weight of a norm."""
    if name.endswith("A_log"):
        return -2.0, 2.0  # memories of a few and of many tokens
    if name.endswith("conv1d.weight"):
        return 0.0, 1.5
    if name.endswith("linear_attn.norm.weight"):
        return 1.0, 0.5
    if name.endswith("layer_scalar"):
        return 1.0, 0.5
    if family.startswith("gemma4") and (".q_norm" in name or ".k_norm" in name):
        return 0.5, 0.25  # scores are not divided by the root of the head's size
    if "norm" in name and name.endswith("weight"):
        return (0.0 if family in ONE_PLUS else 1.0), 0.5
    # Near ties between experts of little weight: rounding may decide them otherwise.
    if name.endswith("mlp.gate.weight") and family in ("mixtral", "deepseek_v2", "deepseek_v2_groups"):
        return 0.0, 2.0
    if family.startswith("deepseek") and name.endswith(("q_proj.weight", "q_b_proj.weight", "kv_b_proj.weight", "o_proj.weight")):
        return 0.0, 1.0  # else one token repeats for ever
    if name.endswith((".router.scale", ".per_expert_scale")):
        return 1.0, 0.5
    return 0.0, 1.0 if "embed" in name or name.endswith("bias") else 0.5


def uniform(name, shape, shift, scale):
    upper = (numbers.bits(name, int(np.prod(shape))) >> np.uint32(8)).astype(np.float32)
    return torch.from_numpy((np.float32(shift) + np.float32(scale) * (upper * np.float32(2.0**-24) - np.float32(0.5))).reshape(shape))


def fill(model, family):
    tensors = {}
    tied = model.config.tie_word_embeddings
    with torch.no_grad():
        for name, p in [*model.named_parameters(), *((n, b) for n, b in model.named_buffers() if n.endswith("layer_scalar"))]:
            shift, scale = parts(family, name)
            p.copy_(uniform(name, tuple(p.shape), shift, scale))
            tensors[name] = dict(shape=list(p.shape), shift=shift, scale=scale)
    assert not tied or "lm_head.weight" not in tensors
    return tensors


def ids(family, name, *shape):
    return torch.from_numpy(numbers.ids(f"{family}.{name}", int(np.prod(shape)), COMMON["vocab_size"])).reshape(shape)


def size_of(family, name, otherwise):
    return SIZES.get(family, {}).get(name, otherwise)


def train(model, family):
    layers = [n.rsplit(".", 1)[1] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and n != "lm_head" and ".router." not in n]
    # PEFT takes names of the layers of a gated part for those of experts, too, where it knows the architecture.
    model.config.model_type = {"qwen3_moe": "qwen3", "deepseek_v2": "llama", "qwen3_5_moe_text": "llama", "qwen3_next": "llama"}.get(model.config.model_type, model.config.model_type)
    model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=sorted(set(layers)), task_type="CAUSAL_LM"))
    parameters = [(n, p) for n, p in model.named_parameters() if "lora_" in n]
    with torch.no_grad():
        for name, p in parameters:
            path, _, factor = name.removeprefix("base_model.model.").partition(".lora_")
            p.copy_(uniform(f"{path}.lora_{factor[0]}", tuple(p.shape), 0.0, 0.5 if factor[0] == "A" else 0.25))
    optimizer = torch.optim.AdamW([p for _, p in parameters], lr=TRAIN["learning_rate"], weight_decay=TRAIN["weight_decay"], eps=1e-8)
    losses, norms = [], []
    for step in range(size_of(family, "steps", STEPS)):
        batch = ids(family, f"step.{step}", ROWS, size_of(family, "tokens", TOKENS) + 1)
        loss = torch.nn.functional.cross_entropy(model(input_ids=batch[:, :-1]).logits.float().flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_([p for _, p in parameters], TRAIN["max_grad_norm"]).item())
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


def make(family, folder):
    config = FAMILIES[family]()
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    tensors = fill(model, family)
    length, count = size_of(family, "prompt", PROMPT), size_of(family, "new_tokens", MORE_NEW_TOKENS if family in WITH_EXPERTS else NEW_TOKENS)
    prompt = ids(family, "prompt", 1, length)
    with torch.no_grad():
        logits = model(input_ids=prompt).logits[0]
        made = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=count,
                              min_new_tokens=count, eos_token_id=None, pad_token_id=0, return_dict_in_generate=True, output_logits=True)
    best = torch.stack(made.logits)[:, 0].topk(2).values
    print(family, "spread", logits.std().item(), "margin", (best[:, 0] - best[:, 1]).min().item(), flush=True)
    written = json.loads(config.to_json_string(use_diff=False))
    losses, norms = train(model, family)
    for key in ("_name_or_path", "transformers_version", "id2label", "label2id"):
        written.pop(key, None)
    short = lambda values: [float(f"{v:.9g}") for v in values]
    rows = size_of(family, "rows", None)
    out = dict(config=json.dumps(written), vocabulary=COMMON["vocab_size"], tensors=tensors, rank=RANK, alpha=ALPHA, prompt=prompt[0].tolist(), tokens=made.sequences[0, length:].tolist(),
               **(dict(rows=rows) if rows else {}), logits=short(logits[rows or slice(None)].flatten().tolist()),
               batch=[ROWS, size_of(family, "tokens", TOKENS) + 1], losses=short(losses), grad_norms=short(norms), **TRAIN)
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in out.items())
    (folder / f"{family}.json").write_text("{" + lines + "}\n")


def main():
    folder = pathlib.Path(sys.argv[1]) / "families"
    folder.mkdir(exist_ok=True)
    for family in sys.argv[2:] or FAMILIES:
        make(family, folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
