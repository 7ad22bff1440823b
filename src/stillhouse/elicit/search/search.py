"""The operator `search`: what a set has to say on a record's question."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.search.library import OPEN, library
from stillhouse.elicit.view import text
from stillhouse.records.types import Record


def search(
    records: Iterable[Record],
    sets: Mapping[str, Sequence[Record]],
    *,
    over: str = "documents",
    query: str = "question",
    document: str = "text",
    k: Annotated[int, Field(ge=1)] = 5,
    backend: str = "bm25",
    model: str = "",
    among: tuple[str, ...] = OPEN,
    keep: tuple[str, ...] = (),
    itself: bool = False,
    at_least: Annotated[int, Field(ge=0)] = 1,
    into: str = "found",
) -> Iterator[Result]:
    """Put the k documents that fit a record's query best into its field `into`, the best first.

    Each is {"text", "score", "key"}, with the fields of the document that `keep` names.

    over, document: the set that is searched and its field; equal texts count once. query: the record's field to search
    with. backend: "bm25", "dense" (cosine of a static embedding `model`), or "package.module:function" (see
    `library`; `over = ""` where it has documents of its own). among: splits of the documents that may be found.
    itself: whether a record may find the text that it asks with or has in its own field `document`, as a round trip
    from a document to a query and back must. at_least: records that find fewer are dropped.

    Used by SAIL (arXiv 2305.15225), KARD (2305.18395), Self-RAG (2310.11511), RECOMP (2310.04408), Promptagator
    (2209.11755), Gorilla (2305.15334), and by whatever chooses its demonstrations by likeness.
    """
    shelf = library(sets, over, document=document, backend=backend, model=model, among=among)
    for record in records:
        asked = text(record, query)
        if not asked.strip():
            yield Dropped(record, "nothing to search with")
            continue
        own = frozenset() if itself else frozenset({asked, text(record, document)})
        hits = shelf.hits(asked, k, without=own)
        if len(hits) < at_least:
            yield Dropped(record, "too little found")
        else:
            yield record.having(**{into: [shelf.entry(hit, keep) for hit in hits]})
