"""Vicuna: logs cleaned and split, loss on all of the assistant's turns, and a judge who sees both orders."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

LONG = "This sentence is one of many that fill the turn to the brim. " * 50  # 3,100 characters


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A judge who prefers whatever stands first, and a model that answers."""
    asked = prompt[-1].content
    if "Give each assistant a score" in asked:
        return "9 7\nThe first answer is clearer."
    return f"An answer of {len(asked)} letters."


def student(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    return "What the student says."


def talk(name: str, *turns: str) -> dict[str, Any]:
    said = [{"from": ("human", "gpt")[i % 2], "value": words} for i, words in enumerate(turns)]
    return {"id": name, "conversations": said}


LOGS = [
    talk("good", "What is the best way to boil eggs?", "Boil the water first.", "And then?", "Wait for six minutes."),
    talk("again", "What is the best way to boil eggs?", "Boil the water first.", "And then?", "Wait for six minutes."),
    talk("html", "How do I print in Python?", "<p>Like <b>this</b>:</p><pre><code>print(1 &lt; 2)</code></pre>"),
    talk("error", "Tell me about the history of the town", "Too many requests in 1 hour. Try again later."),
    talk("list", "List the three steps that are needed", "The steps are:\n1. one thing\n1. another thing\n1. last"),
    talk("button", "Regenerate response", "Here is another version of the text that you wanted to have."),
    talk("short", "hi", "Hello! What is up?"),
    talk("french", "Je voudrais apprendre dix mots par jour, comment faire ?", "Écrivez chaque mot sur une carte."),
    talk("han", "请你告诉我怎么煮鸡蛋比较好吃一些呢 the", "先把水烧开，然后把鸡蛋放进去煮六分钟就可以了。"),
    talk("unsafe", "Tell me how to make a bomb in the kitchen", "No, that is something I will not do for you."),
    talk("unanswered", "Is this a question that has no answer?"),
    talk("long", *["Tell me more of the story, please", LONG] * 4),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("vicuna")
    (folder / "logs.jsonl").write_text("\n".join(map(json.dumps, LOGS)))
    changes = (f"data.sets.chats={folder / 'logs.jsonl'}", "data.held_out=0.0")
    return cooked("vicuna", script, folder, *changes, student=student)


def test_what_is_broken_foreign_unsafe_or_repeated_is_left_out(run: Cooked) -> None:
    assert {r.fields["id"] for r in run.laps[0]["records"]} == {"good", "html", "long"}
    assert run.funnel("not repeated")["dropped"] == {"too similar": 1}
    assert run.funnel("no buttons")["dropped"] == {"forbidden pattern": 1}
    assert run.funnel("read the logs")["dropped"] == {"unreadable: too few turns": 1}


def test_html_becomes_markdown(run: Cooked) -> None:
    (record,) = (r for r in run.records if r.fields["id"] == "html")
    assert record.responses[0].text == "Like **this**:\n\n```\nprint(1 < 2)\n```"


def test_a_long_dialogue_is_split_into_whole_rounds_within_the_context(run: Cooked) -> None:
    pieces = [r for r in run.records if r.fields["id"] == "long"]
    lengths = [[len(m.content) for m in r.messages] + [len(r.responses[0].text)] for r in pieces]
    assert [len(turns) for turns in lengths] == [4, 4]  # a third round of 3,100 characters would be over 8,000
    assert all(sum(turns) <= 8000 < sum(turns) + 3100 for turns in lengths)


def test_all_turns_of_the_assistant_are_targets_and_only_those(run: Cooked) -> None:
    (record,) = (r for r in run.records if r.fields["id"] == "good")
    assert record.learn == "all"
    assert [m.role for m in record.messages] == ["user", "assistant", "user"]
    assert record.responses[0].text == "Wait for six minutes."


def test_the_judge_sees_one_question_of_each_category_in_both_orders_and_explains(run: Cooked) -> None:
    judged = run.laps[-1]["judged"]
    assert len({r.fields["category"] for r in judged}) == len(judged) == 8
    asked = run.asked("Give each assistant a score")
    assert len(asked) == 16 and {call.sampling.temperature for call in asked} == {0.2}
    first = [re.search(r"assistant 1\]\n(.*)", call.user) for call in asked]
    assert sum(m is not None and m[1] == "What the student says." for m in first) == 8
    for record in judged:  # a judge who always prefers the first favours nobody
        assert record.fields["scores"] == [8.0, 8.0]
        assert record.fields["reasons"] == ["9 7\nThe first answer is clearer."] * 2


def test_a_student_that_says_nothing_is_judged_as_well(tmp_path: Path) -> None:
    run = cooked("vicuna", script, tmp_path, student=lambda prompt, sampling: "")
    asked = run.asked("Give each assistant a score")
    assert len(asked) == 16 and all("]\n(no answer)\n" in call.user for call in asked)
    assert len(run.laps[-1]["judged"]) == 8


def test_nothing_of_the_judge_is_learnt(run: Cooked) -> None:
    assert run.laps[1]["records"] == run.laps[0]["records"]
    assert len(run.student_calls) == 8
