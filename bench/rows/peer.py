"""One row of the comparison that bench/run.py makes, computed by a peer: `peer.py PEER ROW THREADS [MODEL]`. Prepares it, prints a line, then
answers every line on standard input with one JSON line: {"seconds": of one call, the least of several, "peak_memory_bytes": so far}.
Exits with 77 and a reason where the peer is missing or has no such row."""
import json
import math
import os
import sys
import time

SAMPLE_SECONDS = 0.25
MISSING = 77
QWEN = dict(hidden=896, heads=14, kv_heads=2, inner=4864, llama=True)
LAYERS = {"block_qwen_1": dict(QWEN, tokens=1), "block_qwen_128": dict(QWEN, tokens=128), "block_qwen_512": dict(QWEN, tokens=512),
          "block_768_128": dict(tokens=128, hidden=768, heads=12, kv_heads=12, inner=3072, llama=False),
          "block_64_8": dict(tokens=8, hidden=64, heads=4, kv_heads=4, inner=256, llama=False)}


def skip(reason):
    print(json.dumps({"skipped": reason}), flush=True)
    sys.exit(MISSING)


def random(*shape, scale=1.0):
    import numpy
    return (scale * (numpy.random.default_rng(1).random(shape, dtype=numpy.float32) - 0.5)).astype(numpy.float32)


def layer_weights(s):
    kv, head, w = s["kv_heads"] * (s["hidden"] // s["heads"]), s["hidden"] // s["heads"], 0.05
    shapes = [(1, s["tokens"], s["hidden"]), (s["hidden"],), (s["hidden"],), (s["hidden"], s["hidden"]), (s["hidden"], kv), (s["hidden"], kv),
              (s["hidden"], s["hidden"]), (s["hidden"],), (s["hidden"],), (s["hidden"], s["inner"]), (s["inner"], s["hidden"]),
              (s["tokens"], head // 2), (s["tokens"], head // 2), (s["hidden"], s["inner"])]
    return [random(*shape, scale=w if len(shape) == 2 and shape[0] != s["tokens"] else 1.0) for shape in shapes]


def operands(row):
    """The operands of a row of plain arrays, and its computation on arrays with operators and a module of functions."""
    if row == "add_1000":
        def chain(f, x, y):
            for _ in range(1000):
                x = x + y
            return x
        return [random(64), random(64)], chain
    if row in ("lora_1x512", "lora_4096x512"):
        rows = 1 if row == "lora_1x512" else 4096
        return [random(rows, 512), random(512, 8), random(8, 512)], lambda f, x, a, b: ((x @ a) @ b) * 2.0
    if row == "lora_w_512x512":
        return [random(1, 512), random(512, 512), random(512, 8), random(8, 512)], lambda f, x, w, a, b: x @ w + ((x @ a) @ b) * 2.0
    if row.startswith("softmax_"):
        shape = tuple(int(n) for n in row.split("_")[1].split("x"))
        return [random(*shape)], lambda f, x: f.softmax(x)
    if row.startswith("rms_norm_"):
        shape = tuple(int(n) for n in row.split("_")[2].split("x"))
        return [random(*shape), random(shape[1])], lambda f, x, w: f.rms_norm(x, w)
    if row == "chain_cheap_1e7":
        def cheap(f, x, y, z):
            a = f.relu((x * y + z - x) * 0.5) * y
            return a * a + z
        return [random(10_000_000) for _ in range(3)], cheap
    if row == "chain_costly_1e6":
        return [random(1_000_000)], lambda f, x: f.tanh(1 / (f.exp(x * 0.5) + 1.0) * 2.0 - x) * x + 0.25
    if row in LAYERS:
        return layer_weights(LAYERS[row]), lambda f, *a: f.layer(LAYERS[row], a)
    return None, None


def torch_worker(row, compiled):
    try:
        import torch
        import torch.nn.functional as F
    except ImportError:
        skip("torch is not installed")
    torch.set_num_threads(THREADS)
    torch.set_grad_enabled(False)

    class Functions:
        relu, tanh, exp = torch.relu, torch.tanh, torch.exp

        @staticmethod
        def softmax(x):
            return torch.softmax(x, -1)

        @staticmethod
        def rms_norm(x, w):
            return F.rms_norm(x, (x.shape[-1],), w, 1e-6)

        @staticmethod
        def turn(x, c, s):
            left, right = x.chunk(2, -1)
            return torch.cat((left * c - right * s, right * c + left * s), -1)

        @staticmethod
        def layer(s, a):
            head = s["hidden"] // s["heads"]
            norm = (lambda x, k: F.rms_norm(x, (x.shape[-1],), a[k], 1e-6)) if s["llama"] else (
                lambda x, k: F.layer_norm(x, (x.shape[-1],), a[k], a[k + 1]))
            split = lambda x, heads: x.view(1, s["tokens"], heads, head).transpose(1, 2)
            x, h = a[0], norm(a[0], 1)
            q, k, v = split(h @ a[3], s["heads"]), split(h @ a[4], s["kv_heads"]), split(h @ a[5], s["kv_heads"])
            if s["llama"]:
                q, k = Functions.turn(q, a[11], a[12]), Functions.turn(k, a[11], a[12])
            o = F.scaled_dot_product_attention(q, k, v, is_causal=s["llama"], enable_gqa=s["heads"] != s["kv_heads"])
            y = x + o.transpose(1, 2).reshape(1, s["tokens"], s["hidden"]) @ a[6]
            g = norm(y, 7)
            up = g @ a[9]
            return y + (F.silu(g @ a[13]) * up if s["llama"] else F.gelu(up)) @ a[10]

    arrays, f = operands(row)
    if row.startswith("minilm_"):
        return minilm_worker("torch", row)
    if f is None:
        return model_worker(row, torch, compiled)
    tensors = [torch.from_numpy(x) for x in arrays]
    call = lambda *a: f(Functions, *a)
    if compiled:
        call = torch.compile(call)
    return lambda: call(*tensors)


def model_worker(row, torch, compiled):
    """Rows of whole models: the folder is MODEL."""
    if MODEL is None or compiled:
        skip("a row of whole models")
    from transformers import AutoModelForCausalLM
    if row == "load_first_token":
        ids = torch.ones(1, 4, dtype=torch.int64)
        return lambda: AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)(input_ids=ids, logits_to_keep=1).logits.argmax()
    dtype = {"decode_f16": torch.float16, "decode_bf16": torch.bfloat16}.get(row, torch.float32)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=dtype)
    vocabulary = model.config.vocab_size
    if row.startswith("train_"):
        from peft import LoraConfig, get_peft_model
        torch.set_grad_enabled(True)
        batch, tokens = (int(n) for n in row.split("_")[-1].split("x"))
        model.config.use_cache = False
        targets = ["q_proj", "v_proj"] if "small" in row else "all-linear"
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=targets, task_type="CAUSAL_LM")).train()
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=1e-4)

        def step():
            ids = torch.randint(0, vocabulary, (batch, tokens))
            model(input_ids=ids, labels=ids).loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return step
    model.eval()
    if row == "prefill_512":
        ids = torch.randint(0, vocabulary, (1, 512))
        return lambda: model(input_ids=ids, logits_to_keep=1)
    state = {}

    def token():
        if state.get("left", 0) == 0:
            state.update(left=32, cache=None, ids=torch.randint(0, vocabulary, (1, 1)))
        out = model(input_ids=state["ids"], past_key_values=state["cache"], use_cache=True)
        state.update(left=state["left"] - 1, cache=out.past_key_values, ids=out.logits[:, -1:].argmax(-1))
    return token


def jax_worker(row):
    os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={'true' if THREADS > 1 else 'false'}"
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        skip("jax is not installed")

    class Functions:
        relu, tanh, exp = jax.nn.relu, jnp.tanh, jnp.exp

        @staticmethod
        def softmax(x):
            return jax.nn.softmax(x)

        @staticmethod
        def rms_norm(x, w):
            return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-6) * w

    arrays, f = operands(row)
    if f is None or row in LAYERS:
        skip("no such row for jax")
    tensors = [jnp.asarray(x) for x in arrays]
    call = (lambda *a: f(Functions, *a)) if row == "add_1000" else jax.jit(lambda *a: f(Functions, *a))
    return lambda: call(*tensors).block_until_ready()


def mlx_worker(row):
    try:
        import mlx.core as mx
    except ImportError:
        skip("mlx is not installed")
    mx.set_default_device(mx.cpu)

    class Functions:
        tanh, exp = mx.tanh, mx.exp
        relu = staticmethod(lambda x: mx.maximum(x, 0))
        softmax = staticmethod(lambda x: mx.softmax(x, -1))
        rms_norm = staticmethod(lambda x, w: mx.fast.rms_norm(x, w, 1e-6))

    arrays, f = operands(row)
    if f is None or row in LAYERS:
        skip("no such row for mlx")
    tensors = [mx.array(x) for x in arrays]
    return lambda: mx.eval(f(Functions, *tensors))


def mlx_lm_worker(row):
    try:
        import mlx.core as mx
        from mlx_lm.models.cache import make_prompt_cache
        from mlx_lm.utils import load_model
    except ImportError:
        skip("mlx-lm is not installed")
    import pathlib
    mx.set_default_device(mx.cpu)
    model, _ = load_model(pathlib.Path(MODEL))
    if row == "prefill_512":
        ids = mx.arange(512)[None]

        def prefill():
            cache = make_prompt_cache(model)
            model.model(ids[:, :-1], cache)
            mx.eval([c.state for c in cache])
            mx.eval(model(ids[:, -1:], cache))
        return prefill
    if row != "decode":
        skip("no such row for mlx-lm")
    state = {}

    def token():
        if state.get("left", 0) == 0:
            state.update(left=32, cache=make_prompt_cache(model), ids=mx.array([[1]]))
        state.update(left=state["left"] - 1, ids=model(state["ids"], state["cache"]).argmax(-1))
        mx.eval(state["ids"])
    return token


def llama_cpp_worker(row):
    import llama_rows
    try:
        return llama_rows.worker(row, MODEL, THREADS)
    except llama_rows.Missing as missing:
        skip(str(missing))


def minilm_worker(peer, row):
    import minilm
    try:
        return minilm.worker(peer, row, MODEL, THREADS)
    except ImportError as error:
        skip(f"{error.name} is not installed")


def peak_memory():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def seconds_of(call, times):
    """Of one call: those that it reports, or those that it took."""
    begin = time.perf_counter()
    reported = [call() for _ in range(times)]
    if isinstance(reported[0], float):
        return sum(reported) / times
    return (time.perf_counter() - begin) / times


def main():
    workers = {"torch": lambda row: torch_worker(row, False), "torch.compile": lambda row: torch_worker(row, True), "jax": jax_worker,
               "mlx": mlx_worker, "mlx-lm": mlx_lm_worker, "llama.cpp": llama_cpp_worker, "onnxruntime": lambda row: minilm_worker("onnxruntime", row),
               "sentence-transformers": lambda row: minilm_worker("sentence-transformers", row)}
    call = workers[PEER](ROW)
    for _ in range(3):
        call()
    times = max(1, math.floor(SAMPLE_SECONDS / 5 / seconds_of(call, 1)))
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({"seconds": min(seconds_of(call, times) for _ in range(5)), "peak_memory_bytes": peak_memory()}), flush=True)


if __name__ == "__main__":
    PEER, ROW, THREADS = sys.argv[1], sys.argv[2], int(sys.argv[3])
    MODEL = sys.argv[4] if len(sys.argv) > 4 else None
    main()
