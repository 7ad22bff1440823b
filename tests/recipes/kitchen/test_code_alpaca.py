"""Code Alpaca: as Alpaca, with code alone for seeds, rules that spare words of code, and layouts for both kinds."""

import re
from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

LANGUAGES = ("Python", "Rust", "Go", "Lua", "Perl", "Ruby", "Swift")


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A teacher with a task on maps and graphs and a near copy of it, one on code, and one that wants a picture."""
    seed = sum(map(ord, prompt[-1].content))
    language = LANGUAGES[seed % 7]
    find = f"Write a program in {language} that finds node {seed} in a graph held as a map"
    return (
        f" {find}\n4. Input:\n<noinput>\n"
        f"4. Output:\ndef find(graph):\n    # all nodes\n    return {seed}\n"
        f"###\n5. Instruction: Shorten this {language} line, number {seed}\n5. Input:\nx = {seed} + 0\n"
        f"5. Output:\nx = {seed}\n"
        f"###\n6. Instruction: Show the picture {seed} on a page in {language}\n6. Input:\n<noinput>\n6. Output:\nno\n"
        f"###\n7. Instruction: {find}!\n7. Input:\n<noinput>\n7. Output:\nagain"
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("code-alpaca")
    return cooked("code-alpaca", script, folder, "stage.grow.rounds=2", "stage.grow.step.tasks.calls=5")


def test_all_that_is_shown_is_code_by_people(run: Cooked) -> None:
    known = {r.fields["instruction"] for r in run.laps[0]["seeds"] if r.split == "train"}
    assert run.laps[0]["pool"] and len(run.calls) == 2 * 5  # in the second round there are tasks by the model too
    for call in run.calls:
        shown = re.findall(r"^\d\. Instruction: (.+)$", call.user, re.M)
        assert len(shown) == 3 and set(shown) <= known
        assert "names its programming language" in call.user and "opens no file" in call.user


def test_words_of_programming_pass_and_pictures_do_not(run: Cooked) -> None:
    dropped = run.funnel("fit-tasks")["dropped"]
    assert dropped == {"blacklisted words": 5}
    assert any(r.fields["instruction"].startswith("Write a program") for r in run.laps[-1]["pool"])


def test_what_resembles_seeds_or_pool_is_out(run: Cooked) -> None:
    assert run.funnel("new-to-the-pool")["dropped"]["too similar"] >= 5  # the near copy in every answer
    assert all(r.fields["similarity"] <= 0.7 and r.fields["output"] != "again" for r in run.laps[-1]["pool"])


def test_two_seeds_of_five_have_an_input(run: Cooked) -> None:
    shown = [r for r in run.laps[0]["seeds"] if r.split == "train"]
    assert 0.35 <= sum(bool(r.fields["input"]) for r in shown) / len(shown) <= 0.45


def test_code_reaches_the_student_with_its_indents(run: Cooked) -> None:
    answers = [r.responses[0].text for r in run.records if r.answers("teacher")]
    assert any(text.startswith("def find(graph):\n    # all nodes\n    return") for text in answers)
    prompts = [r.messages[-1].content for r in run.records if r.answers("teacher")]
    assert {"### Input:\nx = " in prompt for prompt in prompts} == {True, False}


def test_some_tasks_by_people_are_held_out_and_never_shown(run: Cooked) -> None:
    by_people = [r for r in run.records if r.answers("reference")]
    assert by_people and {r.split for r in by_people} == {"test"}
    assert not any(r.fields["instruction"] in call.user for r in by_people for call in run.calls)
