"""Self-Instruct: 6 human and 2 machine demonstrations, the 0.7 gate, input first or label first, several layouts."""

import re
from collections import Counter
from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

VERBS = ("Describe", "Explain", "List", "Compare", "Name", "Write about", "Summarise", "Judge")
THINGS = ("a lighthouse keeper", "two kinds of bread", "the taste of rain", "old bicycles", "a winter market", "tides")


LETTER = "Mail: Dear all,\n\nplease come.\nClass 3 will sing.\nC\n\nCould you?"


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str | Answer:
    """A teacher that goes on with lists, tells classification by the word Classify, and writes instances."""
    asked = prompt[-1].content
    task = asked.rsplit("Task: ", 1)[-1].partition("\n")[0]
    if "Come up with a series of tasks" in asked:
        seed = sum(map(ord, asked))
        one = f"{VERBS[seed % 8]} {THINGS[seed % 6]} and number {seed} in some detail"
        rest = f"Task 11: Draw a picture of the sea for me\nTask 12: Classify mail {seed} by tone"
        return f"{one}\nTask 10: {one}\n{rest}"
    if "Is it classification?" in asked:
        return Answer("Yes" if task.startswith("Classify") else "No", "length")
    if "class labels" in asked and sum(map(ord, task)) % 2:
        return (
            f"Class label: formal\n{LETTER}\nClass label: casual\nMail: Hi there\nClass label: casual\nMail: Hi there"
        )
    if "class labels" in asked:
        return "Class label: kind\nThank you all\n\nClass label: rude\nGo away\n\nClass label: rude\nThank you all"
    written = "Example 1\nText: some words\nOutput: an answer\n\nExample 2.\nOutput: a trailing colon:"
    if sum(map(ord, task)) % 2:
        return Answer(f"{written}\n\nExample 3\nText: other words\nOutput: half of an", "length")
    more = "\n\nExample3.\nText: as follows:\nOutput: nothing\n\nExample 4\nText: a sea\nOutput: a ship"
    return f"{written}{more}\n\nTask: Write a poem about rain\nOutput: Rain falls"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("self-instruct")
    return cooked("self-instruct", script, folder, "stage.grow.rounds=3")


def shown(call: str) -> list[str]:
    return re.findall(r"^Task \d: (.+)$", call, re.M)


def test_six_demonstrations_by_people_and_two_by_the_model(run: Cooked) -> None:
    seeds = {r.fields["instruction"] for r in run.laps[0]["seeds"] if r.split == "train"}
    pool = {r.fields["instruction"] for r in run.laps[0]["pool"]}
    first, second = run.asked("series of tasks")[:5], run.asked("series of tasks")[5:10]
    for call in first:  # nothing is in the pool yet, so people make up for it
        assert len(shown(call.user)) == 8 and set(shown(call.user)) <= seeds
    for call in second:
        by_model = [task for task in shown(call.user) if task in pool]
        assert (len(by_model), len(shown(call.user))) == (2, 8)


def test_at_full_size_instructions_are_sampled_as_in_the_paper() -> None:
    step = recipes.load("self-instruct", full=True).stage[0].step[0]
    assert (step.use, step.temperature, step.top_p) == ("expand", 0.7, 0.5)


def test_what_is_too_similar_or_needs_a_picture_stays_out(run: Cooked) -> None:
    rules, novel = run.funnel("fit instructions"), run.funnel("new to the pool")
    assert rules["dropped"] and sum(rules["dropped"].values()) == 5  # one picture in each of five answers
    assert novel["dropped"]  # every answer says one thing twice
    pool = run.laps[0]["pool"]
    assert len({r.fields["instruction"] for r in pool}) == len(pool)
    assert all(r.fields["similarity"] <= 0.7 for r in pool)


def test_labels_come_first_for_classification_only(run: Cooked) -> None:
    for call in run.asked("class labels"):
        assert call.user.rsplit("Task: ", 1)[-1].startswith("Classify")
        assert call.sampling.temperature == 0
    for call in run.asked("Come up with examples"):
        assert not call.user.rsplit("Task: ", 1)[-1].startswith("Classify")
    assert run.asked("class labels") and run.asked("Come up with examples")


def test_instances_with_two_outputs_or_half_an_output_are_dropped(run: Cooked) -> None:
    outputs = {r.responses[0].text for r in run.records}
    assert "an answer" in outputs
    assert not any(text.endswith(":") for text in outputs)
    assert not outputs & {"kind", "rude"}  # "Thank you all" was called kind and rude, so none of its task is left


def test_what_the_teacher_writes_of_another_task_or_only_in_part_is_not_learnt(run: Cooked) -> None:
    outputs = {r.responses[0].text for r in run.records}
    assert outputs == {
        "an answer",
        "a ship",
        "formal",
        "casual",
    }  # no poem, no half of an answer, nothing without input
    for step in ("write instances", "write instances from labels"):
        assert run.funnel(step)["kept"] > 0
    assert {call.sampling.stop for call in run.asked("Come up with examples")} == {("Example 6", "Task:")}


def test_an_input_goes_on_to_the_next_label_and_is_never_taught_twice(run: Cooked) -> None:
    by_label = [r for r in run.laps[-1]["records"] if r.responses[0].text in ("formal", "casual")]
    inputs = Counter((r.fields["instruction"], r.fields["input"]) for r in by_label)
    assert {given for _, given in inputs} == {LETTER, "Mail: Hi there"}
    assert set(inputs.values()) == {1}


def test_every_instance_teaches_where_an_answer_ends(run: Cooked) -> None:
    """The question about classification was cut off after a word; that says nothing of the instances."""
    assert {r.responses[0].finish for r in run.records} == {"stop"}


def test_the_student_sees_more_than_one_layout_and_no_demonstrations(run: Cooked) -> None:
    prompts = [r.messages[-1].content for r in run.records]
    assert any(p.startswith("Task: ") for p in prompts) and any(not p.startswith("Task: ") for p in prompts)
    assert not any("Example" in p or "Task 2" in p for p in prompts)
    assert all(r.lineage[0].operation == "expand" and r.lineage[0].step == "new instructions" for r in run.records)
