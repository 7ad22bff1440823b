"""Magister: the right answer stands in the prompt and in all eight demonstrations; wrong chains are dropped."""

import re

import pytest

from stillhouse import recipes
from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked
from tests.recipes.kitchen.questions import MATH, demonstrated, held_out, last_question, learnt


def kind(question: str) -> str:
    return ("right", "wrong", "parrot", "silent")[len(question) % 4]


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    question = last_question(prompt[-1].content)
    known = MATH[question]
    return {
        "right": known["solution"],
        "wrong": f"It cannot be so. The answer is {known['answer']}7.",
        "parrot": f"The answer is {known['answer']}.",
        "silent": "Well, let us see",
    }[kind(question)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    return cooked("magister", script, tmp_path_factory.mktemp("magister"))


def test_the_hint_follows_every_question_that_the_teacher_sees(run: Cooked) -> None:
    for call in run.calls:
        assert len(demonstrated(call.user)) == 8
        hints = re.findall(r"^Q: .+\n\(The answer is (\S+)\.\)\nA:", call.user, re.M)
        assert len(hints) == 9 and hints[-1] == MATH[last_question(call.user)]["answer"]


def test_wrong_and_empty_chains_are_dropped(run: Cooked) -> None:
    seeds = [r.fields["question"] for r in learnt(run.laps[0]["seeds"])]
    assert {r.fields["question"] for r in learnt(run.records)} == {q for q in seeds if kind(q) == "right"}
    assert run.funnel("chains")["dropped"] == {"unreadable: no number": sum(kind(q) == "silent" for q in seeds)}
    assert run.funnel("right answers")["dropped"] == {"wrong answer": sum(kind(q) == "wrong" for q in seeds)}
    assert run.funnel("with a chain")["dropped"] == {"too few words": sum(kind(q) == "parrot" for q in seeds)}


def test_the_student_never_sees_the_hint(run: Cooked) -> None:
    for record in run.records:
        assert record.messages[-1].content == record.fields["question"]
    for record in learnt(run.records):
        assert record.responses[0].text == MATH[record.fields["question"]]["solution"]


def test_held_out_questions_do_not_depend_on_the_teacher(run: Cooked) -> None:
    kept = held_out(run.records)
    assert len(kept) == len(held_out(run.laps[0]["seeds"])) and len({kind(r.fields["question"]) for r in kept}) > 1
    assert all(r.answers("reference")[0].text == r.fields["solution"] for r in kept)


@pytest.mark.parametrize("full", [False, True])
def test_the_student_may_write_as_long_a_chain_as_it_learns_and_its_answer(full: bool) -> None:
    (stage,) = recipes.load("magister", full=full).stage
    (chains,) = (step for step in stage.step if step.title == "chains")
    assert stage.eval[0].max_new_tokens >= chains.max_new_tokens + 10
