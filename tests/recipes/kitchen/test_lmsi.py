"""LMSI: the model votes with itself over 32 chains, without labels, and what agrees is learnt in four formats."""

import json
from collections import Counter
from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked
from tests.recipes.kitchen.questions import Turns, demonstrated, held_out, last_question, learnt


class Model:
    """Of 32 chains, 12 come to a number of the question's own, 11 to another, and the rest to many or to none."""

    def __init__(self) -> None:
        self._turns = Turns()

    def __call__(self, prompt: tuple[Message, ...], sampling: Sampling) -> str:
        asked = prompt[-1].content
        turn, agreed = self._turns.next(asked), len(last_question(asked))
        if turn >= 30:
            return "I cannot tell."
        said = agreed if turn < 12 else -1 if turn < 23 else -turn
        return f"Along path {turn} one arrives. The answer is {said}."


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    return Model()(prompt, sampling)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    return cooked(
        "lmsi", script, tmp_path_factory.mktemp("lmsi"), "data.limit=8", "step.paths.samples=32", student=Model()
    )


def test_the_model_asks_itself_and_no_other_teacher(run: Cooked) -> None:
    assert not run.calls
    taught = {r.fields["question"] for r in learnt(run.laps[0]["seeds"])}
    calls = [call for call in run.student_calls if last_question(call.user) in taught]
    assert set(Counter(call.user for call in calls).values()) == {32}
    assert all(len(demonstrated(c.user)) == 8 and c.sampling.temperature == 0.7 for c in calls)


def test_all_paths_to_the_majority_answer_are_kept_whatever_the_label(run: Cooked) -> None:
    gate = run.funnel("majority")
    count = len(learnt(run.laps[0]["seeds"]))
    assert (gate["kept"], gate["dropped"]) == (12 * count, {"in the minority": 18 * count})
    for record in learnt(run.records):
        assert record.fields["answer"] == str(len(record.fields["question"]))
        assert record.fields["votes"]["count"] == 12
    assert any(r.fields["answer"] != r.fields["gold"] for r in learnt(run.records))


def test_four_formats_of_every_path(run: Cooked) -> None:
    formats = Counter(
        (bool(demonstrated(r.messages[-1].content)), "Along path" in r.responses[0].text) for r in learnt(run.records)
    )
    assert len(formats) == 4 and len(set(formats.values())) == 1
    for record in learnt(run.records):
        prompt = record.messages[-1].content
        if "Along path" not in record.responses[0].text:
            assert "step by step" not in prompt
        assert len(demonstrated(prompt)) in (0, 3)


def test_questions_need_no_labels(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text(json.dumps({"question": "How many?", "split": "train"}))
    made = cooked("lmsi", script, tmp_path, f"seeds={seeds}", "step.paths.samples=32", student=Model())
    assert len(learnt(made.records)) == 4 * 12


def test_held_out_questions_have_their_known_solutions(run: Cooked) -> None:
    kept = held_out(run.records)
    assert len(kept) == len(held_out(run.laps[0]["seeds"]))
    assert all(r.answers("reference")[0].text == r.fields["solution"] for r in kept)


def test_the_trained_model_votes_on_held_out_questions_and_silence_is_wrong(tmp_path: Path) -> None:
    rows = [{"question": f"How many {what}?", "answer": "3", "split": "test"} for what in ("cats", "dogs", "gnus")]
    seeds, turns = tmp_path / "seeds.jsonl", Turns()
    seeds.write_text("\n".join(map(json.dumps, [{"question": "How many?", "split": "train"}, *rows])))

    def model(prompt: tuple[Message, ...], sampling: Sampling) -> str:
        """Three of eight times 3 for cats and 4 for dogs, else ever another number; nothing about gnus."""
        question, turn = last_question(prompt[-1].content), turns.next(prompt[-1].content)
        number = turn + 10 if turn > 2 else 3 if "cats" in question else 4
        return "Hard to say." if "gnus" in question else f"One counts. The answer is {number}."

    made = cooked("lmsi", script, tmp_path, f"seeds={seeds}", "step.paths.samples=32", student=model)
    calls = [call for call in made.student_calls if last_question(call.user) != "How many?"]
    assert set(Counter(last_question(call.user) for call in calls).values()) == {8}  # `paths` alone are 32
    assert all(call.user.endswith("Let's think step by step.") and not demonstrated(call.user) for call in calls)
    assert {call.sampling.temperature for call in calls} == {1.2}
    verdict = made.funnel("right by vote")
    assert (verdict["kept"], verdict["dropped"]) == (1, {"wrong answer": 1, "no answer": 1})
    assert made.laps[1]["voted"][0].fields["votes"]["count"] == 3
    assert {r.split for r in made.laps[1]["records"]} == {"train", "test"}  # what was learnt from is as it was


def test_at_full_size_both_stages_sample_32() -> None:
    steps = [step for stage in recipes.load("lmsi", full=True).stage for step in stage.step if step.use == "sample"]
    assert [(step.settings["samples"], step.temperature) for step in steps] == [(32, 0.7), (32, 1.2)]
