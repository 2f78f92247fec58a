"""Makes tests/data/torch: weights as torch.save writes them, and the seeds of their fuzzer.

Usage: python make_torch_files.py tests    (needs torch, transformers and peft; seconds)

`tensors.bin` has one tensor of each dtype, views that share a storage, a transposed one, and empty and single ones. `old.bin` is of the layout
before PyTorch 1.6, `code.bin` would run a command where it is unpickled. `model` is a small Llama in two files with an index, and
`model/expected.json` what transformers computes with it, alone and with the adapter in `adapter`.
"""
import collections
import json
import os
import pathlib
import sys
import zipfile

import torch
import transformers
from peft import LoraConfig, get_peft_model


class Command:
    def __reduce__(self):
        return os.system, ("true",)


def tensors():
    base = torch.arange(24, dtype=torch.float32)
    out = collections.OrderedDict()
    for name in ("float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8"):
        out[name] = torch.arange(6).to(getattr(torch, name)).reshape(2, 3)
    out["bool"] = torch.tensor([True, False, True])
    out["whole"], out["part"], out["rows"] = base, base[4:10], base.reshape(4, 6)[1:3, ::2]
    out["transposed"] = base.reshape(4, 6).t()
    out["parameter"] = torch.nn.Parameter(torch.tensor([1.5, -2.5]))
    out["one"], out["empty"] = torch.tensor(7.0), torch.zeros(0, 5)
    return out


def adapter(llama, folder, ids):
    adapted = get_peft_model(llama, LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, p in adapted.named_parameters():
            if "lora_" in name:
                p.copy_(torch.randn(p.shape).mul_(4).round_().div_(8))
        logits = adapted(input_ids=torch.tensor([ids])).logits[0]
    adapted.save_pretrained(folder, safe_serialization=True)
    (folder / "README.md").unlink()
    from safetensors.torch import load_file
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()
    return logits


def model(folder):
    folder.mkdir(exist_ok=True)
    torch.manual_seed(5)
    config = transformers.LlamaConfig(vocab_size=16, hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2,
                                      max_position_embeddings=32, eos_token_id=0)
    llama = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    with torch.no_grad():
        for p in llama.parameters():
            p.mul_(20).round_().div_(4) if p.dim() > 1 else None
        ids = [1, 5, 9, 2, 14]
        logits = llama(input_ids=torch.tensor([ids])).logits[0]
    weights = llama.state_dict()
    files = {n: f"pytorch_model-0000{1 if 'layers' in n else 2}-of-00002.bin" for n in weights}
    for file in set(files.values()):
        torch.save({n: t for n, t in weights.items() if files[n] == file}, folder / file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(dict(metadata={}, weight_map=files)) + "\n")
    written = {k: v for k, v in config.to_dict().items() if k not in ("_name_or_path", "transformers_version", "id2label", "label2id")}
    (folder / "config.json").write_text(json.dumps(written) + "\n")
    short = lambda values: [float(f"{v:.9g}") for v in values.flatten().tolist()]
    adapted = adapter(llama, folder.parent / "adapter", ids)
    (folder / "expected.json").write_text(json.dumps(dict(ids=ids, logits=short(logits), adapted=short(adapted))) + "\n")


def main():
    tests = pathlib.Path(sys.argv[1])
    folder, seeds = tests / "data" / "torch", tests / "fuzz" / "corpus" / "torch_file_fuzz"
    for one in (folder, seeds):
        one.mkdir(parents=True, exist_ok=True)
    torch.save(tensors(), folder / "tensors.bin")
    torch.save(dict(a=torch.ones(2)), folder / "old.bin", _use_new_zipfile_serialization=False)
    torch.save(dict(a=torch.ones(2), b=Command()), folder / "code.bin")
    model(folder / "model")
    torch.save(collections.OrderedDict(a=torch.arange(6.0).reshape(2, 3).t(), b=torch.ones(2, dtype=torch.bfloat16)), seeds / "archive")
    (seeds / "pickle").write_bytes(zipfile.ZipFile(folder / "tensors.bin").read("tensors/data.pkl"))
    (seeds / "state_dict").write_bytes(zipfile.ZipFile(folder / "model" / "pytorch_model-00001-of-00002.bin").read(
        "pytorch_model-00001-of-00002/data.pkl"))


main()
