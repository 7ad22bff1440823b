"""Mixed Distill: words and programs checked each in its own way, a prefix for each form, a vote over both."""

import itertools
import json
import re
from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

RIGHT_WORDS, WRONG_WORDS = "Add them: {a} + {b} = {s}. The answer is {s}.", "Surely more. The answer is 7."
PROGRAM = "```python\ndef solution():\n    return {a} + {b}\n```"
BROKEN, OFF = "```python\ndef solution():\n    return {a} +\n```", "```python\ndef solution():\n    return 7\n```"
TURNS = itertools.count(1)


def numbers(asked: str) -> list[int]:
    """The numbers of the question, the last problem of a prompt."""
    question = asked.rsplit("Problem: ", 1)[-1]
    return [int(found) for found in re.findall(r"\d+", question)] + [1, 1]


def said(template: str, asked: str) -> str:
    a, b, *_ = numbers(asked)
    return template.replace("{a}", str(a)).replace("{b}", str(b)).replace("{s}", str(a + b))


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """Adds the first two numbers; of sums it knows, it gets some wrong in words, others in programs."""
    asked = prompt[-1].content
    first, *_ = numbers(asked)
    if "Write a Python function" in asked or asked.startswith("[program]"):
        return said([PROGRAM, BROKEN, OFF][first % 3], asked)
    return said(WRONG_WORDS if first % 4 == 3 else RIGHT_WORDS, asked)


def student(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """Held-out sums: no program of 8 runs, the words on 16 are never twice the same, and on 32 there is no answer."""
    asked = prompt[-1].content
    first, *_ = numbers(asked)
    if first == 32:
        return "```\nprint(no such thing)\n```" if asked.startswith("[program]") else "That is hard to say."
    if asked.startswith("[program]"):
        return said(PROGRAM if first > 8 else "```\nprint(no such thing)\n```", asked)
    return f"The answer is {next(TURNS)}." if first == 16 else said(RIGHT_WORDS, asked)


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Sums of two numbers, the first being their place; every eighth is held out."""
    rows = [
        {"question": f"A box has {i} red and {10 * i} blue balls. How many are there?", "answer": str(11 * i)}
        | {"solution": f"{i} + {10 * i} = {11 * i}. The answer is {11 * i}.", "split": "train" if i % 8 else "test"}
        for i in (*range(1, 25), 32)
    ]
    path: Path = tmp_path_factory.mktemp("sums") / "sums.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


@pytest.fixture(scope="module")
def run(sums: str, tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("mixed-distill")
    weights = [f"step.two forms.layouts.{i}.weight={weight}" for i, weight in enumerate((0.7, 0.3))]
    return cooked("mixed-distill", script, folder, f"seeds={sums}", *weights, student=student)


def firsts(run: Cooked, name: str, lap: int = 0) -> set[int]:
    return {numbers(str(r.fields["question"]))[0] for r in run.laps[lap][name]}


def test_each_form_is_kept_where_its_own_answer_is_right(run: Cooked) -> None:
    asked = {i for i in range(1, 25) if i % 8}
    assert firsts(run, "words") == {i for i in asked if i % 4 != 3}
    assert firsts(run, "programs") == {i for i in asked if i % 3 == 0}
    assert run.funnel("run the programs")["dropped"] == {"program: error": sum(i % 3 == 1 for i in asked)}
    assert run.funnel("right programs")["dropped"] == {"wrong answer": sum(i % 3 == 2 for i in asked)}


def test_what_a_program_gives_comes_from_running_it(run: Cooked) -> None:
    for record in run.laps[0]["programs"]:
        assert record.fields["result"] == record.fields["gold"]
        assert record.fields["gold"] not in record.fields["program"]


def test_the_teacher_sees_demonstrations_of_the_form_that_it_is_asked_for(run: Cooked) -> None:
    words, programs = run.asked("Solve the problem step by step"), run.asked("Write a Python function")
    assert len(words) == len(programs) == 21  # nothing held out
    assert all(call.user.count("Problem: ") == 5 and "def solution" not in call.user for call in words)
    assert all(call.user.count("def solution") == 4 and "The answer is" not in call.user for call in programs)


def test_the_student_is_told_the_form_and_sees_no_demonstration(run: Cooked) -> None:
    taught = [r for r in run.records if r.split == "train"]
    for record in taught:
        (message,), (answer,) = record.messages, record.responses
        is_program = "def solution" in answer.text
        assert message.content.startswith("[program]" if is_program else "[words]")
        assert answer.weight == (0.3 if is_program else 0.7)
        assert message.content.count("How many") == 1 and "```" not in answer.text
        assert answer.finish == "stop"
    both = [r.messages[0].content.partition("] ")[2] for r in taught]
    assert any(both.count(question) == 2 for question in both)  # a question may be learnt in both forms


def test_held_out_questions_have_their_gold_answers_whatever_the_teacher_knows(run: Cooked) -> None:
    held = [r for r in run.records if r.split == "test"]
    assert {r.answers("reference")[0].text[-4:] for r in held} == {" 88.", "176.", "264.", "352."}
    assert all(r.messages[0].content.startswith("[words]") and not r.answers("teacher") for r in held)


def test_the_vote_is_over_the_paths_of_both_forms(run: Cooked) -> None:
    assert len(run.student_calls) == 4 * 2 * 3
    assert not any("The answer is" in call.user or "Solve" in call.user for call in run.student_calls)
    won = {r.fields["gold"]: r.fields["votes"] for r in run.laps[1]["voted"]}
    assert won.keys() == {"88", "176", "264"}
    assert won["88"] == {"count": 3, "share": 1.0, "won": True}  # no program ran
    assert won["176"] == {"count": 3, "share": 0.5, "won": True}  # three words disagree, three programs agree
    assert won["264"] == {"count": 6, "share": 1.0, "won": True}


def test_a_question_that_no_path_answers_counts_as_wrong(run: Cooked) -> None:
    verdict = run.funnel("right by vote")
    assert (verdict["took"], verdict["kept"], verdict["dropped"]) == (4, 3, {"no answer": 1})
