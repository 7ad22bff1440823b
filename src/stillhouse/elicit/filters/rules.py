"""`rules`: keep the records that obey simple rules."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated

from pydantic import Field

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.filters import among as stream
from stillhouse.elicit.filters import checks as check
from stillhouse.elicit.filters.reading import number, texts, whole_text
from stillhouse.elicit.view import value
from stillhouse.records.types import Record

Share = Annotated[float, Field(gt=0, le=1)]
RecordCheck = Callable[[Record], str]


def rules(
    records: Iterable[Record],
    *,
    field: str = "instruction",
    roles: tuple[str, ...] = (),
    min_words: int = 0,
    max_words: int = 0,
    min_chars: int = 0,
    max_chars: int = 0,
    blacklist: tuple[str, ...] = (),
    starts: tuple[str, ...] = (),
    not_starts: tuple[str, ...] = (),
    clean_start: bool = False,
    ends: tuple[str, ...] = (),
    not_ends: tuple[str, ...] = (),
    matches: tuple[str, ...] = (),
    not_matches: tuple[str, ...] = (),
    script: str = "",
    script_share: Share = 1.0,
    no_refusals: bool = False,
    refusals: tuple[str, ...] = check.REFUSALS,
    short_refusal_words: int = 0,
    says_something: bool = False,
    stop_words: tuple[str, ...] = check.STOP_WORDS,
    not_equal_to: tuple[str, ...] = (),
    required: tuple[str, ...] = (),
    complete: bool = False,
    one_of: dict[str, tuple[str, ...]] | None = None,
    at_least: dict[str, float] | None = None,
    at_most: dict[str, float] | None = None,
    unique: tuple[str, ...] = (),
    consistent: tuple[str, str, str] | None = None,
) -> Iterator[Result]:
    """Drop every record that breaks one of the rules set; the first one broken is the reason. No rule is set by itself.

    On the text of `field`; of a list or dialogue ("messages"), each item or turn (of these `roles`) must pass:
    min_words, max_words, min_chars, max_chars: bounds of its length (0: none); words are counted as Self-Instruct does,
    and letter by letter in scripts without spaces.
    blacklist: words and phrases that it may not have, whole words, whatever their case.
    starts, ends: it must begin or end with one of these; not_starts, not_ends: with none, whatever their case.
    clean_start: it may not begin with punctuation or outside ASCII.
    matches, not_matches: regular expressions (RE2's syntax), all or none of which are found in it.
    script, script_share: at least this share of its letters is in this Unicode script ("latin", "han"). This is no
    language identification: French passes as "latin".
    no_refusals, refusals: it has none of these phrases; short_refusal_words: only a text of fewer words is a refusal.
    says_something, stop_words: it has a word beside stop words and punctuation.
    not_equal_to: it differs from these other fields, whatever case and spaces.

    On the record:
    required: these fields hold some text.
    complete: nothing was cut off or failed, by `fields["finish"]` and the responses.
    one_of: fields that must have one of the values named (`one_of = {stop = ["done", "limit"]}`).
    at_least, at_most: bounds of numeric fields (`at_least = {score = 10}`); what is no number is dropped.

    On the stream, in this order:
    consistent: (group, given, output), such as ["instruction", "input", "output"]: all records of a group in which one
    thing given has two different outputs are dropped. Holds the whole stream.
    unique: of records equal in these fields, the first stays.

    Used by Self-Instruct, Alpaca, WizardLM, Vicuna, Koala, GPT4All, UltraChat, CAMEL, LIMA and most others.
    """
    asked: list[tuple[object, check.Check]] = [
        (min_words or max_words, check.word_count(min_words, max_words)),
        (min_chars or max_chars, check.length(min_chars, max_chars)),
        (clean_start, check.clean_start),
        (starts, check.starts_with(starts)),
        (not_starts, check.not_starting_with(not_starts)),
        (ends, check.ends_with(ends)),
        (not_ends, check.not_ending_with(not_ends)),
        (blacklist, check.no_phrase(blacklist, "blacklisted words")),
        (no_refusals, check.no_refusal(refusals, short_refusal_words)),
        (says_something, check.saying_something(stop_words)),
        (script, check.in_script(script or "latin", script_share)),
        (matches, check.matching(matches)),
        (not_matches, check.not_matching(not_matches)),
    ]
    each: list[RecordCheck] = [
        *([_complete] if complete else []),
        *map(_has_text, required),
        *(_one_of(name, allowed) for name, allowed in (one_of or {}).items()),
        *(_bound(name, low, None) for name, low in (at_least or {}).items()),
        *(_bound(name, None, high) for name, high in (at_most or {}).items()),
        *(_differs(field, other) for other in not_equal_to),
        _all_texts(field, roles, [rule for wanted, rule in asked if wanted]),
    ]
    results = _obeying(records, each)
    results = stream.consistent(results, *consistent) if consistent else results
    yield from stream.unique(results, unique) if unique else results


def _obeying(records: Iterable[Record], rules: Sequence[RecordCheck]) -> Iterator[Result]:
    for record in records:
        reason = next((why for rule in rules if (why := rule(record))), "")
        yield Dropped(record, reason) if reason else record


def _all_texts(field: str, roles: Sequence[str], rules: Sequence[check.Check]) -> RecordCheck:
    def test(record: Record) -> str:
        found = texts(record, field, roles) if rules else ()
        return next((why for text in found for rule in rules if (why := rule(text))), "")

    return test


def _complete(record: Record) -> str:
    finish = value(record, "finish")
    finishes = [*(finish if isinstance(finish, list | tuple) else [finish]), *(r.finish for r in record.responses)]
    return "cut off" if "length" in finishes else "failed" if "error" in finishes else ""


def _has_text(field: str) -> RecordCheck:
    return lambda record: "" if whole_text(record, field).strip() else f"no '{field}'"


def _one_of(field: str, allowed: Sequence[str]) -> RecordCheck:
    return lambda record: "" if whole_text(record, field) in allowed else f"another '{field}'"


def _differs(field: str, other: str) -> RecordCheck:
    def test(record: Record) -> str:
        mine, theirs = (" ".join(whole_text(record, f).casefold().split()) for f in (field, other))
        return f"same as '{other}'" if mine == theirs else ""

    return test


def _bound(field: str, low: float | None, high: float | None) -> RecordCheck:
    def test(record: Record) -> str:
        found = number(record, field)
        if found is None:
            return f"no number in '{field}'"
        if low is not None and found < low:
            return f"low '{field}'"
        return f"high '{field}'" if high is not None and found > high else ""

    return test
