"""The plain measures of similarity: equal or not, and the cosine of embeddings."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stillhouse.elicit.filters.contract import Closest, Rows
from stillhouse.elicit.search.embed import Embed


class Exact:
    """1 where the index has the same text, whatever its case and spaces."""

    def __init__(self) -> None:
        self._where: dict[str, int] = {}
        self._count = 0

    def read(self, text: str) -> str:
        return " ".join(text.casefold().split())

    def closest(self, prepared: str) -> Closest | None:
        at = self._where.get(prepared)
        return None if at is None else Closest(1.0, at)

    def add(self, prepared: str) -> None:
        self._where.setdefault(prepared, self._count)
        self._count += 1


class Cosine:
    """The closest text by the cosine of embeddings of length 1."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._rows: Rows | None = None

    def read(self, text: str) -> NDArray[np.float32]:
        return self._embed([text])[0]

    def closest(self, prepared: NDArray[np.float32]) -> Closest | None:
        if self._rows is None:
            return None
        similarity: Any = self._rows.all @ prepared
        at = int(similarity.argmax())
        return Closest(float(similarity[at]), at, float(similarity.mean()))

    def add(self, prepared: NDArray[np.float32]) -> None:
        if self._rows is None:
            self._rows = Rows(len(prepared), np.float32)
        self._rows.append(prepared)
