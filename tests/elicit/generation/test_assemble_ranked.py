"""Answers that are ranked: scores by a template, and the answers of several layouts in one record."""

import random
from typing import Any

from stillhouse.elicit.contract import Dropped
from stillhouse.elicit.generation.assemble import Layout, assemble
from stillhouse.records.types import Record

CANDIDATES = [
    {"text": "good", "right": True, "finish": "stop"},
    {"text": "cut", "right": False, "finish": "length"},
    {"text": "unknown", "right": "nan"},
]
RANKED = Layout(
    prompt="{{ question }}",
    answer="{{ each.text }}",
    each="candidates",
    source="candidates",
    score="{{ 1 if each.right is true else 0 if each.right is false else each.right }}",
)
GOLD = Layout(prompt="Another view of {{ question }}", answer="{{ gold }}", source="reference")


def assembled(pick: Any, *layouts: Layout, **fields: Any) -> list[Any]:
    record = Record(fields={"question": "Why?", "gold": "Because.", "candidates": CANDIDATES} | fields)
    return list(assemble([record], random.Random(0), layouts=layouts, pick=pick))


def test_scores_and_endings_are_those_of_each_candidate() -> None:
    (made,) = assembled("all", RANKED)
    assert [(r.text, r.score, r.finish) for r in made.responses] == [
        ("good", 1.0, "stop"),
        ("cut", 0.0, "length"),
        ("unknown", None, "stop"),
    ]


def test_without_a_score_there_is_none() -> None:
    (made,) = assembled("all", GOLD)
    assert made.responses[0].score is None


def test_together_is_one_record_with_the_answers_of_all() -> None:
    (made,) = assembled("together", RANKED, GOLD)
    assert [m.content for m in made.messages] == ["Why?"]
    assert len(made.answers("candidates")) == 3 and made.answers("reference")[0].text == "Because."
    assert len(assembled("all", RANKED, GOLD)) == 2 and len(assembled("one", RANKED, GOLD)) == 1


def test_together_needs_an_answer_of_every_layout_that_fits() -> None:
    (dropped,) = assembled("together", RANKED, GOLD, candidates=[])
    assert isinstance(dropped, Dropped) and dropped.reason == "empty answer"
    (made,) = assembled("together", GOLD, RANKED.model_copy(update={"when": "candidates"}), candidates=[])
    assert made.answers("candidates") == () and len(made.responses) == 1
