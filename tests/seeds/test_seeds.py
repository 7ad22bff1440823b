"""The texts that Stillhouse ships keep their promises: counts, fields, lengths, and no task twice."""

import json
import re
from collections import Counter
from importlib.resources import files
from itertools import combinations
from typing import Any

SEEDS = files("stillhouse").joinpath("seeds")


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in SEEDS.joinpath(name).read_text(encoding="utf-8").splitlines()]


TASKS = read("tasks.jsonl")
TEXTS = read("text.jsonl")


def length(text: str) -> int:
    return len(text.split())


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))


def overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared words over all words of both texts, in [0, 1]."""
    return len(one & other) / len(one | other)


def test_every_task_has_the_same_fields():
    for task in TASKS:
        assert list(task) == ["id", "category", "instruction", "input", "output", "split", "is_classification"]
        assert all(isinstance(value, str) and value == value.strip() for value in list(task.values())[:-1])
        assert task["category"] and task["instruction"] and task["output"]


def test_ids_run_from_1_to_200():
    assert [task["id"] for task in TASKS] == [f"task-{number:03d}" for number in range(1, 201)]


def test_the_test_split_takes_two_of_ten_tasks_of_every_category():
    by_split = Counter((task["category"], task["split"]) for task in TASKS)
    categories = {task["category"] for task in TASKS}
    assert len(categories) == 20
    assert by_split == Counter({(c, s): n for c in categories for s, n in (("train", 8), ("test", 2))})


def test_classification_tasks_are_marked():
    marked = [task for task in TASKS if task["is_classification"]]
    assert all(isinstance(task["is_classification"], bool) for task in TASKS)
    assert {task["category"] for task in marked} == {"classification", "closed_qa"}
    assert len(marked) == 11


def test_about_a_third_of_the_tasks_have_an_input():
    assert 0.33 <= sum(bool(task["input"]) for task in TASKS) / len(TASKS) <= 0.38


def test_answers_are_short_middling_and_long_in_the_planned_shares():
    lengths = [length(task["output"]) for task in TASKS]
    assert sum(n <= 30 for n in lengths) == 80
    assert sum(30 < n <= 70 for n in lengths) == 70
    assert sum(70 < n <= 150 for n in lengths) == 50


def test_no_two_instructions_are_nearly_the_same():
    instructions = [words(task["instruction"]) for task in TASKS]
    assert len({task["instruction"] for task in TASKS}) == len(TASKS)
    assert max(overlap(one, other) for one, other in combinations(instructions, 2)) < 0.5


def test_no_test_task_resembles_a_train_task():
    prompts: dict[str, list[frozenset[str]]] = {"train": [], "test": []}
    for task in TASKS:
        prompts[task["split"]].append(words(task["instruction"] + " " + task["input"]))
    assert max(overlap(one, other) for one in prompts["test"] for other in prompts["train"]) < 0.4


def test_no_two_answers_are_nearly_the_same():
    answers = [words(task["output"]) for task in TASKS if length(task["output"]) > 10]
    assert max(overlap(one, other) for one, other in combinations(answers, 2)) < 0.5


def test_the_plain_texts_are_different_passages():
    assert len(TEXTS) == 330
    for row in TEXTS:
        assert list(row) == ["text"]
        assert 80 <= length(row["text"]) <= 180
    paragraphs = [words(row["text"]) for row in TEXTS]
    assert max(overlap(one, other) for one, other in combinations(paragraphs, 2)) < 0.5
