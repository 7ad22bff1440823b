"""LLaMA-GPT4: answered again, translated first, rated alone from 1 to 10, better and worse as pairs, a held-out gap."""

from pathlib import Path

import pytest

from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str | Answer:
    """A teacher that translates by 译, answers in the language asked, and rates its own answers above others."""
    asked = prompt[-1].content
    if asked.startswith("Translate"):
        said = "译" + asked.partition("\n\n")[2]
        return Answer(said, "length") if sum(map(ord, asked)) % 5 == 0 else said
    if asked.startswith("Rate an assistant"):
        answer = asked.rsplit("Answer: ", 1)[1]
        return "8" if answer.startswith("New") else "3" if answer.startswith("Weak") else "?"
    return "新回答" if asked.startswith("译") else f"New answer to {len(asked)} letters."


def weak(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A student that was not taught; some of what it says nobody can rate."""
    long = len(prompt[-1].content)
    return f"Weak answer to {long} letters." if long % 4 else "Hm."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("llama-gpt4")
    return cooked(
        "llama-gpt4", script, folder, "stage.main.step.compared.n=16", "stage.main.step.chinese.n=16", student=weak
    )


def test_inputs_stay_and_old_answers_are_not_learnt(run: Cooked) -> None:
    old = {r.fields["instruction"]: r.fields for r in run.laps[0]["seeds"]}
    english = run.laps[0]["english"]
    assert all(r.fields["input"] == old[r.fields["instruction"]]["input"] for r in english)
    taught = {r.text for record in run.records for r in record.answers("teacher")}
    assert taught and not taught & {fields["output"] for fields in old.values()}


def test_what_is_answered_in_chinese_is_translated_first(run: Cooked) -> None:
    chinese = run.laps[0]["chinese"]
    assert any(r.fields["input"] for r in chinese) and not all(r.fields["input"] for r in chinese)
    for record in chinese:
        fields = record.fields
        assert fields["instruction"].startswith("译") and fields["answer"] == "新回答"
        assert not fields["input"] or fields["input"].startswith("译")
        asked = "\n\n".join(filter(None, [fields["instruction"], fields["input"]]))
        assert any(call.user == asked for call in run.calls)


def test_half_a_translation_is_not_answered(run: Cooked) -> None:
    lost = [run.funnel(step)["dropped"].get("cut off", 0) for step in ("whole-inputs", "whole-instructions")]
    assert all(lost) and len(run.laps[0]["chinese"]) == 16 - sum(lost)


def test_three_models_answer_and_each_answer_is_rated_alone(run: Cooked) -> None:
    assert len(run.student_calls) == 16
    weakly = [c for c in run.asked("Rate an assistant") if "Answer: Weak" in c.user]
    assert weakly and not any("New answer" in c.user for c in weakly)
    assert {c.sampling.temperature for c in run.asked("Rate an assistant")} == {0.0}


def test_pairs_are_of_a_better_and_a_worse_answer_to_the_whole_prompt(run: Cooked) -> None:
    pairs = run.laps[0]["comparisons"]
    assert 0 < len(pairs) < 16  # none where the rating of one answer could not be read, and none of equal ones
    for record in pairs:
        fields = record.fields
        assert fields["completion_a"].startswith("New") and fields["completion_b"].startswith("Weak")
        assert (fields["score"], fields["margin"]) == (3.0, "5.0")
        assert any(call.user == fields["user_input"] for call in run.student_calls)
        assert "candidates" not in fields and "output" not in fields


def test_the_gap_to_the_teacher_is_measured_and_never_learnt(run: Cooked) -> None:
    gap = [r for r in run.records if r.lineage and r.lineage[-1].step == "gap-to-the-teacher"]
    assert len(gap) == 8 and {r.split for r in gap} == {"test"}
    assert all(r.responses[0].source == "reference" and r.responses[0].text.startswith("New") for r in gap)
