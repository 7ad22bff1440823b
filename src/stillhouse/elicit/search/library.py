"""The documents of a named set, opened for search behind one interface."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from stillhouse.elicit.search.bm25 import bm25
from stillhouse.elicit.search.dense import dense
from stillhouse.elicit.search.embed import embedder
from stillhouse.elicit.search.hits import Find, Hit
from stillhouse.elicit.view import text, value, view
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record
from stillhouse.signature import imported

OPEN = ("", "train")
"""Splits whose records may be found by default: what is held out is not shown to those who learn."""


@dataclass(frozen=True, slots=True)
class Library:
    """Distinct texts, each with the first record that has it, and who finds them."""

    documents: Mapping[str, Record]
    find: Find
    backend: str

    def hits(self, query: str, most: int, without: frozenset[str] = frozenset()) -> list[Hit]:
        """The best hits, the best first, but those `without`. Raises RecipeError when the backend gives no hits."""
        found = [self._hit(item) for item in self.find(query, most + len(without))]
        return [hit for hit in found if hit.text not in without][:most]

    def entry(self, hit: Hit, keep: Sequence[str] = ()) -> dict[str, Any]:
        """A hit as a record's field holds it: its text, its score, and of its document the key and the fields named."""
        document = self.documents.get(hit.text)
        if document is None:
            return {"text": hit.text, "score": hit.score}
        kept = {field: value(document, field) for field in keep}
        return {**kept, "text": hit.text, "score": hit.score, "key": document.key}

    def _hit(self, item: Any) -> Hit:
        match item:
            case (str(found), Real() as score) if math.isfinite(score):
                return Hit(found, float(score))
        raise RecipeError(f"backend '{self.backend}' found {item!r:.80}; it must give pairs (text, score)")


def library(
    sets: Mapping[str, Sequence[Record]],
    over: str,
    *,
    document: str,
    backend: str = "bm25",
    model: str = "",
    among: Sequence[str] = OPEN,
) -> Library:
    """Open the texts in the field `document` of the set `over`, of the splits `among`.

    `backend`: "bm25"; "dense", with an embedding `model`; or "package.module:function", which takes the list of texts
    (of use or not: it may search the web) and gives a function of a query and a number, that gives pairs (text, score).
    An empty name of a set is no documents, for a backend that has its own.
    Raises RecipeError for a set, field or backend that is not there.
    """
    documents: dict[str, Record] = {}
    for record in _set(sets, over) if over else ():
        found = text(record, document)
        if record.split in among and found.strip():
            documents.setdefault(found, record)
    if over and not documents:
        _complain(sets[over], over, document, among)
    return Library(documents, _opened(list(documents), backend, model), backend)


def _opened(texts: list[str], backend: str, model: str) -> Find:
    if backend == "bm25":
        return bm25(texts)
    if backend == "dense":
        return dense(texts, embedder(model))
    if ":" not in backend:
        raise RecipeError(f"there is no search backend '{backend}'; there are bm25, dense and package.module:function")
    return imported(backend, "search backend")(texts)


def _set(sets: Mapping[str, Sequence[Record]], over: str) -> Sequence[Record]:
    if over not in sets:
        raise RecipeError(f"there is no set '{over}' to search; there are {', '.join(sorted(sets)) or 'none'}")
    return sets[over]


def _complain(records: Sequence[Record], over: str, document: str, among: Sequence[str]) -> None:
    """An empty set may fill in a later round; one that has records, but none to search, is a mistake in the recipe."""
    first = next(iter(records), None)
    if first is not None:
        raise RecipeError(
            f"no record of set '{over}' (splits {', '.join(repr(s) for s in among)}) has a text in '{document}'; "
            f"the first has split {first.split!r} and {', '.join(sorted(view(first)))}"
        )
