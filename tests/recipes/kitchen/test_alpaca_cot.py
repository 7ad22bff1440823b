"""Alpaca-CoT: several sets, one format, a cap for each source, nobody asked."""

import json
from collections import Counter
from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.compare import graft
from stillhouse.endpoints.base import Sampling
from stillhouse.recipe import Student
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    raise AssertionError("nobody is asked anything")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("alpaca-cot")
    return cooked("alpaca-cot", script, folder, "step.cot.n=7", "step.code.share=0")


def test_every_source_is_there_up_to_its_cap(run: Cooked) -> None:
    sources = Counter(r.fields["source"] for r in run.records)
    assert sources == {"tasks": 60, "cot": 7, "logic": 20, "chinese": 20}  # code was left out
    assert not run.calls


def test_all_sets_have_one_format(run: Cooked) -> None:
    for record in run.records:
        assert set(record.fields) == {"instruction", "input", "output", "source"}
        assert all(isinstance(value, str) for value in record.fields.values())
        assert record.responses[0].text == record.fields["output"]
        assert (record.responses[0].source, len(record.responses)) == ("reference", 1)


def test_chains_of_thought_come_with_their_steps(run: Cooked) -> None:
    chains = [r for r in run.records if r.fields["source"] == "cot"]
    assert all("The answer is" in r.responses[0].text and not r.fields["input"] for r in chains)


def test_a_prompt_is_in_the_language_of_its_set_and_names_an_input_only_where_there_is_one(run: Cooked) -> None:
    for record in run.records:
        (prompt,) = (m.content for m in record.messages)
        chinese = record.fields["source"] == "chinese"
        assert prompt.startswith("下面是" if chinese else "Below is an instruction")
        assert ("输入：" if chinese else "Input: ") + record.fields["input"] in prompt or not record.fields["input"]
        assert ("输入" in prompt.partition(record.fields["instruction"])[0]) == (
            chinese and bool(record.fields["input"])
        )


def test_what_is_held_out_comes_from_several_sources(run: Cooked) -> None:
    held = Counter(r.fields["source"] for r in run.records if r.split == "test")
    assert held["tasks"] > 0 and len(held) > 1


def test_a_row_that_is_there_twice_or_lacks_an_answer_is_left_out(tmp_path: Path) -> None:
    rows = [("Name a tree.", "Oak"), ("Name a tree.", "Ash"), ("Name a bird.", ""), ("Name a fish.", "Cod")]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"instruction": ask, "input": "", "output": say}) for ask, say in rows))
    run = cooked("alpaca-cot", script, tmp_path, f"data.sets.code={path}", "data.held_out=0.0")
    assert [r.fields["output"] for r in run.records if r.fields["source"] == "code"] == ["Oak", "Cod"]
    assert run.funnel("whole rows, each once")["dropped"] == {"no 'output'": 1, "duplicate": 1}


def test_objectives_are_compared_on_these_very_records() -> None:
    recipe = recipes.load("alpaca-cot")
    train = recipes.load("kd").stage[-1].train
    assert train is not None
    grafted = graft(recipe, train, 1, Student(keep_layers=2), "kd-1")
    assert grafted.stage[0].step == recipe.stage[0].step
    assert {term.on for term in train.objective} == {"reference"}
