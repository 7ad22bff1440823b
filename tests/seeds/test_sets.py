"""The sets that recipes name as `builtin:NAME` hold what the folder's README says, and their answers are right."""

import re
from collections import Counter
from importlib.resources import files
from itertools import combinations
from typing import Any

import pytest

from stillhouse.records.read import read_set
from tests.seeds.test_seeds import overlap, read, words

SETS: dict[str, tuple[int, str, str]] = {
    "math": (150, "question answer solution", "question"),
    "sums": (40, "question answer solution", "question"),
    "math_demos": (10, "question rationale answer program", "question"),
    "choice": (100, "question choices answer explanation", "question"),
    "choice_demos": (7, "question choices rationale answer", "question"),
    "logic": (40, "instruction input output kind", "input"),
    "nli": (60, "premise hypothesis label explanation", "hypothesis"),
    "code_tasks": (21, "instruction input output is_classification", "instruction"),
    "tasks_zh": (60, "instruction input output", "instruction"),
    "classification_demos": (24, "instruction is_classification", "instruction"),
    "instance_demos": (16, "instruction form text", "text"),
    "topics": (40, "topic subtopics", "topic"),
    "categories": (200, "topic subcategories pages", "topic"),
    "entities": (100, "entity kind", "entity"),
    "writing_types": (20, "writing_type about", "writing_type"),
    "controversies": (40, "topic", "topic"),
    "roles": (60, "role kind", "role"),
    "languages": (20, "language", "language"),
    "domains": (20, "domain", "domain"),
    "system_messages": (16, "id text for", "text"),
    "strategies": (8, "strategy text for", "text"),
    "principles": (12, "principle text", "text"),
    "personas": (40, "persona", "persona"),
    "chats": (40, "id conversations", "id"),
    "feedback": (40, "prompt chosen rejected source tie", "prompt"),
    "identity": (8, "question answer", "question"),
    "questions": (80, "question site", "question"),
    "community": (60, "prompt response source score cluster", "prompt"),
    "passages": (40, "title text", "text"),
    "reading": (60, "query source task reference", "query"),
}
"""Rows, fields in order, and the field in which no two rows may be alike."""

SHORT_KEYS = {"languages", "topics", "categories", "entities", "roles", "domains", "writing_types", "tasks_zh"}
"""Sets whose key is a few words, or not parted by spaces: equal or not is all that can be said."""


def rows(name: str) -> list[dict[str, Any]]:
    return read(f"{name}.jsonl")


def last_number(text: str) -> float:
    return float(re.findall(r"-?\d+(?:\.\d+)?", text.replace(",", ""))[-1])


def letters(row: dict[str, Any]) -> list[str]:
    return [choice[0] for choice in row["choices"]]


def test_every_file_has_its_test_and_its_line_in_the_readme():
    folder = files("stillhouse").joinpath("seeds")
    found = {path.name.removesuffix(".jsonl") for path in folder.iterdir() if path.name.endswith(".jsonl")}
    readme = folder.joinpath("README.md").read_text(encoding="utf-8")
    assert found == {"tasks", "text", *SETS}
    assert {name for name in found if f"`{name}.jsonl`" not in readme} == set()


@pytest.mark.parametrize("name", SETS)
def test_rows_have_their_fields_and_none_is_empty(name: str):
    count, fields, _ = SETS[name]
    may_be_empty = {("code_tasks", "input"), ("tasks_zh", "input"), ("system_messages", "text")}
    assert len(rows(name)) == count
    for row in rows(name):
        assert list(row) == fields.split()
        for field, value in row.items():
            assert value not in ("", []) or (name, field) in may_be_empty
            assert not isinstance(value, str) or value == value.strip() or field == "program"


@pytest.mark.parametrize("name", SETS)
def test_no_two_rows_are_nearly_the_same(name: str):
    key = SETS[name][2]
    texts = [row[key] for row in rows(name)]
    assert len({" ".join(text.lower().split()) for text in texts}) == len(texts)
    if name not in SHORT_KEYS:
        assert max(overlap(words(one), words(other)) for one, other in combinations(texts, 2)) < 0.5


@pytest.mark.parametrize("name", SETS)
def test_a_recipe_can_read_it(name: str):
    records = read_set(f"builtin:{name}")
    assert [record.fields for record in records] == rows(name)


def test_every_equation_of_a_solution_holds_and_the_last_gives_the_answer():
    for row in (*rows("math"), *rows("sums")):
        equations = re.findall(r"(\d[\d.]*(?: [-+*/] \d[\d.]*)+) = (\d+(?:\.\d+)?)", row["solution"])
        assert len(equations) == row["solution"].count(" = ") > 0
        for left, right in equations:
            assert eval(left) == pytest.approx(float(right))  # digits and + - * / alone, by the pattern above
        assert float(equations[-1][1]) == float(row["answer"])
        assert row["solution"].endswith(f" The answer is {row['answer']}.")


def test_half_of_the_problems_take_one_or_two_steps():
    assert sum(row["solution"].count(" = ") <= 2 for row in rows("math")) >= 75


def test_the_programs_of_the_maths_demonstrations_give_their_answers():
    for row in rows("math_demos"):
        scope: dict[str, Any] = {}
        exec(row["program"], scope)
        assert float(scope["solution"]()) == float(row["answer"]) == last_number(row["rationale"])
    asked = [words(row["question"]) for row in (*rows("math"), *rows("sums"))]
    assert max(overlap(words(row["question"]), other) for row in rows("math_demos") for other in asked) < 0.5


@pytest.mark.parametrize("name", ["choice", "choice_demos"])
def test_choices_are_lettered_different_and_one_of_them_is_the_answer(name: str):
    for row in rows(name):
        assert letters(row) == list("ABCDE")[: len(row["choices"])]
        assert len(row["choices"]) in (4, 5) and all(choice[1:3] == ") " for choice in row["choices"])
        assert len({choice[3:].lower() for choice in row["choices"]}) == len(row["choices"])
        assert row["answer"] in letters(row)


def test_no_letter_is_right_much_more_often_than_another():
    assert all(18 <= n <= 32 for n in Counter(row["answer"] for row in rows("choice")).values())
    assert all(row["rationale"].endswith(f"The answer is {row['answer']}.") for row in rows("choice_demos"))


@pytest.mark.parametrize(
    ("name", "field", "labels"),
    [
        ("nli", "label", "entailment neutral contradiction"),
        ("logic", "kind", "language-to-logic one-step chain strengthen weaken reading"),
        ("classification_demos", "is_classification", "Yes No"),
        ("instance_demos", "form", "input_first output_first"),
        ("roles", "kind", "assistant user"),
        ("questions", "site", "quora stackoverflow medical"),
        ("feedback", "source", "hh summary webgpt"),
        ("reading", "source", "cot niv2 t0 flan dialogue"),
        ("community", "source", "stackexchange wikihow authored"),
    ],
)
def test_labels_are_those_of_the_readme_and_no_kind_is_rare(name: str, field: str, labels: str):
    counts = Counter(row[field] for row in rows(name))
    assert set(counts) == set(labels.split())
    assert min(counts.values()) * 3 * len(counts) >= len(rows(name))


def test_label_first_demonstrations_name_different_labels_and_the_others_an_output():
    for row in rows("instance_demos"):
        labels = re.findall(r"^Class label: (.+)$", row["text"], re.M)
        if row["form"] == "output_first":
            assert len(labels) == len(set(labels)) >= 2 and row["text"].startswith("Class label: ")
        else:
            assert not labels and re.search(r"^Output: \S", row["text"], re.M)


def test_topics_have_five_subtopics_and_no_subtopic_occurs_twice():
    subtopics = [subtopic for row in rows("topics") for subtopic in row["subtopics"]]
    assert len(subtopics) == len(set(subtopics)) == 5 * len(rows("topics"))


def test_lamini_filters_keep_most_categories_but_each_drops_some():
    def drops(topic: str, subcategories: int, pages: int) -> list[bool]:
        return [len(topic.split()) >= 3, subcategories <= 10, pages <= 50]

    dropped = [drops(**row) for row in rows("categories")]
    assert 150 <= sum(not any(drop) for drop in dropped) <= 180
    assert all(any(rule) for rule in zip(*dropped, strict=True))


def test_system_messages_fit_tasks_that_there_are():
    kinds = {row["source"] for row in rows("reading")}
    assert rows("system_messages")[0]["text"] == ""
    assert {kind for row in rows("system_messages") for kind in row["for"]} == kinds


def test_chats_alternate_and_leave_cleaning_something_to_do():
    chats = [row["conversations"] for row in rows("chats")]
    for turns in chats:
        assert [turn["from"] for turn in turns] == ["human", "gpt"] * (len(turns) // 2)
        assert all(list(turn) == ["from", "value"] and turn["value"].strip() for turn in turns)
    texts = ["\n".join(turn["value"] for turn in turns) for turns in chats]
    assert sum(bool(re.search(r"<\w+>|Copy code", text)) for text in texts) >= 5
    assert sum(bool(re.search(r"ChatGPT|OpenAI", text)) for text in texts) == 3
    assert len(texts) - len(set(texts)) == 2
    assert sum(len(text.split()) > 600 for text in texts) == 2


def test_the_rejected_answer_differs_and_some_pairs_are_ties():
    assert all(row["chosen"] != row["rejected"] for row in rows("feedback"))
    assert 3 <= sum(row["tie"] for row in rows("feedback")) <= 6


def test_the_rules_of_lima_keep_some_answers_and_drop_others_each_for_its_own_reason():
    kept = [r for r in rows("community") if 1200 <= len(r["response"]) <= 4096 and r["score"] >= 10]
    assert len(kept) >= 15 and len({row["cluster"] for row in kept}) >= 8
    assert sum(len(row["response"]) > 4096 for row in rows("community")) == 2
    assert sum(len(row["response"]) < 1200 for row in rows("community")) >= 20
    assert sum(row["score"] < 10 for row in rows("community")) >= 10


def test_passages_are_not_the_plain_texts():
    plain = [words(row["text"]) for row in rows("text")]
    assert max(overlap(words(row["text"]), other) for row in rows("passages") for other in plain) < 0.4
    assert all(60 <= len(row["text"].split()) <= 140 for row in rows("passages"))


def test_chinese_tasks_are_chinese_and_the_english_ones_are_not():
    assert all(re.search(r"[\u4e00-\u9fff]", row["instruction"]) for row in rows("tasks_zh"))
    assert not any(re.search(r"[\u4e00-\u9fff]", row["instruction"]) for row in rows("code_tasks"))


def test_the_assistant_names_no_vendor_when_asked_about_itself():
    vendors = re.compile("openai|chatgpt|google|anthropic|meta|mistral")
    assert not any(vendors.search(row["answer"].lower()) for row in rows("identity"))
