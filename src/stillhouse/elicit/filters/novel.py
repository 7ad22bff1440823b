"""`novel`: keep the records that are unlike those before them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.filters.contract import Closest, Index
from stillhouse.elicit.filters.indexes import Cosine, Exact
from stillhouse.elicit.filters.minhash import MinHash
from stillhouse.elicit.filters.reading import members, whole_text
from stillhouse.elicit.filters.rouge import RougeL
from stillhouse.elicit.filters.words import Tokens
from stillhouse.elicit.search.embed import embedder
from stillhouse.elicit.wordllama import EMBED
from stillhouse.records.types import Record

Share = Annotated[float, Field(ge=0, le=1)]
Measure = Literal["rouge_l", "minhash", "embedding", "exact"]

SHOWN = 300
"""Characters of the most similar text that a record keeps."""


def novel(
    records: Iterable[Record],
    sets: Mapping[str, Iterable[Record]],
    *,
    field: str = "instruction",
    measure: Measure = "rouge_l",
    at_most: Share = 0.7,
    against: tuple[str, ...] = (),
    within: bool = True,
    per: str = "",
    tokens: Tokens | None = None,
    ngram: Annotated[int, Field(gt=0)] = 3,
    model: str = EMBED,
    note: bool = True,
) -> Iterator[Result]:
    """Drop a record whose `field` is more similar than `at_most` to one in the sets `against` or one kept before it.

    measure: "rouge_l", F1 of the longest common subsequence of words, compared with every text and equal to
    rouge-score's (Lin 2004);
    "minhash", Jaccard of word n-grams of length `ngram`, which finds near duplicates among millions, and overlooks at
    most 1 in 100 at the threshold;
    "embedding", the cosine of embeddings of `model`: a folder of model2vec, a function "package.module:function", or by
    itself WordLlama, for English (`pip install 'stillhouse[embeddings]'`);
    "exact", the same text whatever its case and spaces.
    against: names of sets to compare with; within: also with the records kept so far.
    per: compare only records with the same text in this field ("input": MUFFIN).
    tokens: "latin" (a-z and 0-9, as rouge-score, to which two Chinese texts have nothing in common) or "unicode" (words
    of any script; letters in scripts without spaces). By itself "latin" for rouge_l, else "unicode".
    note: the record gets `most_similar` (the beginning of the text), `similarity`, and, where the measure has compared
    all, `mean_similarity`. MinHash and exact know only of texts that are near, and note 0 where there is none.

    ROUGE-L and embeddings take time with the size of the pool, and ROUGE-L with the length of texts: `rules` before it.
    Used by Self-Instruct (arXiv 2212.10560: 0.7), Alpaca, Lion, BELLE, Code Alpaca, MUFFIN, Vicuna, Koala, GPT4All.
    """
    new_index = _indexes(measure, at_most, tokens, ngram, model)
    groups: dict[str, _Group] = {}

    def group_of(record: Record) -> _Group:
        name = whole_text(record, per) if per else ""
        if name not in groups:
            groups[name] = _Group(new_index())
        return groups[name]

    for _, known in members(sets, against):
        group_of(known).add(whole_text(known, field))
    for record in records:
        group, text = group_of(record), whole_text(record, field)
        prepared = group.index.read(text)
        closest = group.index.closest(prepared)
        noted = record.having(**group.note(closest)) if note else record
        if closest is not None and closest.similarity > at_most:
            yield Dropped(noted, "too similar")
            continue
        if within:
            group.add(text, prepared)
        yield noted


class _Group:
    """Texts that are compared with each other."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._texts: list[str] = []

    def add(self, text: str, prepared: Any = None) -> None:
        self.index.add(self.index.read(text) if prepared is None else prepared)
        self._texts.append(text[:SHOWN])

    def note(self, closest: Closest | None) -> dict[str, Any]:
        if closest is None:
            return {"most_similar": "", "similarity": 0.0}
        found = {"most_similar": self._texts[closest.at], "similarity": closest.similarity}
        return found if closest.mean is None else found | {"mean_similarity": closest.mean}


def _indexes(measure: Measure, at_most: float, tokens: Tokens | None, ngram: int, model: str) -> Callable[[], Index]:
    """What makes an empty index of the measure."""
    match measure:
        case "rouge_l":
            return lambda: RougeL(tokens or "latin")
        case "minhash":
            return lambda: MinHash(at_most, ngram, tokens or "unicode")
        case "embedding":
            embed = embedder(model)
            return lambda: Cosine(embed)
        case "exact":
            return Exact
