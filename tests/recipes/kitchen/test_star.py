"""STaR: the student's own right reasoning, a hint for the rest, the base model each round, an end when it stalls."""

from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.elicitation import Elicitation
from stillhouse.endpoints.base import Sampling
from stillhouse.endpoints.scripted import Scripted
from stillhouse.laps import laps
from stillhouse.records.types import Message
from stillhouse.stages import prepare
from tests.recipes.kitchen.cooking import Cooked, cooked
from tests.recipes.kitchen.questions import MATH, demonstrated, held_out, last_question, learnt

HINT = " (Hint: "
SOLVED = (2, 5, 5, 9)
"""Of ten questions, how many the student solves by itself in each round."""


def hash_of(question: str) -> int:
    return sum(map(ord, question)) % 10


class Student:
    """Solves more from round to round; with a hint it still fails at some, and repeats others without a reason."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}

    def __call__(self, prompt: tuple[Message, ...], sampling: Sampling) -> str:
        question, _, hint = last_question(prompt[-1].content).partition(HINT)
        known, place = MATH[question], hash_of(question)
        if hint:
            told = f"A: The answer is {known['answer']}."
            return {9: "Even so, I cannot.", 8: told}.get(place, f"Now I see it. {told[3:]}")
        turn = self._asked[question] = self._asked.get(question, -1) + 1
        return known["solution"] if place < SOLVED[turn] else "It is many." if place == 7 else "The answer is -1."


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    return Student()(prompt, sampling)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    return rounds(tmp_path_factory.mktemp("star"))


def rounds(folder: Path) -> Cooked:
    """Four rounds at most; greedy answers are asked anew each round, since another student would give them."""
    return cooked(
        "star",
        script,
        folder,
        "stage.star.rounds=4",
        "step.reason.temperature=1",
        "step.reason.retries=0",
        student=Student(),
    )


def own(cooked: Cooked, lap: int) -> set[str]:
    return {r.fields["question"] for r in learnt(cooked.laps[lap]["solved"])}


def test_the_student_itself_is_asked_with_ten_demonstrations(run: Cooked) -> None:
    assert run.student_calls and not run.calls
    assert all(len(demonstrated(call.user)) == 10 for call in run.student_calls)
    assert {call.sampling.max_new_tokens for call in run.student_calls} == {96}


def test_only_failures_get_a_hint(run: Cooked) -> None:
    seeds = {r.fields["question"] for r in learnt(run.laps[0]["seeds"])}
    hinted = {last_question(c.user).partition(HINT)[0] for c in run.student_calls if HINT in last_question(c.user)}
    assert own(run, 0) == {q for q in seeds if hash_of(q) < 2}
    assert hinted == seeds - own(run, 0)  # no answer at all is a failure too
    told = {r.fields["question"] for r in run.laps[0]["told"]}
    assert told == {q for q in hinted if hash_of(q) < 8}  # 8 gave no reason, 9 no answer


def test_the_hint_is_the_right_answer_and_every_demonstration_has_one_too(run: Cooked) -> None:
    known = {r.fields["question"]: r.fields["answer"] for r in run.laps[0]["demos"]}
    asked = [call.user for call in run.student_calls]
    told = [user for user in asked if HINT in user]
    assert told and len(told) < len(asked)
    for user in told:
        question, _, hint = last_question(user).partition(HINT)
        assert hint == f"{MATH[question]['answer']})"
        shown = [question.partition(HINT) for question in demonstrated(user)]
        assert len(shown) == 10 and all(hint == f"{known[question]})" for question, _, hint in shown)


def test_what_was_hinted_is_learnt_as_though_it_was_not(run: Cooked) -> None:
    for lap in run.laps:
        for record in lap["records"]:
            assert "Hint" not in record.messages[-1].content
            assert record.messages[-1].content == f"Q: {record.fields['question']}\nA:"
    texts = {r.fields["question"]: r.responses[0].text for r in learnt(run.laps[0]["records"])}
    assert texts.keys() == own(run, 0) | {r.fields["question"] for r in run.laps[0]["told"]}
    for record in run.laps[0]["told"]:
        assert record.fields["hinted"]
        assert texts[record.fields["question"]] == f"Now I see it. The answer is {record.fields['gold']}."


def test_every_round_begins_with_all_seeds_and_keeps_nothing_of_the_last(run: Cooked) -> None:
    for lap, solved in zip(run.laps, SOLVED, strict=False):
        assert len(lap["questions"]) == len(lap["seeds"])
        assert len(own(run, run.laps.index(lap))) == sum(
            hash_of(r.fields["question"]) < solved for r in learnt(lap["seeds"])
        )
        questions = [r.fields["question"] for r in learnt(lap["records"])]
        assert len(questions) == len(set(questions))


def test_it_ends_with_the_round_that_solves_no_more(run: Cooked) -> None:
    assert len(run.laps) == 3  # 2, 5 and 5 of ten: the fourth round, which would solve 9, is not reached
    assert len(own(run, 2)) == len(own(run, 1)) > len(own(run, 0))


def test_every_round_trains_the_base_and_for_longer(tmp_path: Path) -> None:
    recipe = recipes.load("star", ["train.steps=40", "stage.star.rounds=4", "stage.star.until=", "data.limit=3"])
    student = Scripted(script, identity="student")
    with prepare(recipe, tmp_path / "run") as run:
        work, found = Elicitation(run, {"teacher": student, "student": student, "untrained": student}), []
        for lap in laps(run):
            work.do(lap)
            assert lap.train is not None and lap.stage.start == "base"
            found.append(lap.train.steps)
    assert found == [40, 48, 58, 69]


def test_held_out_questions_come_out_of_every_round(run: Cooked) -> None:
    for lap in run.laps:
        assert len(held_out(lap["records"])) == len(held_out(lap["seeds"]))
        assert all(r.answers("reference")[0].text == r.fields["solution"] for r in held_out(lap["records"]))
