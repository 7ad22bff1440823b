"""Embeddings that tests can see through: letters as axes; and a tiny model of model2vec made in memory."""

from pathlib import Path

import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

WORDS = ("[UNK]", "cat", "kitten", "dog", "copper", "still")
VECTORS = ((0.0, 0, 0), (1.0, 0, 0), (0.9, 0.1, 0), (0.5, 0.8, 0), (0, 0, 1.0), (0, 0.1, 0.9))


def letters(texts: list[str]) -> np.ndarray:
    """How often each of a to z is in a text."""
    return np.array([[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts], dtype=float)


def too_few(texts: list[str]) -> np.ndarray:
    return letters(texts)[:-1]


def save_static(folder: Path) -> Path:
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    StaticModel(np.array(VECTORS, dtype=np.float32), tokenizer).save_pretrained(folder)
    return folder
