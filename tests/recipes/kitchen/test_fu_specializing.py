"""Fu: forty samples after eight demonstrations, the right ones in four formats, the teacher's probabilities."""

from collections import Counter

import pytest

from stillhouse import recipes
from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from stillhouse.train.terms import asks_teacher
from tests.recipes.kitchen.cooking import Cooked, cooked
from tests.recipes.kitchen.questions import MATH, Turns, demonstrated, held_out, last_question, learnt


class Teacher:
    """Right in one sample of four."""

    def __init__(self) -> None:
        self._turns = Turns()

    def __call__(self, prompt: tuple[Message, ...], sampling: Sampling) -> str:
        asked = prompt[-1].content
        turn = self._turns.next(asked)
        return MATH[last_question(asked)]["solution"] if turn % 4 == 0 else f"So it goes. The answer is -{turn}."


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    return Teacher()(prompt, sampling)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    return cooked(
        "fu-specializing", Teacher(), tmp_path_factory.mktemp("fu"), "data.limit=8", "step.solutions.samples=40"
    )


def test_forty_samples_after_eight_demonstrations(run: Cooked) -> None:
    assert set(Counter(call.user for call in run.calls).values()) == {40}
    assert all(len(demonstrated(call.user)) == 8 and call.sampling.temperature > 0 for call in run.calls)


def test_right_solutions_alone_are_kept(run: Cooked) -> None:
    gate = run.funnel("right answers")
    assert gate["kept"] * 4 == gate["took"]
    assert all(r.fields["answer"] == r.fields["gold"] for r in learnt(run.records))


def test_four_formats_of_every_solution(run: Cooked) -> None:
    question = learnt(run.records)[0].fields["question"]
    found = Counter(
        ("Q: " in r.messages[-1].content, r.fields["rationale"] in r.responses[0].text)
        for r in learnt(run.records)
        if r.fields["question"] == question
    )
    assert found == {(shown, chain): 10 for shown in (True, False) for chain in (True, False)}


def test_a_format_shows_what_it_asks_for(run: Cooked) -> None:
    for record in learnt(run.records):
        prompt, answer = record.messages[-1].content, record.responses[0].text
        chain = record.fields["rationale"] in answer
        shown = demonstrated(prompt)
        if shown:
            assert len(shown) == 3 and record.fields["question"] not in shown
            assert (prompt.count("A: The answer is") == 3) == (not chain)
        assert answer.endswith(f"The answer is {record.fields['gold']}.")


def test_it_learns_from_probabilities_and_from_text_alone_behind_a_url() -> None:
    whole = recipes.load("fu-specializing").stage[0].train
    text = recipes.load("fu-specializing", ["train.objective.forward_kl.use=sft"]).stage[0].train
    assert whole is not None and text is not None
    assert asks_teacher(whole) == "forward_kl" and asks_teacher(text) == ""


def test_held_out_questions_are_all_there(run: Cooked) -> None:
    assert len(held_out(run.records)) == len(held_out(run.laps[0]["seeds"]))
