"""ExpertLLaMA: an expert for each instruction, answers without introductions, and a student that never meets him."""

from pathlib import Path

import pytest

from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

OPENINGS = (
    ("As a baker with thirty years at the oven, knead it well.", "Knead it well."),
    ("As a result of heat, bread rises.", "As a result of heat, bread rises."),
    ("As a rule, rest the dough.", "As a rule, rest the dough."),
    ("I am a historian of trade. Salt was money.", "Salt was money."),
    ("Wait a day.\nAs an astronomer, I look up often.", "Wait a day.\nI look up often."),
    ("As a language model, I have no oven. As an AI I cannot bake.", None),
    ("Certainly! As an engineer, use steel.", "Use steel."),
    ("Use it as a spoon, not as a fork.", "Use it as a spoon, not as a fork."),
)


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str | Answer:
    """A teacher that makes up an expert (sometimes nobody, or half of one), and introduces itself in several ways."""
    asked = prompt[-1].content
    if asked.endswith("Expert:"):
        number = asked.count("e")
        known = f" You are expert {number}, who knows it all.\n\nInstruction: Another.\nExpert: No"
        if number % 9 == 1:
            return Answer(f" You are the unfinished expert {number}, who", "length", tokens=sampling.max_new_tokens)
        return known if number % 9 else ""
    return OPENINGS[len(asked) % len(OPENINGS)][0]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("expertllama")
    return cooked("expertllama", script, folder, "data.limit=100")


def test_the_expert_is_asked_for_after_three_examples(run: Cooked) -> None:
    first = run.asked("describe in detail an expert")
    assert len(first) >= 70
    for call in first:
        assert call.user.count("Instruction:") == 4 and call.user.count("Expert: You are") == 3
    assert not any("Another." in r.fields["identity"] for r in run.records if r.split == "train")


def test_the_identity_stands_before_the_instruction(run: Cooked) -> None:
    second = run.asked("as the expert that was just described")
    assert second
    prompts = [r.messages[-1].content for r in run.laps[0]["seeds"] if r.split == "train"]
    for call in second:
        assert call.user.startswith("You are expert ")
        assert call.user.rpartition("following instruction.\n\n")[2] in prompts


def test_introductions_go_and_other_words_stay(run: Cooked) -> None:
    learnt = {r.responses[0].text for r in run.records if r.split == "train"}
    assert learnt == {after for _, after in OPENINGS if after}
    assert sum(run.funnel("speaks of no identity")["dropped"].values()) > 0


def test_the_student_never_sees_the_identity(run: Cooked) -> None:
    seeds = {r.key for r in run.laps[0]["seeds"]}
    for record in run.records:
        assert record.key in seeds  # the bare instruction
        assert "expert" not in record.responses[0].text


def test_held_out_are_the_seeds_own_answers_for_which_nobody_is_asked(run: Cooked) -> None:
    held = {r.key: r.responses for r in run.records if r.split == "test"}
    assert held and held == {r.key: r.responses[:1] for r in run.laps[0]["seeds"] if r.split == "test"}
    prompts = [r.messages[-1].content for r in run.laps[0]["seeds"] if r.split == "test"]
    assert not any(prompt in call.user for prompt in prompts if len(prompt) > 40 for call in run.calls)


def test_without_a_whole_expert_there_is_no_answer(run: Cooked) -> None:
    dropped = run.funnel("identity")["dropped"]
    assert dropped.keys() == {"empty", "unreadable: cut off"} and not run.asked("unfinished expert")
    assert run.funnel("answer")["took"] == run.funnel("identity")["took"] - sum(dropped.values())
