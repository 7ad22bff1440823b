"""MT-CoT: a chain first; a rationalisation of the right answer where the chain fails; two tasks of equal weight."""

import json
from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked
from tests.recipes.kitchen.questions import CHOICE, another, held_out, last_question, learnt


def kind(question: str) -> str:
    return ("right", "wrong", "silent")[len(question) % 3]


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    asked = prompt[-1].content
    question = last_question(asked)
    if asked.endswith("Why:"):
        return f"Seen from the end. {CHOICE[question]['explanation']} So the answer is {CHOICE[question]['answer']}."
    letter = CHOICE[question]["answer"]
    said = {"right": letter, "wrong": another(letter)}.get(kind(question))
    return f"A chain of thought. So the answer is {said}." if said else "A chain that comes to nothing"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    return cooked("mt-cot", script, tmp_path_factory.mktemp("mt-cot"))


def test_only_failed_chains_are_rationalised(run: Cooked) -> None:
    chained = {last_question(call.user) for call in run.calls if call.user.endswith("A:")}
    told = {last_question(call.user) for call in run.calls if call.user.endswith("Why:")}
    assert chained == {r.fields["question"] for r in learnt(run.laps[0]["seeds"])}
    assert told == {question for question in chained if kind(question) != "right"} and told
    assert {kind(question) for question in told} == {"wrong", "silent"}


def test_the_right_answer_is_shown_for_rationalisation_alone(run: Cooked) -> None:
    for call in run.calls:
        tail = call.user.rsplit("Q: ", 1)[-1]
        gold = CHOICE[last_question(call.user)]["answer"]
        assert (f"Right answer: {gold}" in tail) == call.user.endswith("Why:")


def test_every_question_is_explained_towards_its_gold_answer(run: Cooked) -> None:
    tasks = {"Answer": {}, "Explain": {}}
    for record in learnt(run.records):
        prefix, _, _ = record.messages[-1].content.partition(": ")
        tasks[prefix][record.fields["question"]] = record.responses[0]
    assert (
        tasks["Answer"].keys()
        == tasks["Explain"].keys()
        == {r.fields["question"] for r in learnt(run.laps[0]["seeds"])}
    )
    for question, answer in tasks["Explain"].items():
        gold = f"The answer is {CHOICE[question]['answer']}."
        chain = (
            "A chain of thought."
            if kind(question) == "right"
            else "Seen from the end. " + CHOICE[question]["explanation"]
        )
        assert answer.text == f"{chain} {gold}"
        assert tasks["Answer"][question].text == gold
        assert answer.weight == tasks["Answer"][question].weight


def test_answer_and_explanation_weigh_the_same_whatever_their_length() -> None:
    train = recipes.load("mt-cot").stage[-1].train
    assert train is not None and train.reduction == "sequence"


def test_questions_of_yes_and_no_have_no_choices(tmp_path: Path) -> None:
    rows = [
        {"question": q, "answer": a, "split": "train"} for q, a in (("Do cats fly?", "no"), ("Is ice cold?", "yes"))
    ]
    demo = {"question": "Do dogs bark?", "rationale": "Most dogs do. The answer is yes.", "answer": "yes"}
    for name, found in (("seeds", rows), ("demos", [demo])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, found)))

    def says_no(prompt: tuple[Message, ...], sampling: Sampling) -> str:
        return f"One sees it. So the answer is {'yes' if prompt[-1].content.endswith('Why:') else 'no'}."

    changes = [f"seeds={tmp_path / 'seeds.jsonl'}", f"data.sets.demos={tmp_path / 'demos.jsonl'}"]
    changes += ["step.chain of thought.parse.kind=yes_no", "step.chain.kind=yes_no", "eval.exact=yes_no"]
    made = cooked("mt-cot", says_no, tmp_path, *changes)
    assert len(made.asked("Do cats fly?")) == 1 and len(made.asked("Is ice cold?")) == 2
    assert {r.messages[-1].content: r.responses[0].text for r in made.records} == {
        "Answer: Do cats fly?": "The answer is no.",
        "Explain: Do cats fly?": "One sees it. The answer is no.",
        "Answer: Is ice cold?": "The answer is yes.",
        "Explain: Is ice cold?": "One sees it. The answer is yes.",
    }


def test_the_variant_with_the_answer_first(tmp_path: Path) -> None:
    second = 'templates.second="The answer is {{ gold }}, because {{ rationale }}"'
    made = cooked("mt-cot", script, tmp_path, second, "data.limit=6")
    assert any(
        r.responses[0].text.startswith(f"The answer is {r.fields['gold']}, because") for r in learnt(made.records)
    )


def test_held_out_questions_ask_for_the_answer(run: Cooked) -> None:
    assert len(held_out(run.records)) == len(held_out(run.laps[0]["seeds"]))
    assert all(r.messages[-1].content.startswith("Answer: ") and r.answers("reference") for r in held_out(run.records))
