"""Makes tests/data/vector_precisions.json: what sentence-transformers makes of vectors when it truncates and quantises them.

Usage: python make_vector_precisions.py tests/data    (needs sentence-transformers)
"""
import json
import pathlib
import shutil
import sys
import tempfile

import numpy as np
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import quantize_embeddings

DATA = pathlib.Path(sys.argv[1])
TEXTS = ["a cat", "The Dog sat on the mat, and the cat on a rug.", "how do I train? " * 12]
ROWS, SIZE = 7, 19


def formula():
    index = np.arange(ROWS * SIZE, dtype=np.float64)
    vectors = (np.sin(index * 0.7) * (1 + index % 5)).astype(np.float32).reshape(ROWS, SIZE)
    vectors[:, 3] = 0.25  # no range at all
    vectors[2, :] = 0
    vectors[4, 5] = -0.0
    return vectors


def truncated():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder) / "model"
        shutil.copytree(DATA / "tiny-sentences" / "dense", folder)
        shutil.copy(DATA / "tiny-bert" / "config.json", folder)
        shutil.copy(DATA / "tiny-sentences" / "tokenizer.json", folder)
        state = {name: t.float() for name, t in load_file(DATA / "tiny-bert" / "model.safetensors").items()}
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        model = SentenceTransformer(str(folder), device="cpu")
        for normalize in (False, True):
            vectors = model.encode(TEXTS, truncate_dim=10, normalize_embeddings=normalize)
            yield [[round(float(x), 7) for x in v] for v in vectors]


def main():
    vectors = formula()
    out = {"rows": ROWS, "size": SIZE, "vectors": [float(x) for x in vectors.ravel()]}
    for precision in ("int8", "uint8", "binary", "ubinary"):
        out[precision] = [int(x) for x in quantize_embeddings(vectors, precision=precision).ravel()]
    plain, unit = truncated()
    out |= {"texts": TEXTS, "dimensions": 10, "truncated": plain, "normalized": unit}
    (DATA / "vector_precisions.json").write_text(json.dumps(out))


main()
