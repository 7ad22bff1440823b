"""MCC-KD: right chains, the most different of them, and questions with fewer than two left out."""

import pytest

from stillhouse import recipes
from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from stillhouse.train.terms import read_terms
from tests.recipes.kitchen.cooking import Cooked, cooked
from tests.recipes.kitchen.questions import SUMS, Turns, held_out, last_question, learnt

WAYS = (
    "One counts all of them up on paper, line by line.",
    "One counts all of them up on paper, line after line.",
    "Starting from the end makes it easy.",
    "One counts all of them up on paper, row by row.",
    "A drawing with boxes shows the whole at a glance.",
    "One counts all of them up on paper, line by line.",
    "Every part has its price, and prices add up.",
    "This cannot be right.",
)


def lonely(question: str) -> bool:
    """Whether only one chain of the question is right."""
    return len(question) % 3 == 0


class Teacher:
    """Eight chains: four are nearly the same, two of these quite the same, and the last is wrong."""

    def __init__(self) -> None:
        self._turns = Turns()

    def __call__(self, prompt: tuple[Message, ...], sampling: Sampling) -> str:
        asked = prompt[-1].content
        turn, question = self._turns.next(asked) % len(WAYS), last_question(asked)
        wrong = turn == 7 or (lonely(question) and turn > 0)
        return f"{WAYS[turn]} The answer is {-1 if wrong else SUMS[question]['answer']}."


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """One teacher for all runs, so that a question's chains differ."""
    return TURNING(prompt, sampling)


TURNING = Teacher()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    return cooked("mcc-kd", Teacher(), tmp_path_factory.mktemp("mcc-kd"))


def test_a_small_teacher_is_asked_at_a_lower_temperature(run: Cooked) -> None:
    assert {call.sampling.temperature for call in run.calls} == {0.7}
    assert {s.temperature for s in recipes.load("mcc-kd", full=True).stage[0].step if s.title == "chains"} == {1.0}


def test_the_chains_that_differ_most_are_chosen(run: Cooked) -> None:
    assert learnt(run.records)
    for record in learnt(run.records):
        chains = {chain["rationale"] for chain in record.fields["chains"]}
        assert chains >= {WAYS[2], WAYS[4], WAYS[6]}
        assert len(chains) == 4 and sum("on paper" in chain for chain in chains) == 1


def test_wrong_and_repeated_chains_are_out_before_that(run: Cooked) -> None:
    seeds = learnt(run.laps[0]["seeds"])
    alone = sum(lonely(r.fields["question"]) for r in seeds)
    assert run.funnel("right answers")["dropped"] == {"wrong answer": 7 * alone + (len(seeds) - alone)}
    assert run.funnel("no two alike")["dropped"] == {"duplicate": len(seeds) - alone}


def test_a_question_with_one_chain_has_no_pair(run: Cooked) -> None:
    seeds = learnt(run.laps[0]["seeds"])
    assert run.funnel("two or more")["dropped"] == {
        "fewer than 2 in its group": sum(lonely(r.fields["question"]) for r in seeds)
    }
    assert not any(lonely(r.fields["question"]) for r in learnt(run.records))


def test_the_chains_of_a_question_are_answers_to_one_prompt_and_end_alike(run: Cooked) -> None:
    prompts = [r.messages[-1].content for r in learnt(run.records)]
    assert len(prompts) == len(set(prompts))
    for record in learnt(run.records):
        assert len(record.answers("teacher")) == 4
        assert {a.text.rsplit("The answer is ", 1)[-1] for a in record.responses} == {f"{record.fields['gold']}."}


def test_two_chains_at_a_time_and_one_answer_behind_both() -> None:
    (stage,) = recipes.load("mcc-kd").stage
    assert stage.train is not None and stage.train.candidates == 2
    terms = {term.name: (term.family, term.source, term.weight) for term in read_terms(stage.train)}
    assert terms == {"sft": ("tokens", "teacher", 1.0), "mcc_kd": ("contexts", "teacher", 0.1)}


def test_held_out_questions_are_all_there(run: Cooked) -> None:
    kept = held_out(run.records)
    assert len(kept) == len(held_out(run.laps[0]["seeds"])) and any(lonely(r.fields["question"]) for r in kept)
