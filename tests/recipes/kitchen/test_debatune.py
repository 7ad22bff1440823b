"""DEBATunE: arguments for both sides, two rounds of debate with the log in sight, a closing statement to learn."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A teacher that lists four arguments, counts its turns in a debate, and sums up."""
    asked = prompt[-1].content
    if "different arguments" in asked:
        side = re.search(r"arguments (for|against)", asked)
        assert side
        return "\n".join(f"{n}. Reason {n} {side[1]} it." for n in range(1, 5))
    if "closing statement" in asked:
        return f"In short, {asked.count('side:')} turns were heard."
    advocate = "you defend this argument" in prompt[0].content
    return f"{'Advocate' if advocate else 'Opponent'} speaks after {len(prompt) - 1}."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("debatune")
    return cooked("debatune", script, folder)


def test_three_arguments_for_each_side_of_each_topic(run: Cooked) -> None:
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record in run.records:
        found[record.fields["topic"], record.fields["stance"]].add(record.fields["argument"])
    topics = {topic for topic, _ in found}
    assert len(topics) == 6 and len(found) == 12
    for (_, side), arguments in found.items():
        assert arguments == {f"Reason {n} {side} it." for n in (1, 2, 3)}


def test_a_debate_has_two_rounds_and_both_see_all_that_was_said(run: Cooked) -> None:
    advocates, opponents = run.asked("you defend this argument"), run.asked("The other side defends")
    assert len(advocates) == len(opponents) == 2 * len(run.records)
    assert {len(call.messages) for call in advocates} == {2, 4}  # its system message, the opening, and the log
    assert {len(call.messages) for call in opponents} == {2, 4}
    last = next(call for call in opponents if len(call.messages) == 4)
    assert [m.role for m in last.messages] == ["system", "user", "assistant", "user"]
    assert last.messages[2].content.startswith("Opponent") and last.messages[3].content.startswith("Advocate")


def test_the_opponent_is_on_the_other_side(run: Cooked) -> None:
    for call in run.asked("The other side defends"):
        own = re.search(r"You are (for|against) the statement.*argument: Reason \d (for|against)", call.system, re.S)
        assert own and own[1] != own[2]
    for call in run.asked("you defend this argument"):
        own = re.search(r"You are (for|against) the statement.*argument: Reason \d (for|against)", call.system, re.S)
        assert own and own[1] == own[2]


def test_the_closing_call_reads_the_whole_debate(run: Cooked) -> None:
    for call in run.asked("closing statement"):
        turns = re.findall(r"^(This|Other) side: (\w+)", call.user, re.M)
        assert turns == [("This", "Advocate"), ("Other", "Opponent")] * 2


def test_the_student_learns_the_statement_from_topic_side_and_argument_alone(run: Cooked) -> None:
    for record in run.records:
        (prompt,) = record.messages
        fields = record.fields
        assert prompt.content == (
            f"Topic: {fields['topic']}\nSpeak {fields['stance']} it, with this argument: {fields['argument']}"
        )
        assert record.responses[0].text == "In short, 4 turns were heard."


def test_a_topic_is_held_out_with_both_of_its_sides(run: Cooked) -> None:
    splits = defaultdict(set)
    for record in run.records:
        splits[record.fields["topic"]].add(record.split)
    assert all(len(found) == 1 for found in splits.values())
    assert set.union(*splits.values()) == {"train", "test"}
