"""`decontaminate`: keep the records that have nothing of an evaluation set in them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.filters.reading import members, whole_text
from stillhouse.elicit.filters.words import unicode_words
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record

Count = Annotated[int, Field(gt=0)]


def decontaminate(
    records: Iterable[Record],
    sets: Mapping[str, Iterable[Record]],
    *,
    against: tuple[str, ...],
    field: tuple[str, ...] = ("instruction", "input", "output"),
    against_field: tuple[str, ...] = ("prompt", "reference"),
    match: Literal["ngram", "substring"] = "ngram",
    n: Count = 13,
    least: Count = 8,
) -> Iterator[Result]:
    """Drop a record that shares a run of words with a record of the sets `against`, whatever case and punctuation.

    field: the fields of a record that are searched; against_field: those of an evaluation record that are looked for.
    match: "ngram" looks for any `n` words in a row of the evaluation text, "substring" for the whole text.
    least: a text of fewer words than this is too common to be looked for ("yes", "Paris"); one of fewer than `n` words
    is looked for as a whole.
    In scripts without spaces each letter is a word. A dropped record says in `overlap` which words it shares.

    13 words are GPT-3's choice (arXiv 2005.14165); phi-1, WizardCoder, Magicoder and WaveCoder do alike. For
    paraphrases, `novel` with measure "embedding", `against` the set and `within = false`.
    """
    if match == "ngram" and least > n:
        raise RecipeError(f"operator 'decontaminate': least is {least}, more than n = {n}; lower it or raise n")
    sought = _Runs(least)
    for name, known in members(sets, against):
        for text in (whole_text(known, f) for f in against_field):
            words = unicode_words(text)
            length = min(n, len(words)) if match == "ngram" else len(words)
            for begin in range(len(words) - length + 1):
                sought.add(words[begin : begin + length], name)
    for record in records:
        found = next((hit for f in field if (hit := sought.found_in(unicode_words(whole_text(record, f))))), None)
        if found is None:
            yield record
        else:
            run, name = found
            yield Dropped(record.having(overlap=" ".join(run)), f"overlaps '{name}'")


Run = tuple[str, ...]


class _Runs:
    """Runs of words to look for, by their first `least` words; shorter ones are not looked for."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._by_start: dict[Run, dict[Run, str]] = defaultdict(dict)

    def add(self, words: Sequence[str], name: str) -> None:
        if len(words) >= self._least:
            self._by_start[tuple(words[: self._least])].setdefault(tuple(words), name)

    def found_in(self, words: Sequence[str]) -> tuple[Run, str] | None:
        for begin in range(len(words) - self._least + 1):
            starting = self._by_start.get(tuple(words[begin : begin + self._least]), {})
            for run, name in starting.items():
                if tuple(words[begin : begin + len(run)]) == run:
                    return run, name
        return None
