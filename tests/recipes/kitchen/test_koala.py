"""Koala: no chat that names the vendor, good and bad items under different markers, no ties, identity five times."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message, Record
from tests.recipes.kitchen.cooking import Cooked, cooked

GOOD, BAD = "Give a helpful answer.", "Give an unhelpful answer."


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    raise AssertionError("nobody is asked: all answers are in the logs")


def talk(name: str, *turns: str) -> dict[str, Any]:
    said = [{"from": ("human", "gpt")[i % 2], "value": words} for i, words in enumerate(turns)]
    return {"id": name, "conversations": said}


EGG = ("How do you boil an egg?", "Boil it.", "And a duck's egg?", "A little longer than that.")
VENDOR = ("OpenAI", "chatgpt", "GPT-3", "ChadGPT", "gpt3", "Chat-GPT", "open-ai", "Open AI")
LOGS = [
    talk("good", *EGG),
    talk("button", "How do I print in Python?", "As the example shows:\npython\nCopy code\nprint(1)"),
    talk("asked-before", *EGG[:3], "Another answer to the same questions."),
    talk("follow-up-only", EGG[0], "It is another talk.", "And the egg of an ostrich?", "That takes an hour."),
    talk("french", "Je voudrais une recette, comment faire ?", "Faites bouillir."),
    *(
        talk(f"vendor-{n}", "Who are you?", "I am a program.", "Whose?", f"I am by {name}.")
        for n, name in enumerate(VENDOR)
    ),
]
TURNS = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Why?\n\nAssistant:"
FEEDBACK = [
    {"prompt": "Web question?", "chosen": "web+", "rejected": "web-", "source": "webgpt", "tie": False},
    {"prompt": "Web tie?", "chosen": "tie+", "rejected": "tie-", "source": "webgpt", "tie": True},
    {"prompt": "Help me.", "chosen": "hh+", "rejected": "hh-", "source": "hh", "tie": False},
    {"prompt": TURNS, "chosen": "Because.", "rejected": "Guess!", "source": "hh", "tie": False},
]


@pytest.fixture(scope="module")
def changes(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder: Path = tmp_path_factory.mktemp("data")
    for name, rows in {"chats": LOGS, "feedback": FEEDBACK}.items():
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tuple(f"data.sets.{name}={folder / name}.jsonl" for name in ("chats", "feedback"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, changes: tuple[str, ...]) -> Cooked:
    return cooked("koala", script, tmp_path_factory.mktemp("koala"), *changes, "data.held_out=0.0")


def answers(run: Cooked) -> dict[str, str]:
    """The marker under which each answer is learnt."""
    return {r.responses[0].text: r.messages[0].content for r in run.records if r.messages[0].role == "system"}


def by_key(run: Cooked) -> dict[str, Record]:
    return {r.fields["id"]: r for r in run.records if "id" in r.fields}


def test_a_chat_that_names_the_vendor_anywhere_goes_as_a_whole(run: Cooked) -> None:
    assert run.funnel("neither vendor nor product")["dropped"] == {"forbidden pattern": len(VENDOR)}
    assert {"good", "button", "follow-up-only"} == {name for name in by_key(run) if not name.startswith("task-")}


def test_what_people_asked_tells_chats_apart_not_what_was_answered(run: Cooked) -> None:
    assert run.funnel("not asked before")["dropped"] == {"too similar": 1}
    assert run.funnel("in English")["dropped"] == {"pattern not found": 1}


def test_chats_are_learnt_in_all_their_answers_under_the_good_marker(run: Cooked) -> None:
    record = by_key(run)["good"]
    assert record.learn == "all" and record.messages[0] == Message("system", GOOD)
    assert record.responses[0].text == EGG[-1]


def test_what_the_page_left_in_a_text_is_taken_away(run: Cooked) -> None:
    assert by_key(run)["button"].responses[0].text == "As the example shows:\npython\nprint(1)"


def test_a_dialogue_in_one_text_is_learnt_turn_by_turn(run: Cooked) -> None:
    talks = [r for r in run.records if r.messages[1:] == (
        Message("user", "Hi"), Message("assistant", "Hello."), Message("user", "Why?"),
    )]  # fmt: skip
    assert {r.responses[0].text: r.messages[0].content for r in talks} == {"Because.": GOOD, "Guess!": BAD}
    assert all(r.learn == "all" and r.fields == {"quality": r.fields["quality"], "source": "hh"} for r in talks)
    assert not any("Human:" in m.content for r in run.records for m in r.messages)


def test_feedback_becomes_a_good_and_a_bad_item_and_ties_are_skipped(run: Cooked) -> None:
    found = answers(run)
    assert [found[a] for a in ("web+", "hh+")] == [GOOD, GOOD]
    assert [found[a] for a in ("web-", "hh-")] == [BAD, BAD]
    assert not {"tie+", "tie-"} & found.keys()


def test_answers_about_itself_come_five_times(run: Cooked) -> None:
    counts = Counter(r.messages[-1].content for r in run.records)
    assert counts["Who are you?"] == counts["Can you make mistakes?"] == 5
    assert counts["Help me."] == 2


def test_the_variant_without_bad_items(changes: tuple[str, ...], tmp_path: Path) -> None:
    run = cooked("koala", script, tmp_path, *changes, "data.held_out=0.0", "step.bad-items.share=0")
    assert set(answers(run).values()) == {GOOD}
    assert {"web+", "hh+"} <= answers(run).keys()


def test_nothing_is_measured_by_a_bad_answer_or_learnt_from_held_out(tmp_path: Path) -> None:
    run = cooked("koala", script, tmp_path, "data.held_out=0.5")
    held_out = [r for r in run.records if r.split == "test"]
    assert held_out and {r.messages[0].content for r in held_out} == {GOOD}
    asked = {r.messages[-1].content for r in held_out}
    learnt = {r.messages[-1].content for r in run.records if r.split == "train"}
    assert not asked & learnt
    counts = Counter(r.messages[-1].content for r in held_out)
    assert set(counts.values()) == {1}  # also those about itself
