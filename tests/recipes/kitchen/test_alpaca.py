"""Alpaca: three human demonstrations and no other, whole tasks or nothing, the 0.7 gate, two fixed layouts."""

import re
from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

VERBS = ("Describe", "Explain", "List", "Compare", "Name", "Summarise", "Judge")
THINGS = ("a lighthouse keeper", "two kinds of bread", "the taste of rain", "old bicycles", "a winter market", "tides")


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A teacher that goes on with the list: two good tasks, one without an output, one with music, one near copy."""
    seed = sum(map(ord, prompt[-1].content))
    about = f"{VERBS[seed % 7]} {THINGS[seed % 6]} and number {seed}"
    return (
        f" {about} at length.\n4. Input:\n<noinput>\n4. Output:\nfour {seed}\n"
        f"###\n5. Instruction: Sort letter {seed} by its tone, please\n5. Input:\nDear all, {seed}\n"
        f"5. Output:\nfive {seed}\n"
        f"###\n6. Instruction: Tell a story of {seed} words\n6. Input:\n<noinput>\n"
        f"###\n7. Instruction: Write music for {seed} flutes\n7. Input:\n<noinput>\n7. Output:\nla la\n"
        f"###\n8. Instruction: {about} at length!\n8. Input:\n<noinput>\n8. Output:\neight {seed}\n"
        f"###\n20. Instruction: One too many, {seed} times\n20. Input:\n<noinput>\n20. Output:\nnever"
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("alpaca")
    return cooked("alpaca", script, folder, "stage.grow.rounds=2", "stage.grow.step.tasks.calls=5")


def test_three_demonstrations_by_people_in_every_round(run: Cooked) -> None:
    known = {r.fields["instruction"]: r for r in run.laps[0]["seeds"] if r.split == "train"}
    assert len(run.calls) == 10
    for call in run.calls:
        shown = re.findall(r"^\d\. Instruction: (.+)$", call.user, re.M)
        assert len(shown) == 3 and set(shown) <= set(known)  # none of them held out, none by the model
        assert call.user.endswith("4. Instruction:")
        assert all(known[one].fields["output"] in call.user for one in shown)  # whole tasks, not instructions alone
        assert call.sampling.temperature == 1.0


def test_half_a_task_and_all_beyond_nineteen_are_never_read(run: Cooked) -> None:
    assert run.funnel("tasks")["kept"] == 5 * 4  # of six in each answer: one has no output, and the last is beyond 19
    assert not any("story of" in r.fields["instruction"] for r in run.laps[-1]["pool"])
    assert not any("One too many" in r.fields["instruction"] for r in run.laps[-1]["pool"])


def test_music_is_out_and_so_is_what_resembles_seeds_or_pool(run: Cooked) -> None:
    assert run.funnel("fit-tasks")["dropped"] == {"blacklisted words": 5}
    assert run.funnel("new-to-the-pool")["dropped"]["too similar"] >= 5  # the near copy in every answer
    pool = run.laps[-1]["pool"]
    assert pool and all(r.fields["similarity"] <= 0.7 for r in pool)
    assert not any(r.fields["output"].startswith("eight") for r in pool)


def test_the_student_sees_one_of_two_layouts_and_no_demonstrations(run: Cooked) -> None:
    learnt = [r for r in run.records if r.answers("teacher")]
    for record in learnt:
        prompt, given = record.messages[-1].content, record.fields["input"]
        assert ("### Text:\n" + given in prompt) if given else ("### Text:" not in prompt)
        assert prompt.endswith("### Answer:") and "###\n" not in prompt
        assert record.responses[0].text == record.fields["output"]
    assert {bool(r.fields["input"]) for r in learnt} == {True, False}


def test_held_out_are_tasks_that_people_answered(run: Cooked) -> None:
    by_people = [r for r in run.records if r.answers("reference")]
    assert len(by_people) == sum(r.split == "test" for r in run.laps[0]["seeds"])
    assert all(r.split == "test" and not r.answers("teacher") for r in by_people)
