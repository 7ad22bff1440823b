from pathlib import Path
from typing import Any

import pytest

from stillhouse.elicit.judges.verdict import finite, mean
from tests.elicit.cooking import cook, of

NUMBER = {"use": "score", "kind": "number"}
RUBRIC: dict[str, Any] = {"use": "rubric", "template": "{{ aspect }}: {{ q }}", "parse": NUMBER}


def test_scores_of_aspects_are_averaged(tmp_path: Path) -> None:
    aspects = {"help": "is it helpful", "truth": "is it true"}
    made = cook(
        tmp_path,
        of({"q": "x"}),
        RUBRIC | {"aspects": aspects},
        script=lambda p, s: "4" if "help" in p[-1].content else "2",
    )
    assert made.out[0].fields == {"q": "x", "score": 3.0, "aspects": {"help": 4.0, "truth": 2.0}}


def test_samples_are_averaged_and_limits_drop(tmp_path: Path) -> None:
    said = iter("159159")
    step = RUBRIC | {"template": "{{ q }}", "samples": 3, "temperature": 1.0}
    made = cook(tmp_path, of({"q": "x"}), step | {"at_least": 5.0}, script=lambda p, s: next(said))
    assert made.all("score") == [5.0]
    assert cook(tmp_path, of({"q": "x"}), step | {"at_least": 5.1}).why == ["score below 5.1"]


def test_candidates_are_scored_each_alone(tmp_path: Path) -> None:
    step = RUBRIC | {"template": "{{ candidate.text }}", "candidates": "all"}
    made = cook(
        tmp_path, of({"all": [{"text": "a", "n": 1}, "bbb"]}), step, script=lambda p, s: str(len(p[-1].content))
    )
    assert made.out[0].fields["all"] == [{"text": "a", "n": 1, "score": 1.0}, {"text": "bbb", "score": 3.0}]
    for nothing in ([], None, "text"):
        assert cook(tmp_path, of({"all": nothing}), step).why == ["no readable verdict"]


def test_one_aspect_unread_is_no_verdict(tmp_path: Path) -> None:
    step = RUBRIC | {"aspects": {"a": "", "b": ""}, "retries": 0}
    made = cook(tmp_path, of({"q": "x"}), step, script=lambda p, s: "3" if p[-1].content[0] == "a" else "well")
    assert made.why == ["no readable verdict"]


@pytest.mark.parametrize("odd", ["3", True, None, float("nan"), float("inf"), [3], 10**400])
def test_only_numbers_are_scores(odd: Any) -> None:
    assert finite(odd) is None


def test_numbers() -> None:
    assert (finite(3), finite(-2.5), mean([1.0, 2.0, 6.0])) == (3.0, -2.5, 3.0)
