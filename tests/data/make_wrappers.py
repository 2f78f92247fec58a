"""Makes tests/data/wrappers: logits of transformers for texts, of small models of images and text whose weights are a formula.

Usage: python make_wrappers.py tests/data [NAME...]    (needs torch, transformers, peft and numpy; seconds)

The files are those of make_families.py, without training. Of the parts for images only a few tensors are listed: they have no effect on texts.
"""
import json
import pathlib
import sys

import torch
import transformers

import make_families as families

TEXT = families.COMMON | dict(num_hidden_layers=2, eos_token_id=3)
VISION = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4)
QWEN_VISION = dict(depth=1, num_heads=2, patch_size=4)
without = lambda d, *keys: {k: v for k, v in d.items() if k not in keys}
ROPE = dict(rope_type="default", rope_theta=10000.0, mrope_section=[2, 3, 3])
WRAPPERS = {
    "gemma3": lambda: transformers.Gemma3Config(
        text_config=dict(TEXT, sliding_window=5, layer_types=["sliding_attention", "full_attention"], query_pre_attn_scalar=24),
        vision_config=VISION, image_token_index=9, mm_tokens_per_image=4),
    "mistral3": lambda: transformers.Mistral3Config(
        text_config=dict(TEXT, model_type="mistral", sliding_window=None), vision_config=dict(VISION, model_type="pixtral", head_dim=8),
        image_token_index=9, tie_word_embeddings=False),
    "qwen2_vl": lambda: transformers.Qwen2VLConfig(
        text_config=dict(without(TEXT, "head_dim"), hidden_size=64, rope_parameters=ROPE), image_token_id=9, video_token_id=10,
        vision_config=dict(QWEN_VISION, embed_dim=16, hidden_size=64)),
    "qwen2_5_vl": lambda: transformers.Qwen2_5_VLConfig(
        text_config=dict(without(TEXT, "head_dim"), hidden_size=64, rope_parameters=ROPE), image_token_id=9, video_token_id=10,
        tie_word_embeddings=True, vision_config=dict(QWEN_VISION, hidden_size=16, out_hidden_size=64, intermediate_size=16)),
    "qwen3_vl": lambda: transformers.Qwen3VLConfig(
        text_config=dict(TEXT, rope_parameters=dict(ROPE, mrope_interleaved=True)), image_token_id=9, video_token_id=10,
        vision_config=dict(QWEN_VISION, hidden_size=16, out_hidden_size=40, intermediate_size=16, num_position_embeddings=16,
                           deepstack_visual_indexes=[0])),
    "qwen3_5": lambda: transformers.Qwen3_5Config(
        text_config=dict(TEXT, layer_types=["full_attention", "linear_attention"], linear_num_key_heads=2, linear_num_value_heads=4,
                         linear_key_head_dim=8, linear_value_head_dim=12,
                         rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[1, 1, 0], mrope_interleaved=True)),
        image_token_id=9, video_token_id=10,
        vision_config=dict(QWEN_VISION, hidden_size=16, out_hidden_size=40, intermediate_size=16, num_position_embeddings=16)),
    "qwen3_5_moe": lambda: transformers.Qwen3_5MoeConfig(
        text_config=dict(without(TEXT, "intermediate_size"), layer_types=["full_attention", "linear_attention"], linear_num_key_heads=2,
                         linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=12, num_experts=4, num_experts_per_tok=2,
                         moe_intermediate_size=24, shared_expert_intermediate_size=20,
                         rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[1, 1, 0], mrope_interleaved=True)),
        image_token_id=9, video_token_id=10,
        vision_config=dict(QWEN_VISION, hidden_size=16, out_hidden_size=40, intermediate_size=16, num_position_embeddings=16)),
    "llava": lambda: transformers.LlavaConfig(
        text_config=dict(TEXT, model_type="llama", tie_word_embeddings=True), vision_config=dict(VISION, model_type="clip_vision_model"),
        image_token_index=9),
    "llava_next": lambda: transformers.LlavaNextConfig(
        text_config=dict(TEXT, model_type="mistral"), vision_config=dict(VISION, model_type="clip_vision_model"), image_token_index=9),
    "llava_onevision": lambda: transformers.LlavaOnevisionConfig(
        text_config=dict(TEXT, model_type="qwen2"), vision_config=dict(VISION, model_type="siglip_vision_model"), image_token_index=9,
        video_token_index=10),
    "vipllava": lambda: transformers.VipLlavaConfig(
        text_config=dict(TEXT, model_type="llama"), vision_config=dict(VISION, model_type="clip_vision_model"), image_token_index=9,
        vision_feature_layers=[-1]),
    "internvl": lambda: transformers.InternVLConfig(
        text_config=dict(TEXT, model_type="qwen3"), vision_config=dict(VISION, image_size=[8, 8], patch_size=[4, 4]), image_token_id=9,
        tie_word_embeddings=False),
}


def make(name, folder):
    config = WRAPPERS[name]()
    config._attn_implementation = "eager"
    model = transformers.AutoModelForImageTextToText.from_config(config, attn_implementation="eager").float().eval()
    tensors = families.fill(model, name)
    prompt = families.ids(name, "prompt", 1, families.PROMPT) % 50 + 14  # none that stands for an image
    with torch.no_grad():
        logits = model(input_ids=prompt).logits[0]
    print(name, "spread", logits.std().item(), flush=True)
    other = [n for n in tensors if not n.startswith(("model.language_model.", "lm_head"))][:3]
    tensors = {n: list(t.values()) for n, t in tensors.items() if n in other or n.startswith(("model.language_model.", "lm_head"))}
    written = json.loads(config.to_json_string(use_diff=False))
    for key in ("_name_or_path", "transformers_version", "id2label", "label2id"):
        written.pop(key, None)
        written["text_config"].pop(key, None)
    written["vision_config"] = {k: written["vision_config"][k] for k in ("model_type", "hidden_size")}
    short = [float(f"{v:.8g}") for v in logits[::3].flatten().tolist()]
    out = dict(config=json.dumps(written), tensors=tensors, prompt=prompt[0].tolist(), logits=short)
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in out.items())
    (folder / f"{name}.json").write_text("{" + lines + "}\n")


def main():
    folder = pathlib.Path(sys.argv[1]) / "wrappers"
    folder.mkdir(exist_ok=True)
    for name in sys.argv[2:] or WRAPPERS:
        make(name, folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
