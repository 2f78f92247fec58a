"""Tokenizers of every kind, trained here on Python's own library by the `tokenizers` package."""
import json
import pathlib
import tempfile

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")
MARKS = r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}{1,3}(?=\p{N}*$)| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]|\s+(?!\S)|\s+|^x"


def byte_level(**options):
    return pre_tokenizers.ByteLevel(**{"add_prefix_space": False, "use_regex": False, **options})


def split(expression, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(expression), behavior, invert)


def train(pre_tokenizer, vocab_size=700, normalizer=None, alphabet=True, unk=None, **model):
    tokenizer = Tokenizer(models.BPE(unk_token=unk, **model))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, show_progress=False, special_tokens=["<|endoftext|>"] + ([unk] if unk else []),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()) if alphabet else [])
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def corpus():
    texts = [pathlib.Path(json.__file__).with_name(n).read_text() for n in ("decoder.py", "encoder.py", "scanner.py")]
    texts.append("The cat's hat; they'll see 12345 años, naïve café, Straße und Öl. Привет мир! 你好世界 日本語 한국어 🙂👍🏽 " * 20)
    return texts


def add_kinds_of_tokens(tokenizer):
    tokenizer.add_special_tokens([AddedToken("<s>", rstrip=True), AddedToken("<mask>", lstrip=True), AddedToken("<mask>x")])
    tokenizer.add_tokens([AddedToken("def", single_word=True), AddedToken("caf\u00e9", normalized=True),
                          AddedToken("e\u0301a", normalized=False), AddedToken("  ", lstrip=True, rstrip=True, normalized=False),
                          AddedToken("foobar"), AddedToken("foo"), AddedToken("[x]", single_word=True, lstrip=True, normalized=False)])


def with_bos(tokenizer):
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", tokenizer.token_to_id("<|endoftext|>"))])])


def old_merges(path):
    """Writes merges as "a b", as older files have them."""
    data = json.loads(path.read_text())
    data["model"]["merges"] = [" ".join(m) for m in data["model"]["merges"]]
    path.write_text(json.dumps(data, ensure_ascii=False, indent=0))


def kept_tokenizers(folder):
    """The tokenizers whose files are kept as fixtures."""
    files = {}

    def save(name, tokenizer, old=False):
        files[name] = folder / (name + ".json")
        data = json.loads(tokenizer.to_str())
        files[name].write_text(json.dumps(data, ensure_ascii=False, indent=0))
        if old:
            old_merges(files[name])

    save("gpt2", train(byte_level(add_prefix_space=True, use_regex=True), 500), old=True)
    llama = train(pre_tokenizers.Sequence([split(LLAMA3), byte_level()]), 500, ignore_merges=True)
    with_bos(llama)
    save("llama3", llama)
    kinds = train(pre_tokenizers.Sequence([split(QWEN2), byte_level()]), 450, normalizers.Sequence([normalizers.NFC()]))
    add_kinds_of_tokens(kinds)
    save("added", kinds)
    return files


def more_tokenizers(folder):
    files = {}

    def save(name, tokenizer):
        files[name] = folder / (name + ".json")
        tokenizer.save(str(files[name]))

    save("marks", train(pre_tokenizers.Sequence([split(MARKS), byte_level()])))
    save("digits", train(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(use_regex=True)])))
    save("digit_runs", train(pre_tokenizers.Sequence([pre_tokenizers.Digits(), byte_level(add_prefix_space=True)])))
    for behavior in ("isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"):
        for invert in (False, True):
            save(f"{behavior}_{invert}", train(pre_tokenizers.Sequence([split(r"[\p{P}\s]|x*", behavior, invert), byte_level()]), 400))
        save(f"literal_{behavior}", train(pre_tokenizers.Sequence([pre_tokenizers.Split("ab", behavior), byte_level()]), 400))
    save("gaps", train(pre_tokenizers.Sequence([split(QWEN2, "removed", True), byte_level(add_prefix_space=True)])))
    words = train(split(r"\s+", "merged_with_next"), 600, alphabet=False, unk="<unk>")
    words.decoder = decoders.Fuse()
    save("characters", words)
    fused = Tokenizer.from_str(words.to_str().replace('"fuse_unk":false', '"fuse_unk":true'))
    save("characters_fused", fused)
    save("prefixed", train(pre_tokenizers.Sequence([split(LLAMA3), byte_level(add_prefix_space=True)])))
    bare = train(byte_level(use_regex=True), 400, alphabet=False)
    bare.decoder = None
    save("few_bytes", bare)
    return files


BYTES = [f"<0x{b:02X}>" for b in range(256)]


def trained(model, trainer, pre_tokenizer=None, normalizer=None, decoder=None):
    tokenizer = Tokenizer(model)
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator([line for text in corpus() for line in text.splitlines()], trainer)
    if decoder:
        tokenizer.decoder = decoder
    return tokenizer


def bert(vocab_size=500, processor=True, **options):
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = trained(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=options.pop("longest", 100)),
                        trainers.WordPieceTrainer(vocab_size=vocab_size, show_progress=False, special_tokens=special, limit_alphabet=150),
                        pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer(**options), decoders.WordPiece())
    if processor:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tokenizer


def unigram(pre_tokenizer, normalizer=None, decoder=None, fallback=False, vocab_size=500):
    special = ["<unk>", "<s>", "</s>"]
    tokenizer = trained(models.Unigram(), trainers.UnigramTrainer(vocab_size=vocab_size, show_progress=False, special_tokens=special, unk_token="<unk>"),
                        pre_tokenizer, normalizer, decoder)
    data = json.loads(tokenizer.to_str())
    data["model"]["byte_fallback"] = fallback
    if fallback:
        data["model"]["vocab"] += [[b, -20.0] for b in BYTES]
    return Tokenizer.from_str(json.dumps(data))


def characters_bpe(pre_tokenizer=None, normalizer=None, decoder=None, fallback=False, lower=False, vocab_size=500, **options):
    """BPE over characters, with the tokens of bytes when `fallback`."""
    affixes = {k: v for k, v in options.items() if k in ("continuing_subword_prefix", "end_of_word_suffix")}
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False, limit_alphabet=120,
                                  special_tokens=["<unk>", "<s>", "</s>"] + (BYTES if fallback else []), **affixes)
    tokenizer = trained(models.BPE(unk_token="<unk>", **options), trainer, pre_tokenizer or pre_tokenizers.Metaspace(), normalizer, decoder)
    data = json.loads(tokenizer.to_str())
    data["model"]["byte_fallback"] = fallback
    for token in BYTES if fallback else []:  # no text stands for them
        data["added_tokens"] = [t for t in data["added_tokens"] if t["content"] != token]
    if pre_tokenizer is None:
        data["pre_tokenizer"] = None
    return Tokenizer.from_str(json.dumps(data))


def word_level(pre_tokenizer):
    trainer = trainers.WordLevelTrainer(vocab_size=600, show_progress=False, special_tokens=["<unk>", "<s>"])
    return trained(models.WordLevel(unk_token="<unk>"), trainer, pre_tokenizer)


def llama2_decoder():
    return decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])


def llama2_normalizer():
    return normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])


def albert_normalizer():
    return normalizers.Sequence([normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD(), normalizers.StripAccents(),
                                 normalizers.Lowercase(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()])


def roberta(tokenizer):
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1))
    return tokenizer


def sentencepiece_rules(small):
    """The rules that sentencepiece compiles; few of them if `small`. Nothing without the package."""
    try:
        import sentencepiece
    except ImportError:
        return None
    with tempfile.TemporaryDirectory() as folder:
        rules = pathlib.Path(folder, "rules.tsv")
        pairs = [("\u00c5", "A"), ("A\u030a", "A"), ("\ufb01", "fi"), ("\u3000", " "), ("\t", " "), ("\n", " "), ("\u0301", ""), ("e\u0301", "\u00e9"),
                 ("ABC", "x"), ("\u0001", ""), ("\ufdfa", "salla allah"), ("\u1100\u1161", "\uac00"), ("\u2581", "_")]
        rules.write_text("".join(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n" for a, b in pairs))
        how = {"normalization_rule_tsv": str(rules)} if small else {"normalization_rule_name": "nmt_nfkc_cf"}
        model = pathlib.Path(folder, "m")
        text = pathlib.Path(folder, "text")
        text.write_text("\n".join(corpus()))
        sentencepiece.SentencePieceTrainer.train(input=str(text), model_prefix=str(model), vocab_size=300, minloglevel=2, **how)
        processor = sentencepiece.SentencePieceProcessor(model_file=str(model) + ".model")
        from sentencepiece import sentencepiece_model_pb2
        proto = sentencepiece_model_pb2.ModelProto()
        proto.ParseFromString(processor.serialized_model_proto())
        return proto.normalizer_spec.precompiled_charsmap


def precompiled_kind(small):
    rules = sentencepiece_rules(small)
    if rules is None:
        print("skipped: a tokenizer with sentencepiece's rules, the package sentencepiece is not installed")
        return None
    normalizer = normalizers.Sequence([normalizers.Precompiled(rules), normalizers.Replace(Regex(" {2,}"), " ")])
    return unigram(pre_tokenizers.Metaspace(), normalizer, decoders.Metaspace(), vocab_size=350)


def kept_kinds():
    """One of each kind, small enough for fixtures."""
    yield "bert", bert(350)
    yield "bert_cased", bert(350, lowercase=False, handle_chinese_chars=False, longest=12)
    yield "llama2", characters_bpe(None, llama2_normalizer(), llama2_decoder(), fallback=True, fuse_unk=True, vocab_size=550)
    yield "metaspace", characters_bpe(pre_tokenizers.Metaspace(prepend_scheme="first"), decoder=decoders.Metaspace(prepend_scheme="first"), vocab_size=350)
    yield "suffix", roberta(characters_bpe(pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer(), decoders.BPEDecoder(),
                                           end_of_word_suffix="</w>", vocab_size=400))
    yield "prefix", characters_bpe(pre_tokenizers.Whitespace(), normalizers.NFD(), decoders.WordPiece(cleanup=False),
                                   continuing_subword_prefix="##", fuse_unk=True, vocab_size=400)
    t5 = unigram(pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]), normalizers.NFKC(), decoders.Metaspace(), vocab_size=400)
    t5.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 2)])
    yield "t5", t5
    yield "albert", unigram(pre_tokenizers.Metaspace(), albert_normalizer(), decoders.Metaspace(), vocab_size=400)
    kind = precompiled_kind(True)
    if kind:
        yield "sentencepiece", kind
    yield "unigram_bytes", unigram(pre_tokenizers.Metaspace(prepend_scheme="never"), None, llama2_decoder(), fallback=True, vocab_size=300)


def more_kinds():
    for small in (True, False):
        kind = precompiled_kind(small)
        if kind:
            yield f"precompiled_{small}", kind
    yield "bert_marked", bert(500, strip_accents=True, lowercase=False, clean_text=False)
    yield "bert_plain", bert(500, strip_accents=False, lowercase=True, processor=False)
    bert_processing = bert(600)
    bert_processing.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    add_kinds_of_tokens(bert_processing)
    yield "bert_added", bert_processing
    yield "unigram_whole", unigram(None, normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), "\u2581")]),
                                   decoders.Sequence([decoders.Replace("\u2581", " "), decoders.Fuse()]))
    yield "unigram_bytelevel", unigram(pre_tokenizers.ByteLevel(), None, decoders.ByteLevel())
    spelled = characters_bpe(pre_tokenizers.Split(Regex(LLAMA3), "isolated"), normalizers.Sequence([normalizers.NFC(), normalizers.ByteLevel()]), decoders.ByteLevel())
    yield "normalized_bytes", spelled
    yield "bytes_then_digits", characters_bpe(pre_tokenizers.Sequence([pre_tokenizers.ByteLevel(use_regex=False), pre_tokenizers.Digits(True)]), decoder=decoders.ByteLevel())
    for scheme in ("always", "first", "never"):
        for cut in (True, False):
            kind = characters_bpe(pre_tokenizers.Metaspace(prepend_scheme=scheme, split=cut), decoder=decoders.Metaspace(prepend_scheme=scheme), fallback=cut)
            add_kinds_of_tokens(kind)
            yield f"metaspace_{scheme}_{cut}", kind
    for behavior in ("isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"):
        yield f"punctuation_{behavior}", characters_bpe(pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(behavior)]), decoder=decoders.Fuse())
    yield "delimiter", characters_bpe(pre_tokenizers.Sequence([pre_tokenizers.CharDelimiterSplit("e"), pre_tokenizers.Metaspace(prepend_scheme="first")]))
    for name, step in (("nfd", normalizers.NFD()), ("nfkd", normalizers.NFKD()), ("nfkc", normalizers.NFKC()), ("lower", normalizers.Lowercase()),
                       ("strip_left", normalizers.Strip(right=False)), ("nmt", normalizers.Nmt()), ("accents", normalizers.StripAccents()),
                       ("nfd_accents_lower", normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])),
                       ("replaced", normalizers.Sequence([normalizers.Replace("aa", "b"), normalizers.Replace(Regex("[0-9]"), "#"), normalizers.Prepend("> ")]))):
        kind = characters_bpe(pre_tokenizers.Metaspace(prepend_scheme="first"), step, decoders.Metaspace(prepend_scheme="first"), fallback=True)
        add_kinds_of_tokens(kind)
        yield f"form_{name}", kind
    for name, splitter in (("scripts", pre_tokenizers.UnicodeScripts()), ("fixed", pre_tokenizers.FixedLength(3)),
                           ("words", pre_tokenizers.Whitespace()),
                           ("scripts_of_words", pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.UnicodeScripts(),
                                                                         pre_tokenizers.FixedLength(4)]))):
        yield f"wordlevel_{name}", word_level(splitter)
        yield f"bpe_{name}", characters_bpe(splitter, decoder=decoders.Fuse(), dropout=0.0 if name == "words" else None)
    yield "ctc", characters_bpe(pre_tokenizers.Split(" ", "merged_with_next"), decoder=decoders.CTC("<unk>", " "))
    chain = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Replace("\u2581", "  "), decoders.Replace("  ", " "), decoders.Strip(" ", 2, 0)])
    yield "chain", characters_bpe(pre_tokenizers.Metaspace(), decoder=chain, fallback=True)
    yield "stripped", characters_bpe(pre_tokenizers.Metaspace(), decoder=decoders.Strip("\u2581", 1, 0), fallback=True)


def speed_kinds():
    yield "bert", bert(4000)
    yield "llama2", characters_bpe(None, llama2_normalizer(), llama2_decoder(), fallback=True, fuse_unk=True, vocab_size=4000)
    yield "metaspace", characters_bpe(pre_tokenizers.Metaspace(), vocab_size=4000)
    yield "suffix", characters_bpe(pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer(), end_of_word_suffix="</w>", vocab_size=4000)
    yield "t5", unigram(pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]), normalizers.NFKC(), vocab_size=2000)
    yield "albert", unigram(pre_tokenizers.Metaspace(), albert_normalizer(), vocab_size=2000)
    yield "unigram_whole", unigram(None, normalizers.Replace(" ", "\u2581"), vocab_size=2000)
