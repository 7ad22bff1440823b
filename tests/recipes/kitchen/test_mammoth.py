"""MAmmoTH: solutions that are there stay, missing ones are written, programs must run, words are the second choice."""

import json
import re
from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message, Record
from tests.recipes.kitchen.cooking import Cooked, cooked

TRIGGER = "Let's write a program"


def numbers(question: str) -> list[int]:
    return [int(found) for found in re.findall(r"\d+", question)] + [1, 1]


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A teacher that adds the first two numbers, but its programs divide by zero or are off by one in two of three."""
    asked = prompt[-1].content
    first, second, *_ = numbers(asked.rsplit("Problem: ", 1)[-1])
    if "Write a Python function" in asked or TRIGGER in asked:
        slip = ["", " / 0", " + 1"][first % 3]
        return f"```python\ndef solution():\n    return {first} + {second}{slip}\n```"
    return f"Together {first} + {second} = {first + second}. The answer is {first + second if first != 5 else 0}."


def student(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """Programs for every second question that cannot be run, or are none; words about the others would be wrong."""
    asked = prompt[-1].content
    first, second, *_ = numbers(asked)
    if TRIGGER in asked:
        return f"total = {first} + {second}\nprint(total)" if first % 4 == 0 else "I would rather say it in words."
    return f"The answer is {first + second}." if first != 10 else "I do not know."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    """Sums, numbered from 1: up to 6 with a number alone as the answer, from 7 on with a solution; 8 to 10 held out."""
    folder: Path = tmp_path_factory.mktemp("mammoth")
    rows = []
    for i in range(1, 13):
        row = {"question": f"Tim owns {i} pens and gets {i + 20} more. How many now?", "answer": str(2 * i + 20)}
        if i > 6:
            row["answer"] = f"He had {i} and got {i + 20}, so he has {2 * i + 20}. #### {2 * i + 20}"
        rows.append(row | {"split": "test" if i in (8, 9, 10) else "train"})
    (folder / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return cooked("mammoth", script, folder, f"seeds={folder / 'sums.jsonl'}", student=student)


def place(record: Record) -> int:
    return numbers(record.messages[0].content)[0]


def test_words_are_written_where_there_are_none_and_kept_where_there_are(run: Cooked) -> None:
    asked = {numbers(call.user.rsplit("Problem: ", 1)[-1])[0] for call in run.asked("step by step")}
    assert asked == set(range(1, 7))
    assert run.funnel("right words")["dropped"] == {"wrong answer": 1}  # it is wrong about 5
    taught = [r for r in run.records if r.split == "train" and TRIGGER not in r.messages[0].content]
    words = {place(r): r.responses[0].text for r in taught}
    assert words.keys() == {1, 2, 3, 4, 6, 7, 11, 12}
    assert words[7].startswith("He had 7") and words[1].startswith("Together 1 + 21")


def test_programs_are_run_and_kept_when_the_result_is_right(run: Cooked) -> None:
    assert run.funnel("run the programs")["dropped"] == {"program: error": 3}  # 1, 4 and 7 divide by zero
    assert run.funnel("right programs")["dropped"] == {"wrong answer": 3}  # 2, 5 and 11 are off by one
    programs = [r for r in run.records if TRIGGER in r.messages[0].content]
    assert {place(r) for r in programs} == {3, 6, 12}
    assert all(r.responses[0].text.startswith("def solution()") for r in programs)


def test_a_trigger_sentence_is_all_that_tells_the_forms_apart(run: Cooked) -> None:
    views = [[r.messages[0].content for r in run.records if place(r) == i] for i in range(13)]
    words, program = sorted(views[3], key=len)
    assert program.startswith(words) and program.removeprefix(words).strip().startswith(TRIGGER)
    assert len(views[1]) == 1 and len(views[12]) == 2


def test_words_are_asked_for_only_where_the_program_fails(run: Cooked) -> None:
    assert {numbers(c.user)[0] for c in run.student_calls if TRIGGER in c.user} == {8, 9, 10}
    assert {numbers(c.user)[0] for c in run.student_calls if TRIGGER not in c.user} == {9, 10}
    assert all(c.sampling.temperature == 0 for c in run.student_calls)
    found = {numbers(r.fields["question"])[0]: r.fields["decoded"] for r in run.laps[1]["questions"]}
    assert found == {8: "36", 9: "38"}
    assert run.funnel("right by either")["dropped"] == {"no answer": 1}  # 10: neither form says anything


def test_the_same_problem_in_two_sets_is_taken_once(tmp_path: Path) -> None:
    row = {"question": "What is 3 plus 6 then?", "answer": "9", "split": "train"}
    (tmp_path / "one.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row | {"question": "What is 3 + 9?"}))
    (tmp_path / "two.jsonl").write_text(json.dumps(row))
    changes = [f"seeds={tmp_path / 'one.jsonl'}", f"data.sets.two={tmp_path / 'two.jsonl'}"]
    run = cooked("mammoth", script, tmp_path, *changes, 'stage.teach.step.0.input=["seeds", "two"]')
    assert run.funnel("each once")["dropped"] == {"duplicate": 1}
