#!/usr/bin/env python3
"""Measures lazuli and PyTorch side by side on one NVIDIA GPU, all synchronised: a LoRA training step and decoding at the shape of
Qwen2.5-0.5B (random weights, bf16), and small calls. Needs torch, transformers and peft; peers that are missing are left out by name.

  python3 bench/gpu_vs_torch.py --bin build/release/bin --tokenizer models/pycoder-16m/tokenizer.json
"""
import argparse, json, os, shutil, statistics, subprocess, tempfile, time


def config():
    from transformers import Qwen2Config
    return Qwen2Config(vocab_size=151936, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
                       num_key_value_heads=2, max_position_embeddings=32768, rope_theta=1000000.0, tie_word_embeddings=True,
                       rms_norm_eps=1e-6, use_sliding_window=False)


def make_model(folder, tokenizer):
    import torch
    from transformers import Qwen2ForCausalLM
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(config()).to(torch.bfloat16)
    model.save_pretrained(folder)
    shutil.copy(tokenizer, folder)
    return model


def times(once, rounds, sync):
    for _ in range(3):
        once()
    sync()
    taken = []
    for _ in range(rounds):
        begin = time.perf_counter()
        once()
        sync()
        taken.append(time.perf_counter() - begin)
    return taken


def torch_train(model, a):
    import torch
    from peft import LoraConfig, get_peft_model
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    peft = get_peft_model(model, LoraConfig(r=a.rank, lora_alpha=2 * a.rank, target_modules=names, task_type="CAUSAL_LM"))
    peft.train()
    optimizer = torch.optim.AdamW([p for p in peft.parameters() if p.requires_grad], lr=1e-4)
    ids = torch.randint(0, 151936, (a.batch, a.tokens), device="cuda")

    def step():
        loss = peft(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(peft.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    torch.cuda.reset_peak_memory_stats()
    taken = times(step, a.rounds, torch.cuda.synchronize)
    gigabytes = torch.cuda.max_memory_allocated() / 1e9
    peft.unload()
    return {"tokens_per_second": a.batch * a.tokens / statistics.median(taken), "best": a.batch * a.tokens / min(taken), "gigabytes": gigabytes}


def torch_decode(model, a):
    import torch
    model.eval()
    ids = torch.randint(0, 151936, (1, 8), device="cuda")

    def run():
        with torch.no_grad():
            model.generate(ids, max_new_tokens=a.generate, min_new_tokens=a.generate, do_sample=False)

    taken = times(run, 3, torch.cuda.synchronize)
    return {"tokens_per_second": a.generate / statistics.median(taken), "best": a.generate / min(taken)}


def torch_calls():
    import torch
    x, a, b = torch.randn(1, 512, device="cuda"), torch.randn(512, 8, device="cuda"), torch.randn(8, 512, device="cuda")
    row = torch.randn(1, 1024, device="cuda")
    out = {}
    for name, once in {"softmax 1x1024": lambda: torch.softmax(row, -1), "lora 1x512 rank 8": lambda: (x @ a) @ b * 2.0}.items():
        taken = times(once, 1000, torch.cuda.synchronize)
        out[name] = {"call_us": statistics.median(taken) * 1e6, "call_least_us": min(taken) * 1e6}
    return out


def torch_attention():
    """The attention of torch's own backends, without and with gradients; a backend that refuses says why."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention as attend
    q, k, v, g = (torch.randn(8, heads, 1024, 64, device="cuda", dtype=torch.bfloat16) for heads in (14, 2, 2, 14))
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    out = {}
    for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION):
        def both():
            torch.autograd.grad(attend(*leaves, is_causal=True, enable_gqa=True), leaves, g)
        try:
            with sdpa_kernel(backend):
                forward = times(lambda: attend(q, k, v, is_causal=True, enable_gqa=True), 200, torch.cuda.synchronize)
                whole = times(both, 200, torch.cuda.synchronize)
            out[backend.name] = {"forward_us": statistics.median(forward) * 1e6, "with_gradients_us": statistics.median(whole) * 1e6}
        except RuntimeError as e:
            out[backend.name] = f"left out: {str(e).splitlines()[0]}"
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", required=True)
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--tokens", type=int, default=1024)
    p.add_argument("--rank", type=int, default=16)
    p.add_argument("--generate", type=int, default=128)
    p.add_argument("--rounds", type=int, default=10)
    p.add_argument("--skip-torch", action="store_true")
    a = p.parse_args()
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(folder, a.tokenizer)
        command = [os.path.join(a.bin, "lazuli"), "bench", "--model", folder, "--device", "cuda", "--dtype", "bf16", "--prompt-tokens", "512",
                   "--generate-tokens", str(a.generate), "--train-tokens", str(a.tokens), "--batch-size", str(a.batch), "--lora-rank",
                   str(a.rank), "--repeats", str(a.rounds), "--json", "--quiet"]
        ran = subprocess.run(command, capture_output=True, text=True)
        result["lazuli"] = json.loads(ran.stdout) if ran.returncode == 0 else ran.stderr
    calls = os.path.join(a.bin, "lazuli_cuda_calls")
    if os.path.exists(calls):
        ran = subprocess.run([calls], capture_output=True, text=True)
        result["lazuli_calls"] = json.loads(ran.stdout) if ran.returncode == 0 else ran.stderr
    if not a.skip_torch:
        import torch
        model = model.cuda()
        result["torch_calls"] = torch_calls()
        result["torch_attention"] = torch_attention()
        result["torch_decode_eager"] = torch_decode(model, a)
        try:
            result["torch_train_eager"] = torch_train(model, a)
        except ImportError as e:
            result["torch_train_eager"] = f"left out: {e}"
        result["torch"] = torch.__version__ + " on " + torch.cuda.get_device_name()
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
