"""Orca 2: strategies tried by teacher and small model, the best one told to the teacher and kept from the student."""

import json
import math
import re
from collections import Counter
from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.endpoints.base import Sampling
from stillhouse.records.read import read_set
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

BEGINNING = {str(r.fields["strategy"]): str(r.fields["text"])[:40] for r in read_set("builtin:strategies")}
STEPS = BEGINNING["step-by-step"]
KINDS = {str(r.fields["query"]): str(r.fields["task"]) for r in read_set("builtin:reading")}


def favourite(kind: str) -> str:
    """The strategy that serves both models best for a kind of task: another one from kind to kind."""
    return sorted(BEGINNING)[sum(map(ord, kind)) % len(BEGINNING)]


def kind_of(question: str) -> str:
    """Of a task by itself, or as the last one of a prompt with examples."""
    return next((kind for query, kind in KINDS.items() if question.removesuffix("\nAnswer:").endswith(query)), "maths")


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A teacher that says how it was told to answer, and a judge who likes one strategy, and steps by the teacher."""
    said = {m.role: m.content for m in prompt}
    asked, told = said["user"], said.get("system", "")
    if "Answer to be judged:" in asked:
        question = asked.removeprefix("Question: ").partition("\n\nRight answer:")[0]
        judged = asked.partition("Answer to be judged:")[2]
        best = BEGINNING[favourite(kind_of(question))] in judged
        return "Score: 8" if best else "Score: 10" if STEPS in judged and "small" not in judged else "Score: 2"
    if "Which kind of task" in asked:
        return "Translation" if "Translate" in asked else "Label: summary" if "Sum up" in asked else "I wonder."
    if "conversation of a doctor with a patient, " in asked:
        return "Doctor: What brings you here?\nPatient: My knee, since Monday."
    return f"[{told[:40]}] an answer"


def small(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """The untrained student: it gains nothing by steps."""
    return f"[{prompt[0].content[:40]}] a small answer"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("orca2")
    every = ("data.limit=none", "step.collections.n=0", "step.a few kinds.n=0")
    return cooked("orca2", script, folder, *every, student=small)


def test_every_strategy_is_tried_by_the_teacher_and_by_the_small_model(run: Cooked) -> None:
    plan = Counter(r.fields["kind"] for r in run.laps[-1]["plan"])
    assert set(plan) == {kind_of(c.user) for c in run.student_calls if c.system} and set(plan.values()) == {1}
    assert len(plan) > 40 and "maths" in plan and "consultation" not in plan  # collections have a dozen kinds each
    tries = [c for c in run.student_calls if c.system]
    assert Counter(c.user for c in tries) == dict.fromkeys((c.user for c in tries), 8)
    assert run.funnel("scores")["took"] == 8 * len(plan)
    judged = [c for c in run.asked("Answer to be judged:") if "small" in c.user]
    assert judged and all(c.sampling.temperature == 0 for c in judged)


def test_the_strategy_that_serves_both_wins_kind_by_kind(run: Cooked) -> None:
    plan = {r.fields["kind"]: r.fields for r in run.laps[-1]["plan"]}  # the others: at most 10 and 2
    assert {kind: fields["strategy"] for kind, fields in plan.items()} == {kind: favourite(kind) for kind in plan}
    assert {float(fields["score"]) for fields in plan.values()} == {8.0}
    assert len({fields["strategy"] for fields in plan.values()}) > 4


def test_rows_that_do_not_say_their_kind_are_asked_for_it(run: Cooked, tmp_path: Path) -> None:
    assert not run.asked("Which kind of task")
    asks = ("Translate into French: two rivers", "Sum up: it rained", "Guess", "Translate into Dutch: a mill")
    rows = [{"id": f"niv.{i}", "question": ask, "response": "It is so."} for i, ask in enumerate(asks)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    changes = (f"seeds={tmp_path / 'rows.jsonl'}", "data.held_out=0.0", "step.a few kinds.n=0", "step.few-shot.n=1")
    made = cooked("orca2", script, tmp_path, *changes, student=small)
    tasks = [r.fields for r in made.laps[-1]["tasks"] if r.fields["source"] == "niv2"]
    assert {fields["query"]: fields["kind"] for fields in tasks} == {
        asks[0]: "translation",
        asks[1]: "summary",
        asks[2]: "",
        asks[3]: "translation",
    }
    assert {"translation", "summary", "", "maths"} == {r.fields["kind"] for r in made.laps[-1]["plan"]}


def test_at_full_size_no_try_is_cut_and_a_thousand_consultations_differ() -> None:
    steps = {s.title: s for stage in recipes.load("orca2", ["teacher=big"], full=True).stage for s in stage.step}
    assert min(steps[name].max_new_tokens for name in ("tries", "label", "cautious", "conversation")) >= 512
    axes = steps["consultations"].settings["axes"]
    assert (
        math.prod(len(set(values)) for values in axes.values()) == 1000 and steps["consultations"].settings["draw"] == 0
    )
    assert steps["examples"].settings["same"] == "kind" and steps["a few kinds"].settings["n"] == 0


def test_only_training_queries_with_an_answer_are_tried(run: Cooked) -> None:
    held = {r.fields["query"] for r in run.laps[-1]["tasks"] if r.split == "test"}
    assert held and not any(c.user in held for c in run.student_calls)


def test_the_teacher_is_told_the_strategy_and_the_student_a_generic_message(run: Cooked) -> None:
    cautious = [r for r in run.records if r.split == "train" and r.fields.get("strategy")]
    assert cautious
    for record in cautious:
        told = BEGINNING[favourite(record.fields["kind"])]
        assert record.fields["strategy"] == favourite(record.fields["kind"])
        assert told in record.responses[0].text  # the teacher echoes what it was told
        system, user = record.messages
        assert system.content.startswith("You are a careful assistant")
        assert told not in system.content + user.content
    assert {r.fields["source"] for r in cautious} >= {"cot", "niv2", "t0", "flan", "dialogue", "maths", "few-shot"}


def test_consultations_have_a_detailed_message_of_their_own_which_is_erased_too(run: Cooked) -> None:
    notes = [r for r in run.records if r.fields["source"] == "consultation" and r.split == "train"]
    assert notes
    for record in notes:
        assert "Patient: My knee" in record.messages[-1].content
        assert "Sum up conversations" in record.responses[0].text
        assert record.messages[0].content.startswith("You are a careful assistant")


def test_few_shot_queries_show_two_others_of_their_collection(run: Cooked) -> None:
    by_query = {r.fields["query"]: r for r in run.laps[0]["queries"]}
    for record in (r for r in run.laps[-1]["tasks"] if r.fields["source"] == "few-shot"):
        shown = [known for query, known in by_query.items() if query in record.fields["query"]]
        assert len(shown) == 3 and len({r.fields["source"] for r in shown}) == 1
        examples = [r for r in shown if f"{r.fields['query']}\nAnswer: {r.fields['truth']}" in record.fields["query"]]
        assert len(examples) == 2 and all(r.split == "train" for r in examples)
        assert record.fields["query"].endswith("Answer:")


def test_three_trainings_learn_from_three_kinds_of_answers(run: Cooked) -> None:
    own, assistant, last = ([r for r in lap["records"] if r.split == "train"] for lap in run.laps)
    assert all((r.responses[0].source, len(r.messages)) == ("reference", 1) for r in own)
    assert {r.lineage[0].role for r in assistant} == {"assistant"}
    systems = {r.messages[0].content for r in assistant if r.messages[0].role == "system"}
    assert len(systems) > 8 and not any(re.match("You are a careful assistant", s) for s in systems)
    explained = [r for r in last if "strategy" not in r.fields]
    assert len(explained) == round(len(assistant) / 5)  # Orca's million: with its own message, not the generic one
    assert {r.messages for r in explained} <= {r.messages for r in assistant}
    assert {r.lineage[0].role for r in explained} == {"teacher"}


def test_held_out_are_the_data_s_own_answers(run: Cooked) -> None:
    held = [r for r in run.records if r.split == "test"]
    assert held and all((r.responses[0].source, r.messages[0].role) == ("reference", "system") for r in held)
    assert not any("an answer" in r.responses[0].text for r in held)
