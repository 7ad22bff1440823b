"""Tasks: the run's own test split, or another source; a limit that depends on content, not on order."""

import json
import random

import pytest

from stillhouse.errors import DataError, RecipeError
from stillhouse.evaluate.tasks import load_task, load_tasks
from stillhouse.recipe import Eval
from stillhouse.records.types import Message, Record, Response


def record(text: str, *references: str, split: str = "test") -> Record:
    return Record(
        messages=(Message("user", text),), responses=tuple(Response("reference", r) for r in references), split=split
    )


def test_held_out_is_the_test_split_with_references():
    own = [record("a", "1"), record("b", "2", split="train"), record("c"), record("d", "3", "4")]
    own[2] = own[2].adding(Response("teacher", "no reference"))
    task = load_task(Eval(name="mine"), own)
    assert task.name == "mine"
    assert [r.messages[0].content for r in task.records] == ["a", "d"]
    assert task.references == [["1"], ["3", "4"]]


def test_elicited_answers_stand_for_references_where_there_are_none():
    own = [Record((Message("user", text),), (Response("teacher", text * 2),), "test") for text in "ab"]
    assert load_task(Eval(), own).references == [["aa"], ["bb"]]


def test_a_limit_takes_the_same_sample_in_any_order():
    own = [record(f"prompt {i}", "x") for i in range(100)]
    chosen = {r.key for r in load_task(Eval(limit=10), own).records}
    random.Random(0).shuffle(own)
    assert {r.key for r in load_task(Eval(limit=10), own).records} == chosen
    assert len(chosen) == 10
    assert chosen < {r.key for r in load_task(Eval(limit=20), own).records}
    assert len(load_task(Eval(limit=500), own).records) == 100


def test_the_limit_counts_only_what_can_be_scored():
    own = [record(f"prompt {i}", *["x"] * (i % 2)) for i in range(40)]
    assert len(load_task(Eval(limit=20), own).records) == 20


def test_a_file_is_a_task(tmp_path):
    path = tmp_path / "task.jsonl"
    rows = [{"instruction": f"Say {i}.", "output": str(i)} for i in range(3)]
    path.write_text("\n".join(json.dumps(r) for r in rows))
    task = load_task(Eval(name="file", data=str(path)), [])
    assert sorted(r for one in task.references for r in one) == ["0", "1", "2"]


def test_a_task_without_references_says_so(tmp_path):
    with pytest.raises(DataError, match=r"'held_out'.*none of the 0 records.*held_out"):
        load_task(Eval(), [record("a", "1", split="train")])
    path = tmp_path / "task.jsonl"
    path.write_text('{"instruction": "Say 1."}\n')
    with pytest.raises(DataError, match=r"'file'.*task\.jsonl.*reference answer"):
        load_task(Eval(name="file", data=str(path)), [])


def test_two_tasks_need_two_names():
    own = [record("a", "1")]
    assert [t.name for t in load_tasks([Eval(), Eval(name="other")], own)] == ["held_out", "other"]
    with pytest.raises(RecipeError, match="held_out"):
        load_tasks([Eval(), Eval()], own)
