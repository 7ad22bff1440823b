"""WizardMath: problems evolve up and down for 8 turns; problem and step rewards, multiplied, rank solutions."""

import itertools
import re
from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.records.types import Message, Record
from stillhouse.train.terms import read_terms
from tests.recipes.kitchen.cooking import Cooked, cooked

WRONG, CUT_OFF = "Bad d.\nBad c.", "Good a.\nGood and"
SHARES = {"Good a.\nGood b.": 1.0, CUT_OFF: 0.0, WRONG: 0.0, "Good a.\nGood b.\nBad c.\nGood e.": 0.75}
"""The student's solutions, and the share of their steps that is right; none of one that was cut off."""

CHAINS = itertools.cycle(SHARES)
ASPECTS = ("definition", "precision", "integrity")
NUMBERS = itertools.count(100)
FAILED = "Here is the rewritten problem, with 3 hens and 4 geese.", "How many are there, after all of them came?"


def script(prompt: tuple[Message, ...], sampling: Sampling) -> Answer | str:
    """Harder problems get a cat, easier ones are about a bag; every fifth rewriting fails. One with a cat is perfect.

    About a bag, the student is always wrong.
    """
    asked = prompt[-1].content
    if "Solve the problem step by step" in asked:
        problem = asked.rsplit("Problem: ", 1)[-1]
        return "First count. The answer is 43." if "apples" in problem else "The answer is nothing that I know."
    if asked.endswith("New problem:"):
        number, question = next(NUMBERS), _between(asked, "Given problem: ", "\nNew problem:")
        if number % 5 == 0:
            return FAILED[number % 2]
        if "easier" in asked.partition("\n")[0]:
            return f"A bag has {number} coins and 2 are lost. How many?"
        return f"{question} There are {number} cats too."
    if "Give it a score" in asked:
        aspect = re.search("by its ([a-z]+):", asked)
        assert aspect and aspect[1] in ASPECTS
        return "Score: 10" if "cats" in asked else f"Score: {[9, 5, 4][ASPECTS.index(aspect[1])]}"
    if "Is this next step correct" in asked:
        return "No" if "Bad" in asked.rsplit("Next step:", 1)[-1] else "Yes"
    said = WRONG if "bag" in asked else next(CHAINS)
    return Answer(said, "length") if said == CUT_OFF else said


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("wizardmath")
    return cooked("wizardmath", script, folder, "data.limit=60")


def _between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]


def ranked(run: Cooked, lap: int = -1) -> list[Record]:
    return [r for r in run.laps[lap]["ranked"] if r.split == "train"]


def test_right_solutions_come_first_with_some_chat(run: Cooked) -> None:
    train = [r for r in run.laps[0]["records"] if r.split == "train"]
    solved = [r for r in train if r.messages[0].content.endswith("think step by step.")]
    chat = [r for r in train if r not in solved]
    assert solved and all(r.fields["gold"] == "43" for r in solved)
    assert all(r.responses[0].text == "First count. The answer is 43." for r in solved)
    assert len(chat) == 4 and not {r.key for r in chat} & {r.key for r in run.laps[0]["seeds"] if r.split == "test"}


def test_eight_turns_go_up_and_down_from_what_came_before(run: Cooked) -> None:
    problems = run.laps[8]["problems"]
    made = [r for r in problems if "operation" in r.fields]
    directions = {r.fields["operation"].partition(":")[0] for r in made}
    turns = {event.round for record in made for event in record.lineage if event.step == "up or down"}
    assert directions == {"up", "down"} and turns == set(range(1, 9))
    assert max(r.fields["generation"] for r in made) >= 2
    known = {r.fields["question"] for r in problems}
    assert all(r.fields["parent"] in known for r in made)


def test_what_is_no_problem_any_more_does_not_go_on(run: Cooked) -> None:
    dropped = [run.funnel("still problems", turn)["dropped"] for turn in range(1, 9)]
    reasons = {reason for one in dropped for reason in one}
    assert reasons == {"blacklisted words", "pattern not found"}
    assert not {r.fields["question"] for r in run.laps[8]["problems"]} & set(FAILED)


def test_every_problem_is_judged_once_on_each_of_three_aspects(run: Cooked) -> None:
    problems = run.laps[-1]["problems"]
    assert len(run.asked("Give it a score")) == 3 * len(problems)  # also in two rounds
    for record in problems:
        assert record.fields["quality"] == (10.0 if "cats" in record.fields["question"] else 6.0)


def test_the_judge_marks_the_students_steps_one_after_the_other(run: Cooked) -> None:
    marked = run.asked("Is this next step correct")
    seen = {(_between(c.user, "far:\n", "\n\nNext"), _between(c.user, "Next step: ", "\n")) for c in marked}
    expected = [("", "Good a."), ("Good a.", "Good b."), ("Good a.", "Good and"), ("", "Bad d."), ("Bad d.", "Bad c.")]
    assert seen == {*expected, ("Good a.\nGood b.", "Bad c."), ("Good a.\nGood b.\nBad c.", "Good e.")}
    assert all(c.sampling.temperature == 0 for c in marked)
    assert not run.asked("Let's think step by step")  # the teacher solves nothing here


def test_the_score_is_the_product_of_both_rewards(run: Cooked) -> None:
    for record in ranked(run):
        answers = record.answers("candidates")
        assert len(answers) == 4
        for answer in answers:
            assert answer.score == pytest.approx(record.fields["quality"] / 10 * SHARES[answer.text])
    assert {r.fields["quality"] for r in ranked(run, -1) + ranked(run, -2)} == {10.0, 6.0}


def test_where_no_solution_is_better_than_another_none_is_learnt(run: Cooked) -> None:
    asked = {call.user.partition("\n")[0] for call in run.student_calls if "bag" in call.user}
    assert asked and not asked & {r.fields["question"] for lap in (-2, -1) for r in ranked(run, lap)}
    dropped = [run.funnel("a best one", lap)["dropped"] for lap in (1, 2)]
    assert {reason for one in dropped for reason in one} == {"low 'spread'"}


def test_four_solutions_are_ranked_by_pro() -> None:
    train = recipes.load("wizardmath").stage[2].train
    assert train is not None and train.candidates == 4
    assert [(t.name, t.source, t.family) for t in read_terms(train)] == [("pro", "candidates", "candidates")]


def test_at_full_size_a_solution_has_room_for_its_answer() -> None:
    recipe = recipes.load("wizardmath", full=True)
    lengths = {s.title: s.max_new_tokens for stage in recipe.stage for s in stage.step}
    assert lengths["solutions"] == lengths["own solutions"] == recipe.stage[2].eval[0].max_new_tokens == 512
    assert recipe.data.max_tokens >= recipe.data.max_prompt_tokens + 512


def test_each_round_samples_other_problems_and_nothing_held_out(run: Cooked) -> None:
    first, second = ({r.key for r in ranked(run, lap)} for lap in (-2, -1))
    assert first != second
    held = {r.messages[0].content for r in run.laps[0]["seeds"] if r.split == "test"}
    assert not any(call.user.partition("\n")[0] in held for call in run.student_calls)
    tests = [r for r in run.laps[-1]["ranked"] if r.split == "test"]
    assert len(tests) == len(held) and all(r.answers("reference") for r in tests)
