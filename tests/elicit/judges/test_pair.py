"""Whoever judges by the place has no say: scores are averaged over the orders, each counting the same."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from tests.elicit.cooking import cook, of

NUMBERS = {"use": "score", "kind": "numbers", "count": 2}
PAIR: dict[str, Any] = {"use": "pair", "template": "A: {{ shown[0] }} B: {{ shown[1] }}", "parse": NUMBERS}
TWO = of({"candidates": [{"text": "long answer"}, "short"]})


def test_a_judge_that_favours_the_first_place_gives_a_gap_of_nothing(tmp_path: Path) -> None:
    made = cook(tmp_path, TWO, PAIR, script=lambda p, s: "9 3")
    assert made.out[0].fields["scores"] == [6.0, 6.0] and made.out[0].fields["gap"] == 0.0
    assert sorted(made.asked) == ["A: long answer B: short", "A: short B: long answer"]


def test_a_judge_that_favours_the_long_one_is_heard(tmp_path: Path) -> None:
    made = cook(tmp_path, TWO, PAIR, script=lambda p, s: "8 2" if p[-1].content.startswith("A: long") else "2 8")
    assert made.out[0].fields["scores"] == [8.0, 2.0] and made.out[0].fields["gap"] == 6.0


def test_one_order_is_not_enough_where_two_were_asked(tmp_path: Path) -> None:
    made = cook(tmp_path, TWO, PAIR | {"samples": 2, "temperature": 1.0, "retries": 0},
                script=lambda p, s: "9 3" if p[-1].content.startswith("A: long") else "no")  # fmt: skip
    assert made.why == ["no readable verdict in every order"]


def test_an_order_with_more_readable_verdicts_counts_no_more(tmp_path: Path) -> None:
    said = itertools.cycle(["9 3", "no"])
    made = cook(tmp_path, TWO, PAIR | {"samples": 2, "temperature": 1.0, "retries": 0},
                script=lambda p, s: "9 3" if p[-1].content.startswith("A: long") else next(said))  # fmt: skip
    assert made.out[0].fields["gap"] == 0.0


@pytest.mark.parametrize(("said", "scores"), [(said, [0.5, 0.5]) for said in ("A", "1", "a", "tie")])
def test_choices(said: str, scores: list[float], tmp_path: Path) -> None:
    parse = {"use": "fields", "kind": "json"}
    choice = {"A": '{"choice": 0}', "1": '{"choice": "1"}', "a": '{"choice": "A"}', "tie": '{"choice": "tie"}'}[said]
    made = cook(tmp_path, TWO, PAIR | {"parse": parse, "kind": "choice"}, script=lambda p, s: choice)
    assert made.out[0].fields["scores"] == scores


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("scores", '{"scores": ["high", 2]}'),
        ("scores", '{"scores": [1, 2, 3]}'),
        ("scores", '{"scores": [NaN, 1]}'),
        ("scores", '{"scores": "12"}'),
        ("scores", '{"scores": [true, false]}'),
        ("scores", '{"other": 1}'),
        ("choice", '{"choice": 2}'),
        ("choice", '{"choice": [0]}'),
        ("choice", '{"choice": true}'),
        ("ranking", '{"ranking": [0, 0]}'),
        ("ranking", '{"ranking": ["b", null]}'),
        ("ranking", '{"ranking": 1}'),
    ],
)
def test_verdicts_that_do_not_fit_are_none(kind: str, said: str, tmp_path: Path) -> None:
    step = PAIR | {"parse": {"use": "fields", "kind": "json"}, "kind": kind}
    assert len(cook(tmp_path, TWO, step, script=lambda p, s: said).why) == 1


def test_a_ranking_is_the_share_that_each_beats(tmp_path: Path) -> None:
    three = of({"candidates": ["bb", "a", "ccc"]})
    step = PAIR | {
        "template": "{{ shown | join(' ') }}",
        "parse": {"use": "fields", "kind": "json"},
        "kind": "ranking",
        "orders": 4,
    }

    def by_length(prompt: Any, sampling: Any) -> str:
        shown = prompt[-1].content.split()
        return f'{{"ranking": {sorted(range(3), key=lambda i: -len(shown[i]))}}}'

    assert cook(tmp_path, three, step, script=by_length).out[0].fields["scores"] == [0.5, 0.0, 1.0]


@pytest.mark.parametrize("found", [[], ["one"], None, "text"])
def test_there_must_be_two(found: Any, tmp_path: Path) -> None:
    assert cook(tmp_path, of({"candidates": found}), PAIR).why == ["fewer than two candidates"]
    assert cook(tmp_path, of({"a": "x"}), PAIR | {"candidates": ["a", "b"]}).why == ["fewer than two candidates"]


def test_fields_are_candidates_too(tmp_path: Path) -> None:
    made = cook(tmp_path, of({"a": 0, "b": "y"}), PAIR | {"candidates": ["a", "b"]}, script=lambda p, s: "1 2")
    assert {re.sub(r"\W", "", a) for a in made.asked} == {"A0By", "AyB0"}
