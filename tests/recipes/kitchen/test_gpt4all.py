"""GPT4All: one answer a prompt; refusals and broken answers go, and whole sources whose answers hardly differ."""

import json
from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

WORDS = [f"word{n}" for n in range(18)]


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """Different answers to forum questions, the same few to the benchmark's, and now and then none."""
    asked = prompt[-1].content
    seed = sum(map(ord, asked))
    if asked.startswith("Question of the benchmark"):
        return f"The answer is number {seed % 2}."
    if "greet" in asked:
        return "Hello there!"
    if "refuse" in asked:
        return "I'm sorry, but as an AI I have no opinion about that."
    if "broken" in asked:
        return "Human: and what do you think?"
    if "echo" in asked:
        return asked
    return " ".join(f"{asked[:4]}{seed}{word}" for word in WORDS) + "."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("gpt4all")
    forum = [{"question": f"{word} in question {n}?", "site": "forum"} for n, word in enumerate(WORDS)]
    forum += [{"question": f"Please {word} this.", "site": "odd"} for word in ("refuse", "be broken with", "echo")]
    benchmark = [{"query": f"Question of the benchmark {n}", "source": "p3"} for n in range(8)]
    write(folder / "forum.jsonl", forum)
    write(folder / "benchmark.jsonl", benchmark)
    changes = (f"seeds={folder / 'forum.jsonl'}", f"data.sets.benchmark={folder / 'benchmark.jsonl'}")
    return cooked("gpt4all", script, folder, *changes, "data.held_out=0.0")


def write(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("\n".join(map(json.dumps, rows)))


def test_every_prompt_is_asked_once_and_as_it_is(run: Cooked) -> None:
    asked = [call.user for call in run.calls]
    assert len(asked) == len(set(asked)) == len(WORDS) + 3 + 8
    assert not any(call.system for call in run.calls)


def test_refusals_echoes_and_role_marks_are_dropped(run: Cooked) -> None:
    dropped = run.funnel("neither refused nor malformed")["dropped"]
    assert dropped == {"refusal": 1, "forbidden pattern": 1, "same as 'prompt'": 1}


def test_a_source_whose_answers_hardly_differ_is_removed_as_a_whole(run: Cooked) -> None:
    assert run.funnel("near copies")["dropped"] == {"too similar": 6}  # eight answers of two kinds
    assert run.funnel("outside low regions")["dropped"] == {"too similar": 8}  # the two that were no copies as well
    assert {r.fields["source"] for r in run.records} == {"forum"}


def test_a_few_copies_do_not_condemn_a_source(tmp_path: Path) -> None:
    asked = [*WORDS, *(f"Please greet {name}" for name in ("Ann", "Ben", "Cas", "Dan", "Eve"))]
    write(tmp_path / "forum.jsonl", [{"question": f"{word}?", "site": "forum"} for word in asked])
    write(tmp_path / "few.jsonl", [{"query": f"Question of the benchmark {n}", "source": "p3"} for n in range(5)])
    changes = (f"seeds={tmp_path / 'forum.jsonl'}", f"data.sets.benchmark={tmp_path / 'few.jsonl'}")
    run = cooked("gpt4all", script, tmp_path, *changes, "data.held_out=0.0")
    assert run.funnel("near copies")["dropped"] == {"too similar": 3 + 4}
    assert sum(r.fields["source"] == "p3" for r in run.records) == 5  # and its copies stay
    assert sum(r.fields["source"] == "forum" for r in run.records) == len(asked)


def test_the_student_sees_the_prompt_alone(run: Cooked) -> None:
    for record in run.records:
        assert [m.role for m in record.messages] == ["user"]
        assert record.responses[0].text == script(record.messages, Sampling())
