"""SCoTD: thirty chains a question, none filtered away; the variants filter, or keep few that differ."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.elicit.kitchen import Kitchen
from stillhouse.elicit.notebook import Notebook
from stillhouse.endpoints.base import Sampling
from stillhouse.endpoints.scripted import Scripted
from stillhouse.records.read import read_records, read_set
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked
from tests.recipes.kitchen.questions import CHOICE, Turns, another, demonstrated, held_out, last_question, learnt

WAYS = ("a plain look at it", "experience of many years", "the meaning of every word here")


class Teacher:
    """Wrong in one sample of three, and in three ways of reasoning."""

    def __init__(self) -> None:
        self._turns = Turns()

    def __call__(self, prompt: tuple[Message, ...], sampling: Sampling) -> str:
        asked = prompt[-1].content
        turn, known = self._turns.next(asked), CHOICE[last_question(asked)]
        letter = another(known["answer"]) if turn % 3 == 2 else known["answer"]
        return f"By {WAYS[turn % 3]} it is so. The answer is {letter}."


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    return Teacher()(prompt, sampling)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    return cooked("scotd", Teacher(), tmp_path_factory.mktemp("scotd"), "data.limit=10", "step.thoughts.samples=30")


def test_thirty_samples_after_seven_demonstrations(run: Cooked) -> None:
    assert set(Counter(call.user for call in run.calls).values()) == {30}
    assert all(len(demonstrated(call.user)) == 7 and call.sampling.temperature > 0 for call in run.calls)


def test_wrong_chains_are_learnt_too(run: Cooked) -> None:
    assert set(Counter(r.messages[-1].content for r in learnt(run.records)).values()) == {30}
    wrong = [r for r in learnt(run.records) if not r.fields["right"]]
    assert len(wrong) * 3 == len(learnt(run.records))
    assert all(r.responses[0].text.endswith(f"The answer is {r.fields['answer']}.") for r in wrong)


def test_the_student_sees_the_bare_question(run: Cooked) -> None:
    for record in run.records:
        assert record.messages[-1].content.startswith(record.fields["question"])
        assert record.messages[-1].content.count("A)") == 1
    assert len(held_out(run.records)) == len(held_out(run.laps[0]["seeds"]))


def test_the_variant_that_keeps_right_chains_only(tmp_path: Path) -> None:
    made = cooked("scotd", Teacher(), tmp_path, "step.verdict.keep=right", "data.limit=4")
    assert learnt(made.records) and all(r.fields["answer"] == r.fields["gold"] for r in learnt(made.records))


def test_the_variant_with_few_chains_keeps_those_that_differ(tmp_path: Path) -> None:
    made = cooked("scotd", Teacher(), tmp_path, "step.chains.k=3", "data.limit=4", "step.thoughts.samples=30")
    by_question: dict[str, set[str]] = {}
    for record in learnt(made.records):
        by_question.setdefault(record.fields["question"], set()).add(record.fields["rationale"])
    assert by_question and all(len(ways) == 3 for ways in by_question.values())  # of thirty, one of each way


def test_the_variant_with_the_likeliest_chains_is_as_the_header_says(tmp_path: Path) -> None:
    text = recipes.path_of("scotd").read_text()
    step = "\n".join(line.removeprefix("#   ") for line in text.splitlines() if line.startswith("#   "))
    copy = tmp_path / "scotd.toml"
    copy.write_text(text.replace('[[step]]\nuse = "topk"', f'{step}\n\n[[step]]\nuse = "topk"'))
    changes = ["step.chains.k=5", "step.chains.choose=best", "step.chains.by=lm_score"]
    assert all(change in text for change in changes)
    recipe = recipes.load(copy, [*changes, "step.thoughts.samples=30"])
    asked = [replace(record, split="train") for record in read_records("builtin:choice", limit=2)]
    teacher = Scripted(Teacher(), scores=lambda prompt, text: [-1.0 if WAYS[1] in text else -2.0])
    with Notebook(tmp_path / "journal.jsonl") as notebook:
        kitchen = Kitchen({"teacher": teacher}, notebook, templates=recipe.templates)
        made = kitchen.cook(recipe.stage[0].step, {"records": asked, "demos": read_set("builtin:choice_demos")})
    kept = made.sets["records"]
    assert len(kept) == 2 * 5 and all(WAYS[1] in r.fields["rationale"] for r in kept)
    assert all(len(demonstrated(prompt[-1].content)) == 7 for prompt, _ in teacher.scored)


def test_questions_may_have_no_choices(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text(json.dumps({"question": "Is it (A) day or (B) night?", "answer": "B", "split": "train"}))
    demos = tmp_path / "demos.jsonl"
    demos.write_text(json.dumps({"question": "Is it (A) hot or (B) cold?", "rationale": "It snows. The answer is B."}))
    changes = [f"seeds={seeds}", f"data.sets.demos={demos}"]
    made = cooked("scotd", lambda prompt, sampling: "It is dark. The answer is B.", tmp_path, *changes)
    assert {r.messages[-1].content for r in made.records} == {"Is it (A) day or (B) night?"}
    assert made.records[0].responses[0].text == "It is dark. The answer is B."
