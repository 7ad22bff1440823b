"""LogiCoT: the gold answer is shown to the teacher, never to the student; types guide the reasoning and are mixed."""

from collections import Counter

import pytest

from stillhouse import recipes
from stillhouse.elicit.parsers.same import same_answer
from stillhouse.endpoints.base import Sampling
from stillhouse.records.read import read_set
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked
from tests.recipes.kitchen.questions import held_out, learnt

SEEDS = {r.fields["input"]: r.fields for r in read_set("builtin:logic")}
LEAK, REFUSAL, SHORT = "bridges", "musician", "parcel"
"""Words of the seeds at which the teacher goes wrong."""


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    task = prompt[-1].content.partition("Task:")[2]
    if LEAK in task:
        return "It must be so, since the given answer says it, as one can see above."
    if REFUSAL in task:
        return "I'm sorry, but I cannot help with that request at this time, please ask another."
    if SHORT in task:
        return "Clear."
    return "First the premises are put side by side, then the rule is applied to them."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    return cooked("logicot", script, tmp_path_factory.mktemp("logicot"), "data.held_out=0.1")


def task(text: str) -> dict[str, str]:
    return next(fields for given, fields in SEEDS.items() if given in text)


def test_the_teacher_sees_the_gold_answer_and_guidance_for_the_type(run: Cooked) -> None:
    guides: dict[str, set[str]] = {}
    for call in run.calls:
        seed = task(call.user)
        assert f"Right answer: {seed['output']}" in call.user
        guides.setdefault(seed["kind"], set()).add(call.user.partition("know it yet.")[2].partition("Do not speak")[0])
    assert len(guides) == 6 and all(len(found) == 1 for found in guides.values())
    assert len(set.union(*guides.values())) == 5  # strengthening and weakening are guided alike


def test_symbolic_and_natural_tasks_are_mixed_and_no_type_prevails(run: Cooked) -> None:
    drawn = Counter(task(call.user)["kind"] for call in run.calls)
    assert max(drawn.values()) == 6 and run.funnel("mixture")["dropped"]
    assert {r.fields["form"] for r in learnt(run.records)} == {"symbolic", "natural"}


def test_the_student_sees_neither_guidance_nor_gold(run: Cooked) -> None:
    for record in run.records:
        prompt = record.messages[-1].content
        assert prompt == f"{record.fields['instruction']}\n\n{record.fields['input']}"
    for record in learnt(run.records):
        assert record.responses[0].text == (
            "First the premises are put side by side, then the rule is applied to them."
            f"\n\nAnswer: {record.fields['output']}"
        )


def test_reasoning_that_leans_on_the_given_answer_is_dropped(run: Cooked) -> None:
    asked = [call.user.partition("Task:")[2] for call in run.calls]
    bad = {word: sum(word in text for text in asked) for word in (LEAK, REFUSAL, SHORT)}
    assert sum(run.funnel("sound text")["dropped"].values()) == sum(bad.values()) > 1
    texts = [r.messages[-1].content for r in learnt(run.records)]
    assert not any(word in text for word in bad for text in texts)


def test_held_out_tasks_are_those_with_a_letter_as_answer(run: Cooked) -> None:
    kept, seeds = held_out(run.records), held_out(run.laps[0]["seeds"])
    choices = [r.fields["output"] for r in seeds if "A)" in r.fields["input"]]
    assert [r.fields["gold"] for r in kept] == choices and 0 < len(choices) < len(seeds)
    assert all(r.answers("reference")[0].text == f"Answer: {r.fields['gold']}" for r in kept)


def test_what_the_student_learns_is_scored_as_right_by_its_letter(run: Cooked) -> None:
    (task,) = recipes.load("logicot").stage[0].eval
    taught = [r for r in learnt(run.records) if "A)" in r.fields["input"]]
    assert taught and task.exact == "choice"
    for record in taught:
        letters = [c for c in "ABCD" if same_answer(record.responses[0].text, f"Answer: {c}: so it is", task.exact)]
        assert letters == [record.fields["gold"][0]]


@pytest.mark.parametrize("full", [False, True])
def test_the_student_may_write_as_much_as_it_learns(full: bool) -> None:
    (stage,) = recipes.load("logicot", full=full).stage
    (rationales,) = (step for step in stage.step if step.title == "rationales")
    assert stage.eval[0].max_new_tokens >= rationales.max_new_tokens + 64
