"""The rules that look at other records of the stream too."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.filters.reading import whole_text
from stillhouse.records.types import Record


def unique(results: Iterator[Result], fields: Sequence[str]) -> Iterator[Result]:
    """The first record of those with the same values in these fields."""
    seen: set[tuple[str, ...]] = set()
    for result in results:
        if isinstance(result, Record):
            key = tuple(whole_text(result, field) for field in fields)
            if key in seen:
                yield Dropped(result, "duplicate")
                continue
            seen.add(key)
        yield result


def consistent(results: Iterator[Result], group: str, given: str, output: str) -> Iterator[Result]:
    """Records without those of a group in which one thing given has two different outputs (Self-Instruct).

    Nothing given is no conflict: an open task may be answered in two ways. Holds all records until the last has come.
    """
    held = list(results)
    outputs: dict[tuple[str, str], set[str]] = defaultdict(set)
    for result in held:
        if isinstance(result, Record):
            outputs[whole_text(result, group), whole_text(result, given)].add(whole_text(result, output))
    conflicting = {name for (name, asked), found in outputs.items() if asked.strip() and len(found) > 1}
    for result in held:
        if isinstance(result, Record) and whole_text(result, group) in conflicting:
            yield Dropped(result, "conflicting outputs")
        else:
            yield result
