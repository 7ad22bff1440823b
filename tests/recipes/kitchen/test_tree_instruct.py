"""Tree-Instruct: one tree a task, grown to three levels, written as a task again, answered anew."""

from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Call, Cooked, cooked


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A teacher that draws trees; of some it makes the task that there was, and of each it goes on with another one."""
    asked = prompt[-1].content
    seed = sum(map(ord, asked))
    if asked.endswith("Tree:"):
        return f"do ({task(asked)})\nTask: Another one."
    if asked.endswith("more nodes:"):
        nodes = int(asked.rsplit("With ", 1)[1].partition(" ")[0])
        return f"{tree(asked)} + {nodes}\nTree: another one"
    if asked.endswith("Task:"):
        meaning, _, nodes = tree(asked).rpartition(" + ")
        old = meaning.removeprefix("do (").removesuffix(")")
        return old if seed % 4 == 0 else f"{old} With {nodes} things more."
    return f"A new answer to {len(asked)} letters."


def task(asked: str) -> str:
    return asked.rsplit("\nTask: ", 1)[1].removesuffix("\nTree:")


def tree(asked: str) -> str:
    return asked.rsplit("\nTree: ", 1)[1].rpartition("\n")[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("tree-instruct")
    return cooked("tree-instruct", script, folder, 'stage.main.step.level.one_of.nodes=["3", "10"]')


def asked_for(run: Cooked, end: str) -> list[Call]:
    return [call for call in run.calls if call.user.endswith(end)]


def test_one_tree_a_task_is_grown_by_3_by_6_and_by_10_nodes(run: Cooked) -> None:
    trees = {f"do ({task(call.user)})" for call in asked_for(run, "\nTree:")}
    assert len(trees) == len(asked_for(run, "\nTree:")) == 8
    grown = [(tree(c.user), c.user.rsplit("With ", 1)[1].partition(" ")[0]) for c in asked_for(run, "more nodes:")]
    assert sorted(grown) == sorted((one, nodes) for one in trees for nodes in ("3", "6", "10"))


def test_no_held_out_task_is_grown(run: Cooked) -> None:
    held = [r for r in run.laps[0]["seeds"] if r.split == "test"]
    assert held and not any(task(c.user) in r.messages[-1].content for c in asked_for(run, "\nTree:") for r in held)
    assert {r.split for r in run.laps[0]["grown"]} == {"train"}


def test_the_task_is_written_from_the_larger_tree_alone(run: Cooked) -> None:
    larger = {r.fields["larger_tree"] for r in run.laps[0]["grown"]}
    assert len(larger) == 24 and {tree(call.user) for call in asked_for(run, "\nTask:")} == larger
    assert not any("another one" in r.fields["instruction"].lower() for r in run.laps[0]["grown"])


def test_the_levels_chosen_are_learnt_where_the_task_has_grown(run: Cooked) -> None:
    learnt = [r for r in run.records if r.answers("teacher")]
    assert {r.fields["nodes"] for r in learnt} == {3, 10}
    assert all(r.fields["instruction"] != r.fields["parent"] for r in learnt)
    dropped = run.funnel("level")["dropped"]
    assert dropped["another 'nodes'"] == 8 and dropped["same as 'parent'"] > 0


def test_the_larger_task_is_answered_anew_and_seen_alone(run: Cooked) -> None:
    old = {r.fields["output"] for r in run.laps[0]["seeds"]}
    for record in run.records:
        for answer in record.answers("teacher"):
            prompt = record.messages[-1].content
            assert answer.text == f"A new answer to {len(prompt)} letters." and answer.text not in old
            assert prompt == record.fields["instruction"]
            assert "output" not in record.fields or record.fields["output"] == answer.text
