from typing import Any

import pytest

from stillhouse.elicit.contract import Dropped
from stillhouse.elicit.filters.gold import gold
from stillhouse.records.types import Message, Record, Response

GOLD = "She has 3*24 = <<3*24=72>>72.\n#### 72"


def outcomes(answers: list[Any], **settings: Any) -> list[Any]:
    records = [Record(fields={"answer": answer, "gold": GOLD}) for answer in answers]
    return [r.reason if isinstance(r, Dropped) else r.fields["right"] for r in gold(records, **settings)]


def test_right_and_wrong_answers() -> None:
    answers = ["72", 72.0, "$72.00", "so\n#### 72", "71", "", None, "x"]
    assert outcomes(answers) == [True] * 4 + ["wrong answer"] + ["no answer"] * 3
    assert outcomes(answers, keep="wrong") == ["right answer"] * 4 + [False] * 4
    assert outcomes(answers, keep="all") == [True] * 4 + [False] * 4


def test_a_dropped_record_says_so_in_its_field() -> None:
    (dropped,) = gold([Record(fields={"answer": "1", "gold": "2"})], into="correct")
    assert isinstance(dropped, Dropped)
    assert dropped.record.fields["correct"] is False


@pytest.mark.parametrize("keep", ["right", "wrong", "all"])
def test_without_a_right_answer_nothing_can_be_said(keep: Any) -> None:
    for known in ({}, {"gold": None}, {"gold": "unknown"}):
        (dropped,) = gold([Record(fields={"answer": "1", **known})], keep=keep)
        assert isinstance(dropped, Dropped)
        assert dropped.reason == "no gold answer"


def test_against_the_data_sets_own_answer() -> None:
    record = Record((Message("user", "q"),), (Response("reference", "Yes."),), fields={"answer": "yes"})
    (kept,) = gold([record], against="reference", kind="yes_no")
    assert kept == record.having(right=True)
