"""What MiniLM-L6-v2 says to some sentences, by numpy alone: the reference that candle's vectors are held to.

Usage: minilm.py MODEL_DIRECTORY SENTENCES_FILE > VECTORS.json
"""

import json
import sys
from math import erf
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

HEADS = 12
MOST_TOKENS = 256


def weights(path):
    """The tensors of a safetensors file by name."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(data[8 + size + begin : 8 + size + end], dtype="<f4")
        tensors[name] = flat.reshape(entry["shape"]).astype(np.float64)
    return tensors


def normalized(x, w, name):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-12) * w[name + ".weight"] + w[name + ".bias"]


def linear(x, w, name):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def attention(x, w, layer):
    def heads(name):
        return linear(x, w, f"{layer}.attention.self.{name}").reshape(len(x), HEADS, -1).swapaxes(0, 1)

    query, key, value = heads("query"), heads("key"), heads("value")
    scores = query @ key.swapaxes(1, 2) / np.sqrt(query.shape[-1])
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = scores / scores.sum(-1, keepdims=True) @ value
    return linear(mixed.swapaxes(0, 1).reshape(len(x), -1), w, f"{layer}.attention.output.dense")


def vector(ids, w):
    x = w["embeddings.word_embeddings.weight"][ids]
    x = x + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = x + w["embeddings.token_type_embeddings.weight"][0]
    x = normalized(x, w, "embeddings.LayerNorm")
    layers = {name.split(".")[2] for name in w if name.startswith("encoder.layer.")}
    for number in range(len(layers)):
        layer = f"encoder.layer.{number}"
        x = normalized(x + attention(x, w, layer), w, f"{layer}.attention.output.LayerNorm")
        inner = gelu(linear(x, w, f"{layer}.intermediate.dense"))
        x = normalized(x + linear(inner, w, f"{layer}.output.dense"), w, f"{layer}.output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def main(directory, sentences):
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MOST_TOKENS)
    w = weights(directory / "model.safetensors")
    lines = sentences.read_text(encoding="utf-8").splitlines()
    json.dump([vector(tokenizer.encode(line).ids, w).tolist() for line in lines], sys.stdout)


main(Path(sys.argv[1]), Path(sys.argv[2]))
