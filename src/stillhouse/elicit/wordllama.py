"""Embeddings that need no download: WordLlama's (`l2_supercat`, 256 numbers a token, MIT, mainly of English words).

The package of that name carries them. Only its two files are read, and none of its code; model2vec embeds with them.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stillhouse.errors import RecipeError

EMBED = f"{__name__}:embed"
"""Its name where an embedding model is asked for."""


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """A vector a text: the mean of its tokens'. Raises RecipeError when the package is not installed."""
    whole = [text.encode("utf-8", "replace").decode() for text in texts]
    return _model().encode(whole, use_multiprocessing=False)


@cache
def _model() -> Any:
    from model2vec import StaticModel  # slow to import, and most runs need none
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    spec = find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise RecipeError("these embeddings need the package wordllama: pip install 'stillhouse[embeddings]'")
    package = Path(spec.origin).parent
    vectors = load_file(package / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
    tokenizer = Tokenizer.from_file(str(package / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    return StaticModel(vectors.astype(np.float32), tokenizer)
