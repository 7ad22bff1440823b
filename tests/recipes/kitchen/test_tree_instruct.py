"""Tree-Instruct: each instruction at three levels, trees that are complete or asked for again, answers made anew."""

from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

TRIES: dict[str, int] = {}


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A teacher that forgets the larger tree at the first try, and returns some tasks as they were."""
    asked = prompt[-1].content
    if not asked.endswith("Tree:"):
        return f"A new answer to {len(asked)} letters."
    task, _, rest = asked.rsplit("Task: ", 1)[1].partition("\nNodes to add: ")
    nodes = int(rest.partition("\n")[0])
    TRIES[asked] = TRIES.get(asked, 0) + 1
    if nodes == 6 and TRIES[asked] == 1:
        return f" do (it)\nNew task: {task} in haste"
    grown = task if nodes == 3 and len(task) % 2 else f"{task} with {nodes} nodes more"
    said = f" do (it)\nLarger tree: do (it, {', '.join('abcdefghij'[:nodes])})\nNew task: {grown}"
    return said + "\nTask: Write another one."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    TRIES.clear()
    folder: Path = tmp_path_factory.mktemp("tree-instruct")
    return cooked("tree-instruct", script, folder, 'stage.main.step.level.one_of.nodes=["3", "10"]')


def test_every_instruction_is_grown_by_3_by_6_and_by_10_nodes(run: Cooked) -> None:
    asked: dict[str, set[str]] = {}
    for call in run.asked("Nodes to add"):
        task, _, rest = call.user.rsplit("Task: ", 1)[1].partition("\nNodes to add: ")
        asked.setdefault(task, set()).add(rest.partition("\n")[0])
    assert len(asked) == 12 and all(levels == {"3", "6", "10"} for levels in asked.values())


def test_an_answer_without_the_larger_tree_is_asked_for_again(run: Cooked) -> None:
    assert {count for prompt, count in TRIES.items() if "add: 6\nTree:" in prompt} == {2}
    grown = run.laps[0]["grown"]
    assert len(grown) == 36 and all(r.fields["larger_tree"].startswith("do (it, a") for r in grown)
    assert not any("in haste" in r.fields["instruction"] or "another one" in r.fields["instruction"] for r in grown)


def test_the_levels_chosen_are_learnt_where_the_task_has_grown(run: Cooked) -> None:
    learnt = [r for r in run.records if r.answers("teacher")]
    assert {r.fields["nodes"] for r in learnt} == {3, 10}
    assert all(r.fields["instruction"] != r.fields["parent"] for r in learnt)
    assert run.funnel("level")["dropped"]["same as 'parent'"] > 0
    assert run.funnel("level")["dropped"]["another 'nodes'"] == 12


def test_the_larger_task_is_answered_anew_and_seen_alone(run: Cooked) -> None:
    for record in run.records:
        for answer in record.answers("teacher"):
            prompt = record.messages[-1].content
            assert answer.text == f"A new answer to {len(prompt)} letters."
            assert prompt == record.fields["instruction"] and "Tree" not in prompt
