import random

import pytest

from stillhouse.elicit.catalogue import OPERATORS
from stillhouse.elicit.contract import Dropped, Result, needs
from stillhouse.elicit.search.negatives import negatives
from stillhouse.records.types import Record

TEXTS = [f"copper still number {i} {'cat' * (i % 2)}" for i in range(12)]
SETS = {"documents": [Record(split="", fields={"text": text}) for text in TEXTS]}


def mined(record: Record, **settings: object) -> list[str]:
    (result,) = negatives([record], SETS, random.Random(1), **settings)  # type: ignore[arg-type]
    assert isinstance(result, Record), result
    return [hit["text"] for hit in result.fields["negatives"]]


def asking(positive: object, **fields: object) -> Record:
    return Record(fields={"question": "copper still number 3", "positive": positive, **fields})


def reasons(records: list[Record], **settings: object) -> list[str]:
    found: list[Result] = list(negatives(records, SETS, random.Random(1), **settings))  # type: ignore[arg-type]
    return [r.reason for r in found if isinstance(r, Dropped)]


@pytest.mark.parametrize(
    "positive",
    [TEXTS[3], f"  {TEXTS[3].upper()}\n", [TEXTS[3]], {"text": TEXTS[3]}, [{"text": TEXTS[3], "score": 1.0}, 7, None]],
)
def test_the_positive_is_no_negative_in_whatever_form(positive: object) -> None:
    found = mined(asking(positive), n=5)
    assert len(set(found)) == 5 and TEXTS[3] not in found and set(found) <= set(TEXTS)


def test_the_hardest_come_first_and_the_first_may_be_skipped() -> None:
    found = mined(asking(TEXTS[5]), n=4)
    assert found[0] == TEXTS[3], "it shares every word with the question"
    assert mined(asking(TEXTS[5]), n=3, skip=1) == found[1:]


def test_documents_with_the_answer_may_be_right_and_are_left_out() -> None:
    found = mined(asking(TEXTS[0], answer="CAT"), n=5, exclude="answer")
    assert not any("cat" in text for text in found)


def test_random_ones_come_from_the_depth_and_follow_the_seed() -> None:
    deep = mined(asking(TEXTS[3]), n=5, depth=6)
    drawn = mined(asking(TEXTS[3]), n=3, depth=6, pick="random")
    assert set(drawn) <= set(deep) and drawn == mined(asking(TEXTS[3]), n=3, depth=6, pick="random")


def test_what_has_none_is_dropped_with_a_reason() -> None:
    assert reasons([asking(None), asking(""), asking([])]) == ["no positive"] * 3
    assert reasons([Record(fields={"positive": "x"})]) == ["nothing to search with"]
    assert reasons([asking(TEXTS[3])], n=12) == ["too few negatives"]
    assert reasons([asking(TEXTS[3], answer="copper")], exclude="answer") == ["too few negatives"]


def test_a_recipe_can_name_it() -> None:
    assert OPERATORS["negatives"] is negatives and needs(negatives) == ("records", "sets", "rng")
