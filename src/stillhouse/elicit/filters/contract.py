"""What `novel` asks of a measure of similarity: an index that grows and finds the closest text in it."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Closest:
    """How similar the closest text of an index is, which one in the order of adding, and the mean over all if known."""

    similarity: float
    at: int
    mean: float | None = None


@runtime_checkable
class Index(Protocol):
    """Texts so far. `read` prepares a text once for both others; `closest` is None where nothing is comparable."""

    def read(self, text: str) -> Any: ...

    def closest(self, prepared: Any) -> Closest | None: ...

    def add(self, prepared: Any) -> None: ...


class Rows:
    """A matrix that grows by rows."""

    def __init__(self, width: int, dtype: npt.DTypeLike) -> None:
        self._held, self._count = np.empty((16, width), dtype), 0

    @property
    def all(self) -> npt.NDArray[Any]:
        return self._held[: self._count]

    def append(self, row: npt.NDArray[Any]) -> None:
        if self._count == len(self._held):
            self._held = np.concatenate([self._held, np.empty_like(self._held)])
        self._held[self._count] = row
        self._count += 1
