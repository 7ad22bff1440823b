"""CoT-Distill: seven demonstrations, two tasks with a prefix and half the weight each, labels that win over answers."""

import json
from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked
from tests.recipes.kitchen.questions import CHOICE, another, demonstrated, held_out, last_question, learnt


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """Wrong about questions with "Why", silent about those with "Which", right about the others."""
    question = last_question(prompt[-1].content)
    known = CHOICE.get(question, {"answer": "C", "explanation": "It is plain."})
    if question.startswith("Which"):
        return "That is hard to say."
    letter = another(known["answer"]) if "Why" in question else known["answer"]
    return f"{known['explanation']} So the answer is ({letter})."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    return cooked("cot-distill", script, tmp_path_factory.mktemp("cot-distill"), "data.limit=none")


def test_the_teacher_sees_seven_demonstrations_and_no_label(run: Cooked) -> None:
    pool = {r.fields["question"] for r in run.laps[0]["demos"]}
    for call in run.calls:
        assert len(demonstrated(call.user)) == 7 and set(demonstrated(call.user)) <= pool
        assert call.user.endswith("A:") and call.sampling.temperature == 0


def test_two_tasks_of_half_the_weight(run: Cooked) -> None:
    labels = {r.fields["question"]: r for r in learnt(run.records) if r.messages[-1].content.startswith("[label] ")}
    reasons = {
        r.fields["question"]: r for r in learnt(run.records) if r.messages[-1].content.startswith("[rationale] ")
    }
    assert len(labels) + len(reasons) == len(learnt(run.records))
    assert labels.keys() == {r.fields["question"] for r in learnt(run.laps[0]["seeds"])}
    for question, record in labels.items():
        assert record.responses[0].text == CHOICE[question]["answer"] and record.responses[0].weight == 0.5
        if question.startswith("Which"):
            assert question not in reasons  # what the teacher said has no answer to read
            continue
        assert reasons[question].responses[0].text == CHOICE[question]["explanation"]
        assert reasons[question].responses[0].weight == 0.5
        assert not record.responses[0].text.endswith(CHOICE[question]["explanation"])


def test_a_wrong_answer_is_no_reason_to_drop_a_labelled_question(run: Cooked) -> None:
    wrong = [r for r in learnt(run.records) if "Why" in r.fields["question"]]
    assert wrong and all(r.fields["answer"] != r.fields["gold"] for r in wrong)
    assert not run.funnel("rationale and label")["dropped"]


def test_a_long_rationale_weighs_no_more_than_a_label() -> None:
    train = recipes.load("cot-distill").stage[-1].train
    assert train is not None and train.reduction == "sequence"


def test_a_question_without_a_label_learns_the_teachers(tmp_path: Path) -> None:
    rows = [{"question": "Who?", "choices": ["A) a", "B) b", "C) c", "D) d"], "split": "train"}]
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text("\n".join(json.dumps(row) for row in rows))
    made = cooked("cot-distill", script, tmp_path, f"seeds={seeds}")
    assert [r.responses[0].text for r in made.records] == ["C", "It is plain."]


def test_a_hugging_face_row_is_read_too(tmp_path: Path) -> None:
    row = {"question": "Who?", "choices": {"label": ["A", "B"], "text": ["a", "b"]}, "answerKey": "B", "split": "train"}
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text(json.dumps(row))
    made = cooked("cot-distill", script, tmp_path, f"seeds={seeds}")
    assert made.records[0].messages[-1].content == "[label] Who?\nA) a\nB) b"
    assert made.records[0].responses[0].text == "B"


def test_labels_in_words_are_read_too(tmp_path: Path) -> None:
    rows = [{"question": "A dog runs. So an animal moves?", "answer": "entailment", "split": "train"}]
    rows += [{"question": "A dog runs. So it is hungry?", "split": "train"}]
    demo = {"question": "A cat sleeps. So it runs?", "rationale": "It lies still.", "answer": "contradiction"}
    for name, found in (("seeds", rows), ("demos", [demo])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, found)))
    changes = [f"seeds={tmp_path / 'seeds.jsonl'}", f"data.sets.demos={tmp_path / 'demos.jsonl'}"]
    changes += ["step.rationale and label.parse.kind=label", "eval.exact=label"]
    changes += ['step.rationale and label.parse.labels=["entailment", "neutral", "contradiction"]']
    made = cooked("cot-distill", lambda p, s: "Nobody knows. The answer is neutral.", tmp_path, *changes)
    texts = {(r.messages[-1].content, r.responses[0].text) for r in made.records}
    assert texts == {
        ("[label] A dog runs. So an animal moves?", "entailment"),
        ("[rationale] A dog runs. So an animal moves?", "Nobody knows."),
        ("[label] A dog runs. So it is hungry?", "neutral"),
        ("[rationale] A dog runs. So it is hungry?", "Nobody knows."),
    }


def test_held_out_questions_ask_for_the_label_alone(run: Cooked) -> None:
    kept = held_out(run.records)
    assert len(kept) == len(held_out(run.laps[0]["seeds"])) and any(r.fields["question"].startswith("Wh") for r in kept)
    for record in kept:
        assert record.messages[-1].content.startswith("[label] ")
        assert [(a.source, a.text) for a in record.responses] == [("reference", record.fields["gold"])]
