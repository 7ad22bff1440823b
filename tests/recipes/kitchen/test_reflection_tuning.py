"""Reflection-Tuning: two reflections by fixed criteria, a clean-up call, and pairs that stay as they were."""

import re
from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

FORMS = ("good", "messy", "broken", "half")
"""How the teacher writes what it makes of a pair, by the pair: so that all paths are walked."""


def form(text: str) -> str:
    return FORMS[len(text) % len(FORMS)]


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A teacher that keeps the form, or loses it so that a clean-up helps, or that nothing does."""
    asked = prompt[-1].content
    if asked.startswith("The following text should hold"):
        if "MESSY" not in asked:
            return "I see nothing to copy."
        pair = "New instruction: Clean question\n" if "new instruction and" in asked else ""
        return f"{pair}New answer: Clean answer"
    pair = re.search(r"Instruction: (.*)\n\nAnswer: (.*)\n\nWhy is this", asked, re.S)
    assert pair, asked
    wanted = form(pair[1])
    if wanted == "messy":
        return "MESSY: the new instruction could be Clean question and the new answer Clean answer"
    if wanted == "broken":
        return "It is fine."
    if "Why is this instruction" in asked:
        end = "" if wanted == "half" else "\n**New answer:** Better answer"
        return f"Comments: 1. Simple.\n2. Little.\n### New instruction: Better: {pair[1]}{end}"
    return "Comments: 1. Yes.\nNew answer: Best answer"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("reflection")
    return cooked("reflection-tuning", script, folder, "data.limit=none")


def test_the_criteria_are_asked_of_the_pair_with_its_input_folded_in(run: Cooked) -> None:
    first = run.asked("Why is this instruction not a good one?")
    seeds = [r for r in run.laps[0]["seeds"] if r.split == "train"]
    assert len(first) == len(seeds) == 160
    asked = {call.user.partition("\n\nWhy is this")[0] for call in first}
    pairs = {f"Instruction: {r.messages[-1].content}\n\nAnswer: {r.responses[0].text}" for r in seeds}
    assert {text.partition("to it.\n\n")[2] for text in asked} == pairs
    for call in first:
        assert re.findall(r"^(\d)\.", call.user.partition("Comment on it")[2], re.M) == list("12345")
    second = run.asked("Why is this answer not a good one?")
    assert all(re.findall(r"^(\d)\.", c.user.partition("Comment on it")[2], re.M) == list("1234") for c in second)


def test_what_cannot_be_read_goes_to_a_clean_up_call_with_its_text(run: Cooked) -> None:
    seeds = [r.messages[-1].content for r in run.laps[0]["seeds"] if r.split == "train"]
    unread = [text for text in seeds if form(text) != "good"]
    assert run.funnel("clean-up")["took"] == len(unread)
    texts = {call.user.partition("The text:\n")[2][:5] for call in run.asked("should hold a new instruction")}
    assert texts == {"MESSY", "It is", "Comme"}  # messy, broken, half


def test_the_second_reflection_is_on_the_first_ones_pair(run: Cooked) -> None:
    asked = [call.user for call in run.asked("Why is this answer not a good one?")]
    assert any("Instruction: Better: " in text and "Answer: Better answer" in text for text in asked)
    assert any("Instruction: Clean question\n\nAnswer: Clean answer" in text for text in asked)
    assert run.funnel("on-answers")["took"] == 160  # those that stayed as they were, too


def test_nothing_is_lost_and_what_failed_twice_stays_as_it_was(run: Cooked) -> None:
    learnt = [r for r in run.records if r.split == "train"]
    assert len(learnt) == 160
    seeds = {r.messages[-1].content: r.responses[0].text for r in run.laps[0]["seeds"] if r.split == "train"}
    untouched = {r.messages[-1].content: r.responses[0].text for r in learnt if r.fields["origin"] == "original"}
    assert untouched and untouched.items() <= seeds.items()
    assert {form(text) for text in untouched} == {"broken"}


def test_each_pair_says_what_was_renewed(run: Cooked) -> None:
    learnt = {r.fields["origin"]: r for r in run.records if r.split == "train"}
    assert set(learnt) == {"original", "instruction", "answer", "both"}
    assert learnt["both"].responses[0].text in ("Best answer", "Clean answer")
    assert not any("New answer" in r.responses[0].text or "Comments" in r.messages[0].content for r in run.records)
