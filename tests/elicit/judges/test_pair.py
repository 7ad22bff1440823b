"""`pair`: every order is asked, scores come back to their own candidate, and what cannot be read counts for nobody."""

import re
from pathlib import Path
from typing import Any

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.elicit.cooking import Cooked, cook, of

SHOWN = "{% for one in shown %}({{ one }}){% endfor %}"
RANKING: dict[str, Any] = {"use": "score", "kind": "ranking", "ids": ["1", "2", "3"]}
SCORES: dict[str, Any] = {"use": "score", "kind": "numbers", "count": 2}


def longest_first(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    shown = re.findall(r"\((.*?)\)", prompt[-1].content)
    order = sorted(range(len(shown)), key=lambda i: -len(shown[i]))
    return " > ".join(str(place + 1) for place in order)


def ranked(folder: Path, *candidates: str, answer: Any = longest_first, orders: int = 3) -> Cooked:
    step = {"use": "pair", "template": SHOWN, "kind": "ranking", "parse": RANKING, "orders": orders}
    return cook(folder, of({"candidates": list(candidates)}), step, script=answer)


def test_a_ranking_by_numbers_comes_back_to_each_candidate(tmp_path: Path) -> None:
    made = ranked(tmp_path, "a", "aaa", "aa")
    assert made.all("scores") == [[0.0, 1.0, 0.5]]
    assert made.all("gap") == [-1.0]


@pytest.mark.parametrize("said", ["2 > 1", "1 > 1 > 2", "4 > 2 > 1", "hard to say"])
def test_a_ranking_that_is_none_drops_the_record(tmp_path: Path, said: str) -> None:
    made = ranked(tmp_path, "a", "aaa", "aa", answer=lambda prompt, sampling: said)
    assert made.out == [] and made.why == ["no readable verdict in every order"]


def test_a_judge_who_prefers_the_first_place_favours_nobody_and_is_quoted(tmp_path: Path) -> None:
    step = {"use": "pair", "candidates": ["left", "right"], "template": SHOWN, "parse": SCORES, "reasons": "words"}
    both = of({"left": "this", "right": "that"})
    made = cook(tmp_path, both, step, script=lambda prompt, sampling: "9 5\nThe first is better.")
    assert made.asked == ["(this)(that)", "(that)(this)"]
    assert made.all("scores") == [[7.0, 7.0]]
    assert made.all("words") == [["9 5\nThe first is better."] * 2]


def test_without_a_name_for_them_reasons_are_not_kept(tmp_path: Path) -> None:
    step = {"use": "pair", "candidates": ["left", "right"], "template": SHOWN, "parse": SCORES}
    made = cook(tmp_path, of({"left": "this", "right": "that"}), step, script=lambda prompt, sampling: "9 5")
    assert set(made.out[0].fields) == {"left", "right", "scores", "gap"}


def test_one_candidate_is_no_comparison(tmp_path: Path) -> None:
    assert ranked(tmp_path, "alone").why == ["fewer than two candidates"]
