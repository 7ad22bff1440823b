"""The operator `negatives`: documents that look right for a query and are not."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.search.library import OPEN, library
from stillhouse.elicit.view import text, value
from stillhouse.records.types import Record


def negatives(
    records: Iterable[Record],
    sets: Mapping[str, Sequence[Record]],
    rng: random.Random,
    *,
    over: str = "documents",
    query: str = "question",
    positive: str = "positive",
    document: str = "text",
    depth: Annotated[int, Field(ge=1)] = 50,
    skip: Annotated[int, Field(ge=0)] = 0,
    n: Annotated[int, Field(ge=1)] = 1,
    pick: Literal["hardest", "random"] = "hardest",
    exclude: str = "",
    backend: str = "bm25",
    model: str = "",
    among: tuple[str, ...] = OPEN,
    keep: tuple[str, ...] = (),
    into: str = "negatives",
) -> Iterator[Result]:
    """Put n hard negatives into the field `into`, from the first `depth` documents that a search finds.

    positive: the record's field with the right documents: a text, or a list of texts or of {"text"}; these are no
    negatives, however they are spaced and capitalised. exclude: a field with answers; a document that contains one may
    be right as well, and is left out (DPR, arXiv 2004.04906). skip: leave out the first of those that remain, often
    right but unmarked. pick: the hardest, or any at random (InPars, arXiv 2202.05144). The rest as in `search`.

    Used by InPars, Promptagator (2209.11755), KARD (2305.18395), RECOMP (2310.04408), ExaRanker (2301.10521), NDR and
    ToolLLM (2307.16789), to train retrievers and rankers.
    """
    shelf = library(sets, over, document=document, backend=backend, model=model, among=among)
    for record in records:
        asked, right = text(record, query), {_plain(t) for t in _texts(value(record, positive))}
        answers = [_plain(t) for t in _texts(value(record, exclude))] if exclude else []
        if not asked.strip():
            yield Dropped(record, "nothing to search with")
            continue
        if not right:
            yield Dropped(record, "no positive")
            continue
        found = [hit for hit in shelf.hits(asked, depth, without=frozenset({asked})) if _plain(hit.text) not in right]
        wrong = [hit for hit in found if not any(answer in _plain(hit.text) for answer in answers)][skip:]
        if len(wrong) < n:
            yield Dropped(record, "too few negatives")
            continue
        picked = wrong[:n] if pick == "hardest" else rng.sample(wrong, n)
        yield record.having(**{into: [shelf.entry(hit, keep) for hit in picked]})


def _texts(given: Any) -> list[str]:
    """The texts in a value that may be one, several, or {"text"} objects as `search` makes them."""
    items = given if isinstance(given, list | tuple) else [given]
    texts = [item.get("text") if isinstance(item, Mapping) else item for item in items]
    return [text for text in texts if isinstance(text, str) and text.strip()]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
