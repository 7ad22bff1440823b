"""Orca: a mix of system messages for each collection, a cap for each task, an assistant first, then the teacher."""

import json
from collections import Counter
from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.recipes import load
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A teacher that says what it was told, and what it was asked."""
    told = {m.role: m.content for m in prompt}
    return f"Told {told.get('system', 'nothing')!r}, asked {told['user'][:30]!r}, I explain: because."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("orca")
    rows = [
        {"query": f"How much is {n} plus {n}?", "source": source, "task": "addition", "reference": str(2 * n)}
        | {"split": "test" if n % 10 == 9 else "train"}
        for source, ns in {"cot": range(340), "dialogue": range(340, 360)}.items()
        for n in ns
    ]
    rows += [{"query": "Who wrote this?", "source": "letters", "task": "author", "split": "train"}]
    rows += [{"prompt": "Name a fish.", "split": "train"}, {"prompt": "Name a bird.", "split": "test"}]
    seeds = folder / "seeds.jsonl"
    seeds.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return cooked("orca", script, folder, f"seeds={seeds}", "data.limit=none")


def test_a_task_gives_300_queries_and_no_more(run: Cooked) -> None:
    queries = run.laps[0]["queries"]
    assert Counter(r.fields["task"] for r in queries)["addition"] == 300  # of 360
    assert run.funnel("cap")["dropped"] == {"not drawn": 60}


def test_the_cap_of_full_size_counts_where_queries_name_no_task(tmp_path: Path) -> None:
    rows = [{"id": f"{source}.{n}", "question": f"{source} {n}?"} for source in ("t0", "flan") for n in range(5)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (cap,) = [step for stage in load("orca", full=True).stage for step in stage.step if step.title == "cap"]
    changes = (f"seeds={tmp_path / 'rows.jsonl'}", f"stage.assistant.step.cap.per={cap.settings['per']}")
    run = cooked("orca", script, tmp_path, *changes, "stage.assistant.step.cap.n=3")
    assert Counter(r.fields["source"] for r in run.laps[0]["queries"]) == {"t0": 3, "flan": 3}


def test_each_collection_has_its_own_mix_of_system_messages(run: Cooked) -> None:
    drawn: dict[str, Counter[str]] = {"cot": Counter(), "dialogue": Counter()}
    for record in run.laps[0]["queries"]:
        drawn.setdefault(record.fields["source"], Counter())[record.fields["system"]] += 1
    assert "" in drawn["cot"]  # the empty one is one of the sixteen
    steps = next(text for text in drawn["cot"] if "step by step" in text)
    assert drawn["cot"][steps] > drawn["cot"][""]
    assert any("library" in text for text in drawn["dialogue"]) and not any("library" in text for text in drawn["cot"])
    assert run.funnel("mix")["dropped"] == {"no rule for its source": 1}  # letters


def test_a_query_without_a_collection_is_taken_as_flan(run: Cooked) -> None:
    (fish,) = [r for r in run.laps[0]["queries"] if r.messages[-1].content == "Name a fish."]
    assert fish.fields["source"] == "flan"


def test_the_student_sees_the_system_message_and_learns_the_answer_alone(run: Cooked) -> None:
    trained = [r for r in run.laps[0]["records"] if r.split == "train"]
    for record in trained:
        system = record.messages[0].content if record.messages[0].role == "system" else ""
        (answer,) = record.responses
        assert f"Told {system or 'nothing'!r}" in answer.text
        assert (answer.source, answer.weight, answer.spans) == ("teacher", 1.0, ())
    assert {m.role for r in trained for m in r.messages} == {"system", "user"}


def test_the_teacher_answers_a_fifth_of_the_assistants_queries_in_the_same_words(run: Cooked) -> None:
    first, second = ({r.key for r in lap["records"] if r.split == "train"} for lap in run.laps)
    assert len(second) == round(len(first) / 5)
    assert second < first  # the same system message before the same query
    roles = [{r.lineage[0].role for r in lap["records"] if r.split == "train"} for lap in run.laps]
    assert roles == [{"assistant"}, {"teacher"}]


def test_held_out_are_the_data_s_own_answers_or_else_the_teacher_s(run: Cooked) -> None:
    for lap in run.laps:
        held = {r.messages[-1].content: r.responses[0] for r in lap["records"] if r.split == "test"}
        assert len(held) > 20  # not only a fifth of them
        assert all(answer.text.isdecimal() for query, answer in held.items() if query != "Name a bird.")
        assert "I explain" in held["Name a bird."].text
