"""Makes tests/data/whole-models: what transformers and PEFT compute with models of real sizes whose weights are formulas (whole_model_numbers.py).

Usage: python make_whole_models.py tests/data [llama|qwen2|bert...]    (needs torch, transformers, peft, safetensors and numpy; minutes to an hour)

Right values are those of the model in f64; with weights of 8 or 4 bits, of the model in f64 whose weights are what the rounded ones stand for.
Of logits two numbers of each row are kept (24 of a single one), and sums with signs over blocks of 16 rows and 512 columns, so that no number is left out. Beside
them stands how far PyTorch itself is off in f32, bf16 and f16; with rounded weights, how far it is off in f32 with the inputs of each layer
rounded, a row (8 bits) or 32 numbers (4 bits) at a time. Greedy tokens come from prompts where no other token is nearly as probable.
"""
import json
import pathlib
import sys

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

import whole_model_numbers as numbers

BLOCK_ROWS, BLOCK_COLUMNS, CHUNK = 16, 512, 256
SAMPLES, SAMPLES_OF_ONE_ROW = 2, 24
COMMON = dict(hidden_size=768, num_hidden_layers=2, num_attention_heads=12, max_position_embeddings=512, attn_implementation="eager")
DECODER = dict(rms_norm_eps=1e-5, hidden_act="silu", bos_token_id=0, eos_token_id=0, **COMMON)
ROPE = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
DECODER_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ENCODER_LAYERS = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
STEPS = [(1, 64), (1, 65), (2, 65), (1, 7), (4, 16), (1, 63), (1, 257), (2, 8), (1, 16), (1, 33)]
TRAIN = dict(rank=16, learning_rate=1e-3, weight_decay=0.01, max_grad_norm=1.0, eps=1e-8)
PROMPTS, NEW_TOKENS, MARGIN = (7, 65, 130), 5, 5
# Rank of the adapter (0: none) -> lengths of the sequences.
KINDS = {
    "llama": dict(
        make=lambda: LlamaForCausalLM(LlamaConfig(vocab_size=8192, intermediate_size=2048, num_key_value_heads=4, rope_parameters=ROPE,
                                                  tie_word_embeddings=False, **DECODER)),
        sequences={0: [1, 7, 65, 257], 8: [1, 7, 63, 64, 65, 130, 256], 16: [65, 257]}, layers=DECODER_LAYERS),
    # Sizes that no kernel's block divides.
    "qwen2": dict(
        make=lambda: Qwen2ForCausalLM(Qwen2Config(vocab_size=8200, intermediate_size=2056, num_key_value_heads=2, tie_word_embeddings=True,
                                                  rope_parameters=dict(rope_type="default", rope_theta=10000.0), **DECODER)),
        sequences={0: [14, 65], 8: [29, 64, 141], 16: [1, 33, 257]}, layers=DECODER_LAYERS),
    "bert": dict(
        make=lambda: BertModel(BertConfig(vocab_size=8192, intermediate_size=2048, hidden_act="gelu", type_vocab_size=2, **COMMON),
                               add_pooling_layer=False),
        sequences={0: [1, 12, 64, 130], 8: [7, 63, 65, 257]}, layers=ENCODER_LAYERS),
}
# Name -> what becomes of the weights, and the dtype of the rest.
RUNS = {"f32": ("none", torch.float32), "bf16": ("none", torch.bfloat16), "f16": ("none", torch.float16), "int8": ("int8", torch.float32),
        "int4": ("int4", torch.float32), "int8_bf16": ("int8", torch.bfloat16), "int4_bf16": ("int4", torch.bfloat16)}
TRUTHS = ("none", "int8", "int4")


class RoundRows(torch.autograd.Function):
    """Rows, or groups of 32 of them, to integers up to 127 times a scale; the gradient goes through."""

    @staticmethod
    def forward(ctx, x, bits):
        groups = x.reshape(*x.shape[:-1], -1, numbers.GROUP if bits == 4 else x.shape[-1])
        scale = groups.abs().amax(-1, keepdim=True) / 127
        return (torch.round(groups * (1 / scale)) * scale).reshape(x.shape)

    @staticmethod
    def backward(ctx, grad):
        return grad, None


class RoundedLinear(torch.nn.Linear):
    """With weights in f32, whatever the dtype of x; the sums are f32."""

    def forward(self, x):
        bias = None if self.bias is None else self.bias.float()
        return torch.nn.functional.linear(RoundRows.apply(x.float(), self.bits), self.weight, bias).to(x.dtype)


class Kind:
    def __init__(self, name):
        self.name = name
        self.__dict__.update(KINDS[name])
        model = self.make()
        self.config = model.config
        self.tied = bool(getattr(self.config, "tie_word_embeddings", False)) and name != "bert"
        self.shapes = {n: tuple(p.shape) for n, p in model.named_parameters()}
        self.weights = {n: numbers.weight(n, s, self.tied) for n, s in self.shapes.items()}
        self.rounded = {"none": self.weights}
        for quantization in TRUTHS[1:]:
            self.rounded[quantization] = {n: numbers.dequantized(n, w, quantization) if w.ndim == 2 else w for n, w in self.weights.items()}

    def model(self, quantization, dtype, rank, round_inputs=False, round_output=True):
        model = self.make()
        state = {n: torch.from_numpy(w.copy()) for n, w in self.rounded[quantization].items()}
        if self.tied:
            state["lm_head.weight"] = state["model.embed_tokens.weight"]
        missing = model.load_state_dict(state, strict=False)
        assert not missing.unexpected_keys and all("position_ids" in k or "inv_freq" in k for k in missing.missing_keys), missing
        model.to(dtype)
        if round_inputs:
            for name, module in model.named_modules():
                if isinstance(module, torch.nn.Linear) and (round_output or name != "lm_head"):
                    module.__class__ = RoundedLinear
                    module.weight = torch.nn.Parameter(state[name + ".weight"], requires_grad=False)
                    module.bits = numbers.bits_of(name + ".weight", module.in_features, quantization)
        if rank:
            task = "FEATURE_EXTRACTION" if self.name == "bert" else "CAUSAL_LM"
            model = get_peft_model(model, LoraConfig(r=rank, lora_alpha=16, target_modules=self.layers, task_type=task))
            with torch.no_grad():
                for name, p in factors(model):
                    path, factor = factor_of(name)
                    p.copy_(torch.from_numpy(numbers.adapter_factor(path, factor, tuple(p.shape))))
        return model.eval()

    def run_model(self, run, rank, round_output=True):
        quantization, dtype = RUNS[run]
        return self.model(quantization, dtype, rank, quantization != "none", round_output)

    def ids(self, name, count):
        return torch.from_numpy(numbers.ids(f"{self.name}.{name}", count, self.config.vocab_size))

    def forward(self, model, rank, length):
        """Logits, or the vector of a text, in f64."""
        with torch.no_grad():
            out = model(input_ids=self.ids(f"{rank}.{length}", length)[None])
            if self.name != "bert":
                return out.logits[0].double().numpy()
            return torch.nn.functional.normalize(out.last_hidden_state[0].double().mean(0, keepdim=True)).numpy()


def factors(model):
    return [(n, p) for n, p in model.named_parameters() if "lora_" in n]


def factor_of(name):
    path, _, factor = name.removeprefix("base_model.model.").partition(".lora_")
    return path, factor[0]


def blocks_of(values, name):
    """Sums with signs over blocks of rows and columns."""
    rows, columns = values.shape
    out = np.zeros((-(-rows // BLOCK_ROWS), -(-columns // BLOCK_COLUMNS)))
    for r in range(out.shape[0]):
        part = values[r * BLOCK_ROWS:(r + 1) * BLOCK_ROWS]
        part = part * numbers.signs(name + ".signs", *part.shape, r * BLOCK_ROWS)
        out[r] = np.add.reduceat(part.sum(0), np.arange(0, columns, BLOCK_COLUMNS))
    return out


def samples_of(values, name):
    rows, columns = values.shape
    each = SAMPLES if rows > 1 else SAMPLES_OF_ONE_ROW
    picked = (numbers.bits(name + ".columns", rows * each) % np.uint32(columns)).astype(np.int64).reshape(rows, each)
    return np.take_along_axis(values, picked, axis=1)


def f32(array):
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def measure(difference, name):
    """Root mean square, largest, and largest of a block's sum over the square root of its size."""
    sizes = np.outer(*[[min(size, total - first) for first in range(0, total, size)] for total, size in
                       zip(difference.shape, (BLOCK_ROWS, BLOCK_COLUMNS))])
    blocks = np.abs(blocks_of(difference, name)) / np.sqrt(sizes)
    return [float(np.sqrt(np.mean(difference**2))), float(np.abs(difference).max()), float(blocks.max())]


def make_values(kind, tensors, expected):
    errors = {run: {} for run in RUNS}
    for rank, lengths in kind.sequences.items():
        truth = {}
        for quantization in TRUTHS:
            model = kind.model(quantization, torch.float64, rank)
            for length in lengths:
                name = f"{kind.name}.{rank}.{length}"
                values = truth[quantization, length] = kind.forward(model, rank, length)
                tensors[f"{quantization}.{rank}.{length}.samples"] = f32(samples_of(values, name))
                tensors[f"{quantization}.{rank}.{length}.blocks"] = f32(blocks_of(values, name))
        for run, (quantization, _) in RUNS.items():
            model = kind.run_model(run, rank)
            errors[run][str(rank)] = {str(length): measure(kind.forward(model, rank, length) - truth[quantization, length],
                                                           f"{kind.name}.{rank}.{length}") for length in lengths}
            print(kind.name, rank, run, "off by (rms)", [f"{e[0]:.2e}" for e in errors[run][str(rank)].values()], flush=True)
    expected["values"] = {"spread": float(np.sqrt(np.mean(values**2))), "errors": errors}


def train(kind, model):
    parameters = [p for _, p in factors(model)]
    optimizer = torch.optim.AdamW(parameters, lr=TRAIN["learning_rate"], weight_decay=TRAIN["weight_decay"], eps=TRAIN["eps"])
    losses, norms = [], []
    for step, (batch, tokens) in enumerate(STEPS):
        ids = kind.ids(f"step.{step}", batch * (tokens + 1)).reshape(batch, tokens + 1)
        logits = model(input_ids=ids[:, :-1]).logits
        logits = logits if logits.dtype == torch.float64 else logits.float()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, TRAIN["max_grad_norm"]).item())
        optimizer.step()
        losses.append(loss.item())
    return losses, norms, sums_of_factors(model)


def sums_of_factors(model):
    """Sums with signs of each 256 numbers of the factors, in the order of the layers, A before B."""
    sums = []
    for name, p in factors(model):
        path, factor = factor_of(name)
        values = p.detach().double().numpy().reshape(-1)
        values = values * numbers.signs(f"{path}.lora_{factor}.signs", 1, values.size, 0)[0]
        sums.append(np.add.reduceat(values, np.arange(0, values.size, CHUNK)))
    return np.concatenate(sums)


def make_training(kind, tensors, expected):
    rank, truth, errors = TRAIN["rank"], {}, {}
    for quantization in TRUTHS:
        truth[quantization] = train(kind, kind.model(quantization, torch.float64, rank))
        tensors[f"{quantization}.train"] = f32(truth[quantization][2])
    for run, (quantization, _) in RUNS.items():
        losses, norms, sums = train(kind, kind.run_model(run, rank, round_output=False))
        right = truth[quantization]
        errors[run] = [float(np.abs(np.subtract(losses, right[0])).max()), float(np.abs(np.divide(norms, right[1]) - 1).max()),
                       float(np.sqrt(np.mean((sums - right[2]) ** 2) / CHUNK))]
        print(kind.name, "training", run, "off by", [f"{e:.2e}" for e in errors[run]], flush=True)
    expected["training"] = dict(steps=STEPS, **TRAIN, errors=errors, losses={q: t[0] for q, t in truth.items()},
                                grad_norms={q: t[1] for q, t in truth.items()})


def greedy(kind, model, prompt):
    made = model.generate(input_ids=prompt[None], attention_mask=torch.ones(1, len(prompt), dtype=torch.long), do_sample=False,
                          max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, eos_token_id=None, pad_token_id=0,
                          return_dict_in_generate=True, output_logits=True)
    best = torch.stack(made.logits)[:, 0].topk(2).values
    return made.sequences[0, len(prompt):].tolist(), (best[:, 0] - best[:, 1]).min().item()


def make_greedy(kind, expected):
    errors, expected["greedy"] = expected["values"]["errors"], {q: [] for q in TRUTHS}
    for quantization in TRUTHS:
        for rank in (0, 8):
            off = max(e[0] for run, (q, _) in RUNS.items() if q == quantization for e in errors[run][str(rank)].values())
            model = kind.model(quantization, torch.float32, rank)
            for length in PROMPTS:
                for attempt in range(2000):
                    name = f"prompt.{quantization}.{rank}.{length}.{attempt}"
                    tokens, margin = greedy(kind, model, kind.ids(name, length))
                    if margin > MARGIN * off:
                        break
                else:
                    raise RuntimeError("no prompt with a clear continuation")
                print(kind.name, name, tokens, f"margin {margin:.3f}, off by {off:.4f}", flush=True)
                expected["greedy"][quantization].append(dict(rank=rank, prompt=name, length=length, tokens=tokens))


def make_checksums(kind, expected):
    total = 0
    for name, w in kind.weights.items():
        total = (total + numbers.checksum((w.view(np.uint32) >> np.uint32(16)).astype(np.uint16))) & 0xFFFFFFFF
    expected["weights"] = total
    for bits in (8, 4):
        total = 0
        for name, w in kind.weights.items():
            if w.ndim != 2 or w.shape[1] % numbers.GROUP:
                continue
            q, scale = numbers.round8(w) if bits == 8 else numbers.round4(w)
            total = (total + numbers.checksum(q if bits == 8 else numbers.packed4(q)) + numbers.checksum(scale)) & 0xFFFFFFFF
        expected[f"rounded{bits}"] = total


def main():
    out = pathlib.Path(sys.argv[1]) / "whole-models"
    out.mkdir(exist_ok=True)
    for name in sys.argv[2:] or KINDS:
        kind, tensors, expected = Kind(name), {}, {}
        written = kind.config.to_dict()
        config = {k: written[k] for k in ("model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                                                      "num_key_value_heads", "vocab_size", "max_position_embeddings", "rms_norm_eps",
                                                      "layer_norm_eps", "hidden_act", "rope_parameters", "tie_word_embeddings",
                                                      "type_vocab_size", "pad_token_id", "eos_token_id") if written.get(k) is not None}
        expected["shapes"] = kind.shapes
        expected["sequences"] = {str(rank): lengths for rank, lengths in kind.sequences.items()}
        make_checksums(kind, expected)
        make_values(kind, tensors, expected)
        if name == "llama":
            make_training(kind, tensors, expected)
        if name != "bert":
            make_greedy(kind, expected)
        save_file(tensors, out / f"{name}.safetensors")
        config["architectures"] = [type(kind.make()).__name__]
        (out / f"{name}.config.json").write_text(json.dumps(config, indent=1) + "\n")
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in expected.items()]
        (out / f"{name}.json").write_text("{" + ",\n".join(lines) + "}\n")


main()
