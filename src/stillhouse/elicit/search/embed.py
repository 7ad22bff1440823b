"""Texts as vectors of length one, through model2vec (static embeddings: no torch) or a function of the user's own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stillhouse.errors import RecipeError
from stillhouse.signature import imported

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""One row a text; a text without any known word is all zeros, and like nothing."""


def embedder(model: str) -> Embed:
    """The embeddings of a model: a folder of model2vec, its name on the Hugging Face hub, or "package.module:function".

    The function takes a list of texts and gives a matrix with a row for each. Raises RecipeError for a model that is
    not there, and for a matrix of another shape.
    """
    encode = imported(model, "embedding model") if ":" in model and not Path(model).exists() else _static(model)

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, 1), np.float32)
        rows = np.asarray(encode(list(texts)), dtype=np.float32)
        if rows.ndim != 2 or len(rows) != len(texts):
            raise RecipeError(
                f"embedding model '{model}' gave an array of shape {rows.shape} for {len(texts)} texts; give a row each"
            )
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.divide(rows, lengths, where=lengths > 0, out=np.zeros_like(rows))

    return embed


def _static(model: str) -> Callable[[list[str]], Any]:
    from model2vec import StaticModel  # slow to import, and most runs need none

    if not model:
        raise RecipeError("embedding needs a `model`: a folder of model2vec, its name on the hub, or module:function")
    try:
        found = StaticModel.from_pretrained(model, force_download=False)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise RecipeError(
            f"embedding model '{model}' cannot be loaded ({reason}); give a folder of model2vec or module:function"
        ) from error
    # In one process: the texts of a step are few, and its records may themselves come from several processes.
    return lambda texts: found.encode(texts, use_multiprocessing=False)
