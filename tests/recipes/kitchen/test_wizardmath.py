"""WizardMath: problems evolve up and down for 8 turns; rewards of problem and steps are multiplied, and rank solutions."""

import itertools
import re
from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message, Record
from tests.recipes.kitchen.cooking import Cooked, cooked

CHAINS = itertools.cycle(["Good step.\nGood end.", "Good step.\nBad end.", "Bad step.\nBad end.", "Good.\nGood.\nBad.\nGood."])
ASPECTS = ("definition", "precision", "integrity")
NUMBERS = itertools.count(100)


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """Harder problems get a cat, easier ones are short; every fifth rewriting fails. A problem with a cat is perfect."""
    asked = prompt[-1].content
    if "Solve the problem step by step" in asked:
        return "Step 1: count.\nThe answer is 43." if "apples" in asked else "The answer is nothing that I know."
    if "Write the new problem and nothing else" in asked:
        number, question = next(NUMBERS), asked.rsplit("\n\n", 1)[-1]
        if number % 5 == 0:
            return ["Here is the rewritten problem, with 3 hens and 4 geese.", "How many are there, after all of them came?"][number % 2]
        easier = "easier" in asked.partition("\n")[0]
        return f"A bag has {number} coins and 2 are lost. How many?" if easier else f"{question} There are {number} cats too."
    if "Give it a score" in asked:
        aspect = re.search("by its ([a-z]+):", asked)
        assert aspect and aspect[1] in ASPECTS
        return "Score: 10" if "cats" in asked else f"Score: {[9, 5, 4][ASPECTS.index(aspect[1])]}"
    if "Is this next step correct" in asked:
        return "No" if "Bad" in asked.rsplit("Next step:", 1)[-1] else "Yes"
    return next(CHAINS)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("wizardmath")
    return cooked("wizardmath", script, folder, "data.limit=150")


def ranked(run: Cooked, lap: int = -1) -> list[Record]:
    return [r for r in run.laps[lap]["ranked"] if r.split == "train"]


def test_right_solutions_come_first_with_some_chat(run: Cooked) -> None:
    train = [r for r in run.laps[0]["records"] if r.split == "train"]
    solved = [r for r in train if "step by step" in r.messages[0].content]
    chat = [r for r in train if r not in solved]
    assert solved and all(r.fields["gold"] == "43" for r in solved)
    assert all(r.responses[0].text == "Step 1: count.\nThe answer is 43." for r in solved)
    assert len(chat) == 4 and not {r.key for r in chat} & {r.key for r in run.laps[0]["seeds"] if r.split == "test"}


def test_eight_turns_go_up_and_down_from_what_came_before(run: Cooked) -> None:
    problems = run.laps[8]["problems"]
    made = [r for r in problems if "operation" in r.fields]
    assert [len(lap["problems"]) for lap in run.laps[:9]] == sorted({len(lap["problems"]) for lap in run.laps[:9]})
    directions = {r.fields["operation"].partition(":")[0] for r in made}
    assert directions == {"up", "down"} and {o.round for r in made for o in r.lineage if o.step == "up or down"} == {*range(1, 9)}
    assert max(r.fields["generation"] for r in made) >= 2
    known = {r.fields["question"] for r in problems}
    assert all(r.fields["parent"] in known for r in made)
    assert all("easier" in c.user.partition("\n")[0] or "harder" in c.user or "cats" not in c.user for c in run.asked("nothing else")[:4])


def test_what_is_no_problem_any_more_does_not_go_on(run: Cooked) -> None:
    dropped = [run.funnel("still problems", turn)["dropped"] for turn in range(1, 9)]
    reasons = {reason for one in dropped for reason in one}
    assert reasons == {"blacklisted words", "no match"} or reasons == {"blacklisted words"} or reasons == {"no match"}
    assert not any("rewritten" in r.fields["question"] for r in run.laps[8]["problems"])


def test_every_problem_is_judged_once_on_each_of_three_aspects(run: Cooked) -> None:
    problems = run.laps[-1]["problems"]
    assert len(run.asked("Give it a score")) == 3 * len(problems)  # also in two rounds
    for record in problems:
        assert record.fields["quality"] == (10.0 if "cats" in record.fields["question"] else 6.0)


def test_the_judge_marks_the_students_steps_one_after_the_other(run: Cooked) -> None:
    marked = run.asked("Is this next step correct")
    assert {c.user.rsplit("Next step: ", 1)[-1].partition("\n")[0] for c in marked} == {"Good step.", "Good end.", "Bad end.", "Bad step.", "Good.", "Bad."}
    for call in marked:
        assert ("Steps so far:" in call.user) == any(word in call.user for word in ("end.", "Good.\n\nNext", "Bad.\n\nNext"))
    assert all(c.sampling.temperature == 0 for c in marked)
    assert not run.asked("Let's think step by step")  # the teacher solves nothing here


def test_the_score_is_the_product_of_both_rewards(run: Cooked) -> None:
    shares = {"Good step.\nGood end.": 1.0, "Good step.\nBad end.": 0.5, "Bad step.\nBad end.": 0.0, "Good.\nGood.\nBad.\nGood.": 0.75}
    for record in ranked(run):
        answers = record.answers("candidates")
        assert len(answers) == 4
        for answer in answers:
            assert answer.score == pytest.approx(record.fields["quality"] / 10 * shares[answer.text])
    assert {r.fields["quality"] for r in ranked(run, -1) + ranked(run, -2)} == {10.0, 6.0}


def test_each_round_samples_other_problems_and_nothing_held_out(run: Cooked) -> None:
    first, second = ({r.key for r in ranked(run, lap)} for lap in (-2, -1))
    assert first != second
    held = {r.messages[0].content for r in run.laps[0]["seeds"] if r.split == "test"}
    assert not any(call.user.partition("\n")[0] in held for call in run.student_calls)
    tests = [r for r in run.laps[-1]["ranked"] if r.split == "test"]
    assert len(tests) == len(held) and all(r.answers("reference") for r in tests)
