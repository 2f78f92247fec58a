"""Makes tests/data/rerankers: the scores that CrossEncoder of sentence-transformers gives with small models whose weights are a formula, and
those of Qwen3-Reranker's recipe.

Usage: python make_rerankers.py tests/data [NAME...]    (needs torch, transformers, sentence-transformers and numpy; seconds)

Numbers of a tensor are those of make_families.py. A file has the configuration, the tensors, the tokenizer's file and post-processor, and the
ids, logits and scores of pairs.
"""
import json
import pathlib
import sys
import tempfile

import torch
import transformers
from sentence_transformers import CrossEncoder
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from make_families import uniform

DATA = pathlib.Path(sys.argv[1])
OUT = DATA / "rerankers"
QUERY = "how do I train a cat?"
TEXTS = ["a cat", "The Dog sat on the mat, and the cat on a rug.", "", "how do I train? " * 12, "Find the [MASK] word; naïve café!"]
MAX_LENGTH = 40
ENCODER = dict(vocab_size=120, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=48,
               num_labels=1, pad_token_id=0)
ROBERTA = {"type": "RobertaProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2], "trim_offsets": True, "add_prefix_space": False}
DISTIL = dict(vocab_size=120, dim=32, hidden_dim=48, n_layers=2, n_heads=4, max_position_embeddings=48, num_labels=1, pad_token_id=0)
MODERN = ENCODER | dict(num_hidden_layers=3, global_attn_every_n_layers=3, local_attention=8, cls_token_id=2, sep_token_id=3,
                        bos_token_id=2, eos_token_id=3)
MODELS = {
    "bert": lambda: transformers.BertConfig(**ENCODER),
    "mpnet": lambda: transformers.MPNetConfig(**ENCODER),
    "roberta": lambda: transformers.RobertaConfig(type_vocab_size=1, **ENCODER),
    "camembert": lambda: transformers.CamembertConfig(type_vocab_size=1, **ENCODER),
    "xlm-roberta": lambda: transformers.XLMRobertaConfig(type_vocab_size=1, **ENCODER),
    "electra": lambda: transformers.ElectraConfig(embedding_size=16, **ENCODER),
    "distilbert": lambda: transformers.DistilBertConfig(**DISTIL),
    "modernbert": lambda: transformers.ModernBertConfig(**MODERN),
    "modernbert-mean": lambda: transformers.ModernBertConfig(classifier_pooling="mean", classifier_bias=True, norm_bias=True, **MODERN),
    "modernbert-classes": lambda: transformers.ModernBertConfig(**MODERN | dict(num_labels=3, id2label={0: "bad", 1: "so so", 2: "good"})),
    "qwen3": lambda: transformers.Qwen3Config(vocab_size=304, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                                              num_key_value_heads=2, head_dim=8, max_position_embeddings=512, tie_word_embeddings=True),
}
WITHOUT_TYPES = ("modernbert", "distilbert", "mpnet")
# As Qwen3-Reranker's card has them.
BEFORE = ('<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the '
          'answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n')
AFTER = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
INSTRUCT = "Given a web search query, retrieve relevant passages that answer the query"


def fill(model):
    tensors = {}
    with torch.no_grad():
        for name, p in model.named_parameters():
            norm = "norm" in name.lower() and name.endswith("weight")
            shift, scale = (1.0 if norm else 0.0), (1.0 if "embed" in name or name.endswith("bias") else 0.5)
            p.copy_(uniform(name, tuple(p.shape), shift, scale))
            tensors[name] = dict(shape=list(p.shape), shift=shift, scale=scale)
    return tensors


def word_pieces(roberta):
    content = json.loads((DATA / "tiny-sentences" / "tokenizer.json").read_text())
    if roberta:
        content["post_processor"] = ROBERTA
    return Tokenizer.from_str(json.dumps(content)), content["post_processor"]


def byte_pairs():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    texts = ["yes no yes no yes no"] * 9 + ["system user assistant think Instruct Query Document"] * 4
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=320, special_tokens=special, show_progress=False,
                                                             initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    (OUT / "qwen-tokenizer.json").write_text(json.dumps(json.loads(tokenizer.to_str()), separators=(",", ":"), ensure_ascii=False))
    return tokenizer


def short(values):
    return [float(f"{v:.9g}") for v in values]


def by_recipe(model, tokenizer, length):
    before, after = tokenizer.encode(BEFORE, add_special_tokens=False), tokenizer.encode(AFTER, add_special_tokens=False)
    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
    scores, rows = [], []
    for text in TEXTS:
        question = f"<Instruct>: {INSTRUCT}\n<Query>: {QUERY}\n<Document>: {text}"
        ids = tokenizer(question, truncation="longest_first", max_length=length - len(before) - len(after))["input_ids"]
        rows.append(before + ids + after)
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([rows[-1]])).logits[0, -1]
        scores.append(torch.log_softmax(torch.stack([logits[no], logits[yes]]), 0)[1].exp().item())
    return dict(recipe_length=length, recipe_ids=rows, recipe_scores=short(scores))


def by_classes(model, tokenizer):
    """What AutoModelForSequenceClassification gives for texts alone and for pairs."""
    with torch.no_grad():
        # Lists of one: an empty second text alone would be none.
        alone, pairs = (torch.cat([model(**tokenizer([row], truncation=True, return_tensors="pt")).logits for row in rows])
                        for rows in (TEXTS, [[QUERY, t] for t in TEXTS]))
    return dict(alone=[short(row) for row in alone.softmax(-1).tolist()], alone_each=[short(row) for row in alone.sigmoid().tolist()],
                pairs=[short(row) for row in pairs.softmax(-1).tolist()])


def make(name):
    config = MODELS[name]()
    decoder = name == "qwen3"
    kind = transformers.AutoModelForCausalLM if decoder else transformers.AutoModelForSequenceClassification
    model = kind.from_config(config, attn_implementation="eager").float().eval()
    tensors = fill(model)
    if decoder:
        core, post = byte_pairs(), None
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<|endoftext|>", eos_token="<|im_end|>", padding_side="left",
                                            model_max_length=MAX_LENGTH)
    else:
        core, post = word_pieces(name in ("roberta", "camembert", "xlm-roberta", "mpnet"))
        inputs = ["input_ids", "attention_mask"] + ([] if name.startswith(WITHOUT_TYPES) else ["token_type_ids"])
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
                                            mask_token="[MASK]", model_max_length=MAX_LENGTH, model_input_names=inputs)
    judged = {}
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        if config.num_labels == 1 or decoder:
            judge = CrossEncoder(folder, device="cpu")
            pairs = [[QUERY, text] for text in TEXTS]
            judged = dict(logits=short(judge.predict(pairs, activation_fn=torch.nn.Identity()).tolist()), scores=short(judge.predict(pairs).tolist()))
        else:
            judged = by_classes(model, tokenizer)
        written = json.loads((pathlib.Path(folder) / "config.json").read_text())
    rows = [core.encode(QUERY, text) for text in TEXTS]
    encoded = tokenizer([[QUERY, text] for text in TEXTS], truncation="longest_first")["input_ids"]
    written.pop("transformers_version", None)
    out = dict(config=json.dumps(written), tensors=tensors, post_processor=json.dumps(post), max_length=MAX_LENGTH,
               inputs=tokenizer.model_input_names, query=QUERY, texts=TEXTS, ids=encoded, full_lengths=[len(r.ids) for r in rows],
               **judged)
    if decoder:
        out |= by_recipe(model, tokenizer, 360)
    print(name, judged, flush=True)
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in out.items())
    (OUT / f"{name}.json").write_text("{" + lines + "}\n")


def main():
    OUT.mkdir(exist_ok=True)
    for name in sys.argv[2:] or MODELS:
        make(name)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
