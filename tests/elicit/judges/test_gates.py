"""judge, steps, assumed."""

from pathlib import Path
from typing import Any

import pytest

from stillhouse.errors import RecipeError
from tests.elicit.cooking import cook, of

JUDGE = {"use": "judge", "template": "{{ q }}"}
THREE = of({"q": "good"}, {"q": "bad"}, {"q": "odd"})


def verdict(prompt: Any, sampling: Any) -> str:
    return {"good": "Yes.", "bad": "No.", "odd": "Well"}[prompt[-1].content]


def test_yes_stays_and_no_goes(tmp_path: Path) -> None:
    made = cook(tmp_path, THREE, JUDGE | {"reason": "unkind"}, script=verdict)
    assert made.all("q") == ["good"] and made.why[0] == "unkind" and made.why[1].startswith("verdict unreadable")
    kept = cook(tmp_path, THREE, JUDGE | {"unreadable": True, "into": "said"})
    assert kept.all("q") == ["good", "odd"] and kept.out[0].fields["said"]["verdict"] == "yes"


def test_any_guard_decides(tmp_path: Path) -> None:
    step = JUDGE | {"parse": {"use": "score", "kind": "number"}, "until": "score >= least"}
    made = cook(tmp_path, of({"q": "5", "least": 5}, {"q": "4", "least": 5}), step, script=lambda p, s: p[-1].content)
    assert made.all("q") == ["5"]


STEPS = {"use": "steps", "template": "{{ before }}|{{ part }}"}


def test_every_step_is_judged_after_those_before(tmp_path: Path) -> None:
    made = cook(
        tmp_path,
        of({"output": "one\n\ntwo\nthree"}),
        STEPS,
        script=lambda p, s: "no" if p[-1].content.endswith("two") else "yes",
    )
    fields = made.out[0].fields
    assert sorted(made.asked) == sorted(["|one", "one|two", "one\ntwo|three"])
    assert ([s["right"] for s in fields["steps"]], fields["first_wrong"]) == ([True, False, True], 1)
    assert fields["right_share"] == pytest.approx(2 / 3)


def test_steps_that_cannot_be_judged(tmp_path: Path) -> None:
    made = cook(tmp_path, of({"output": ""}, {"output": "x"}), STEPS, script=lambda p, s: "well")
    assert made.why == ["no steps", "a step without a verdict"]
    with pytest.raises(RecipeError, match="regular expression"):
        cook(tmp_path, of({"output": "x"}), STEPS | {"unit": "("})
    grouped = cook(tmp_path, of({"output": "a1b"}), STEPS | {"unit": r"(\d)|(x)"}, script=lambda p, s: "yes")
    assert [s["text"] for s in grouped.out[0].fields["steps"]] == ["a", "1", "b"]


def test_what_is_assumed_needs_no_judge(tmp_path: Path) -> None:
    step = {"use": "assumed", "order": ["gold", "teacher", "student"]}
    found = [{"name": "student", "text": "s"}, {"name": "gold", "text": "g"}]
    made = cook(tmp_path, of({"candidates": found}), step)
    assert [(c["name"], c["score"]) for c in made.out[0].fields["candidates"]] == [("gold", 2.0), ("student", 0.0)]
    for odd in (found[:1], [*found, {"name": "else"}], None, "x", [{"name": ["gold"]}, found[0]], [1, 2]):
        assert cook(tmp_path, of({"candidates": odd}), step).why == ["candidates outside the assumed order"]
