"""Orca 2: strategies tried by teacher and small model, the best one told to the teacher and kept from the student."""

import re
from collections import Counter
from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

STEPS = "Work through the problem"
DIRECT = "Give the answer at once"


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A teacher that says how it was told to answer, and a judge that likes two strategies."""
    said = {m.role: m.content for m in prompt}
    asked, told = said["user"], said.get("system", "")
    if "Answer to be judged:" in asked:
        judged = asked.partition("Answer to be judged:")[2]
        steps = STEPS in judged and "small" not in judged
        return "Score: 10" if steps else "Score: 8" if DIRECT in judged else "Score: 2"
    if "conversation of a doctor with a patient who" in asked:
        return "Doctor: What brings you here?\nPatient: My knee, since Monday."
    return f"[{told[:40]}] an answer"


def small(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """The untrained student: it gains nothing by steps."""
    return f"[{prompt[0].content[:40]}] a small answer"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("orca2")
    return cooked("orca2", script, folder, "data.limit=none", student=small)


def test_every_strategy_is_tried_by_the_teacher_and_by_the_small_model(run: Cooked) -> None:
    plan, kinds = run.laps[-1]["plan"], {r.fields["source"] for r in run.laps[-1]["plan"]}
    assert {"cot", "niv2", "t0", "flan", "dialogue", "maths"} <= kinds and "consultation" not in kinds
    assert len(plan) == len(kinds)
    tries = [c for c in run.student_calls if c.system]
    assert Counter(c.user for c in tries) == dict.fromkeys((c.user for c in tries), 8)
    assert run.funnel("scores")["took"] == 8 * len(kinds)
    judged = [c for c in run.asked("Answer to be judged:") if "small" in c.user]
    assert judged and all(c.sampling.temperature == 0 for c in judged)


def test_the_strategy_that_serves_both_wins(run: Cooked) -> None:
    for record in run.laps[-1]["plan"]:  # steps: 10 of the teacher, 2 of the student; a direct answer: 8 of both
        assert (record.fields["strategy"], float(record.fields["score"])) == ("direct-answer", 8.0)


def test_only_training_queries_with_an_answer_are_tried(run: Cooked) -> None:
    held = {r.fields["query"] for r in run.laps[-1]["tasks"] if r.split == "test"}
    assert held and not any(c.user in held for c in run.student_calls)


def test_the_teacher_is_told_the_strategy_and_the_student_a_generic_message(run: Cooked) -> None:
    cautious = [r for r in run.records if r.split == "train" and r.fields.get("strategy")]
    assert cautious
    for record in cautious:
        assert DIRECT in record.responses[0].text  # the teacher echoes what it was told
        system, user = record.messages
        assert system.content.startswith("You are a careful assistant")
        assert DIRECT not in system.content + user.content
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
