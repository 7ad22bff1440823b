"""converse, refine, contrast: several questions a record, each resting on the answers before."""

from pathlib import Path
from typing import Any

import pytest

from stillhouse.endpoints.base import Answer
from stillhouse.errors import RecipeError
from tests.elicit.cooking import cook, of

TALK: dict[str, Any] = {
    "use": "converse", "rounds": [2, 2], "splits": ["train"],
    "speakers": [{"name": "user", "speaks_as": "user", "opening": "Ask about {{ t }}", "closing": "Say goodbye"},
                 {"name": "bot", "speaks_as": "assistant", "system": "You know {{ t }}"}],
}  # fmt: skip
TOPIC = of({"t": "tea"})


def said(prompt: Any, sampling: Any) -> str:
    return f"turn {sum(m.role != 'system' for m in prompt)}" if prompt[0].role == "system" else "why?"


def test_two_roles_take_turns_and_see_each_others_words(tmp_path: Path) -> None:
    made = cook(tmp_path, TOPIC, TALK, script=said)
    assert [(t["role"], t["content"]) for t in made.out[0].fields["messages"]] == [
        ("user", "why?"), ("assistant", "turn 1"), ("user", "why?"), ("assistant", "turn 3"),
    ]  # fmt: skip
    assert made.out[0].fields["ended"] == "all rounds"
    assert [[m.role for m in call] for call in made.calls] == [
        ["user"], ["system", "user"], ["user", "assistant", "user"], ["system", "user", "assistant", "user"],
    ]  # fmt: skip
    assert made.calls[2][-1].content == "turn 1\n\nSay goodbye"
    assert cook(tmp_path, TOPIC, TALK).out == made.out  # all from the journal


@pytest.mark.parametrize(
    ("ending", "turns", "ended"),
    [
        ({"reason": "thanks", "phrases": ["TURN 1"]}, 2, "thanks"),
        ({"reason": "thanks", "phrases": ["turn 3"], "keep_turn": False}, 2, "thanks"),
        ({"reason": "x", "phrases": ["why"], "speaker": "bot"}, 4, "all rounds"),
        ({"reason": "dull", "phrases": ["zzz"], "without": True, "speaker": "bot", "in_a_row": 2}, 4, "dull"),
    ],
)
def test_rules_end_a_dialogue(ending: dict[str, Any], turns: int, ended: str, tmp_path: Path) -> None:
    made = cook(tmp_path, TOPIC, TALK | {"endings": [ending]}, script=said)
    assert (len(made.out[0].fields["messages"]), made.out[0].fields["ended"]) == (turns, ended)


def test_a_dialogue_that_fails_ends_there(tmp_path: Path) -> None:
    for answer, reason in ((Answer("", "error", error="no"), "failed"), ("", "empty")):
        made = cook(tmp_path, TOPIC, TALK, script=lambda p, s, a=answer: a if len(p) == 3 else "words")
        assert made.out[0].fields["ended"] == reason and len(made.out[0].fields["messages"]) == 2
        (tmp_path / "journal.jsonl").unlink()
    none = cook(tmp_path, TOPIC, TALK, script=lambda p, s: "")
    assert none.why == ["too few turns (empty)"]
    silent = {"name": "u", "speaks_as": "user"}
    first = cook(
        tmp_path,
        of({"t": "a", "q": ""}, {"t": "b", "q": "Hello"}),
        TALK | {"first": "q", "speakers": [silent, TALK["speakers"][1]], "rounds": [1, 1]},
        script=said,
    )
    assert first.why == ["too few turns (no first words)"] and first.out[0].fields["messages"][0]["content"] == "Hello"


@pytest.mark.parametrize("speaker", ["user", "assistant"])
def test_a_turn_that_is_cut_off_ends_it_and_is_left_out(speaker: str, tmp_path: Path) -> None:
    def cut(prompt: Any, sampling: Any) -> Answer | str:
        side = "assistant" if prompt[0].role == "system" else "user"
        return (
            Answer("The end of th", "length") if (side, len(prompt) > 2) == (speaker, True) else said(prompt, sampling)
        )

    made = cook(tmp_path, TOPIC, TALK | {"endings": [{"reason": "over", "phrases": ["the end"]}]}, script=cut)
    assert [turn["content"] for turn in made.out[0].fields["messages"]] == ["why?", "turn 1"]
    assert made.out[0].fields["ended"] == "cut off"
    first = cook(tmp_path, of({"t": "milk"}), TALK, script=lambda p, s: Answer("half of", "length"))
    assert first.why == ["too few turns (cut off)"]


@pytest.mark.parametrize("rounds", [[3, 1], [0, 1], [-1, -1]])
def test_rounds_rise(rounds: list[int], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="rising"):
        cook(tmp_path, TOPIC, TALK | {"rounds": rounds})


def test_somebody_has_to_begin(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="opening"):
        cook(tmp_path, TOPIC, TALK | {"speakers": [{"name": "u", "speaks_as": "user"}, TALK["speakers"][1]]})


REFINE: dict[str, Any] = {
    "use": "refine", "critique": "C {{ output }}", "revise": "R {{ output }} for {{ feedback }}", "max_rounds": 2,
    "until": "'fine' in feedback",
}  # fmt: skip
DRAFT = of({"output": "draft"})


def test_feedback_and_revision_until_it_is_fine(tmp_path: Path) -> None:
    def script(prompt: Any, sampling: Any) -> str:
        text = prompt[-1].content
        return ("fine" if "new" in text else "bad") if text.startswith("C") else "new draft"

    made = cook(tmp_path, DRAFT, REFINE, script=script)
    assert made.out[0].fields == {
        "output": "new draft", "first": "draft", "ended": "satisfied",
        "chain": [{"feedback": "bad", "revision": "new draft"}, {"feedback": "fine"}],
    }  # fmt: skip
    assert made.asked == ["C draft", "R draft for bad", "C new draft"]


def test_a_cap_ends_it_and_the_last_critique_has_no_revision(tmp_path: Path) -> None:
    made = cook(tmp_path, DRAFT, REFINE, script=lambda p, s: f"more {len(p[-1].content)}")
    chain = made.out[0].fields["chain"]
    assert made.out[0].fields["ended"] == "cap" and ["revision" in link for link in chain] == [True, True, False]


def test_without_a_revision_there_is_nothing_refined(tmp_path: Path) -> None:
    failing = cook(tmp_path, DRAFT, REFINE, script=lambda p, s: "" if p[-1].content.startswith("R") else "bad")
    assert failing.why == ["empty"]
    assert cook(tmp_path, of({"output": ""}, {}), REFINE).why == ["no 'output'", "no 'output'"]
    odd = REFINE | {"parse_revision": {"use": "fields", "kind": "json"}}
    made = cook(
        tmp_path,
        of({"output": "another"}),
        odd,
        script=lambda p, s: '{"thought": "x"}' if p[-1].content.startswith("R") else "bad.",
    )
    assert made.why == ["unreadable: no revision"]


def test_a_revision_that_was_cut_off_is_none(tmp_path: Path) -> None:
    def script(prompt: Any, sampling: Any) -> Answer | str:
        text = prompt[-1].content
        return "bad" if text.startswith("C") else "new" if "draft" in text else Answer("newer and", "length")

    made = cook(tmp_path, DRAFT, REFINE, script=script)
    assert made.out[0].fields == {
        "output": "new", "first": "draft", "ended": "cut off",
        "chain": [{"feedback": "bad", "revision": "new"}, {"feedback": "bad"}],
    }  # fmt: skip
    assert cook(tmp_path, of({"output": "other"}), REFINE, script=script).why == ["cut off"]


def test_a_guard_on_odd_feedback_is_false(tmp_path: Path) -> None:
    step = REFINE | {"parse": {"use": "fields", "kind": "json"}, "until": "score >= 4", "revise": "R", "max_rounds": 1}
    made = cook(tmp_path, DRAFT, step, script=lambda p, s: '{"score": "high"}' if p[-1].content[0] == "C" else "new")
    assert made.out[0].fields["ended"] == "cap"


def test_half_a_contrast_is_none_and_scores_are_by_construction(tmp_path: Path) -> None:
    versions = [
        {"name": "bad", "template": "B {{ t }}", "score": 0},
        {"name": "good", "template": "G {{ t }}", "score": 1},
    ]
    step = {"use": "contrast", "versions": versions, "parse": {"use": "fields", "kind": "json"}}
    made = cook(tmp_path, of({"t": "x"}, {"t": "y"}), step,
                script=lambda p, s: "" if p[-1].content == "B y" else '{"score": "mine", "name": "me"}')  # fmt: skip
    assert [(c["name"], c["score"]) for c in made.out[0].fields["candidates"]] == [("good", 1.0), ("bad", 0.0)]
    assert len(made.out) == 1 and made.why == ["empty"]
