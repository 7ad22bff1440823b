"""MUFFIN: many tasks for one input, rematched human instructions, a way out, wrong options."""

import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.elicit.templates import holds
from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

FACETS = "1. its subject\n2. the years it names\n3. the order of events\n4. a fourth one"
SAME = "None of them is red, as the text says."


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A teacher that repeats itself for one facet, finds some human instructions fit, and knows when to give up."""
    asked = prompt[-1].content
    if "What can be noticed" in asked:
        return FACETS
    if "One facet of the text" in asked:
        facet = re.search(r"One facet of the text above: (.*)", asked)
        assert facet
        again = "Give the years named in the text" if "order" in facet[1] else f"Write a title on {facet[1]}"
        return f"1. {again}\n2. Count the letters of {facet[1]} with a ruler\n3. Not wanted"
    if "Can this instruction be carried out" in asked:
        return "Yes" if len(asked) % 2 else "No"
    if "A right answer is:" in asked:
        if "gets a fact wrong" in asked:
            return "Zebra"
        return "Sunlight" if "title" in asked else SAME
    if "ruler" in asked:
        return "None"
    return SAME if "Give the years" in asked else "Answer 7"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("muffin")
    return cooked("muffin", script, folder, "step.people.pools.seeds=6")


def test_each_facet_of_a_text_leads_to_instructions_of_its_own(run: Cooked) -> None:
    assert len(run.asked("What can be noticed")) == 8
    by_text = defaultdict(set)
    for call in run.asked("One facet of the text"):
        text, _, rest = call.user.partition("\n\nOne facet of the text above: ")
        by_text[text].add(rest.partition("\n")[0])
    assert len(by_text) == 8
    assert all(facets == {"its subject", "the years it names", "the order of events"} for facets in by_text.values())


def test_instructions_by_people_are_judged_for_an_input_that_is_not_theirs(run: Cooked) -> None:
    judged = run.asked("Can this instruction be carried out")
    human = {r.fields["instruction"]: r for r in run.laps[0]["seeds"]}
    texts = Counter()
    for call in judged:
        text, _, rest = call.user.removeprefix("Input: ").partition("\n\nInstruction: ")
        texts[text] += 1
        assert human[rest.partition("\n\nCan this")[0]].split == "train"
    assert set(texts.values()) == {6} and len(texts) == 8
    passages = {r.fields["text"] for r in run.laps[0]["inputs"]}
    assert set(texts) == passages
    assert len(run.laps[0]["rematched"]) == sum(len(call.user) % 2 for call in judged)


def test_alike_instructions_are_dropped_for_one_input_and_not_between_inputs(run: Cooked) -> None:
    made = Counter(r.fields["instruction"] for r in run.laps[0]["brainstormed"])
    assert made["Write a title on its subject"] == 8  # the same for every text
    learnt = Counter(r.fields["instruction"] for r in run.records if "origin" in r.fields)
    assert learnt["Write a title on its subject"] >= 8
    assert run.funnel("new for this input")["dropped"]["too similar"] >= 8  # "Count the letters of ..." thrice a text


def test_who_says_none_has_no_task_and_none_of_them_is_an_answer(run: Cooked) -> None:
    assert all("say only: None" in call.user for call in run.asked("Give the answer alone. If"))
    answers = {r.fields["output"] for r in run.records if "origin" in r.fields}
    assert "None" not in answers and SAME in answers
    assert run.funnel("can be done")["dropped"]


def test_wrong_answers_make_a_choice_whose_order_tells_nothing(run: Cooked) -> None:
    choices = [r for r in run.records if "Choose the right answer" in r.messages[0].content]
    assert choices
    for record in choices:
        options = re.findall(r"^- (.+)$", record.messages[0].content, re.M)
        assert options == sorted(options) and len(options) == 3
        assert record.responses[0].text in options and "Zebra" in options
        assert record.fields["origin"] == "facet"
    plain = {r.fields["instruction"] for r in run.records if r not in choices and "origin" in r.fields}
    assert {r.fields["instruction"] for r in choices} <= plain  # the task itself stays
    assert run.funnel("choose among answers")["dropped"] == {"no layout fits": 8}  # a "wrong" answer was the right one


def test_no_more_pairs_are_learnt_than_wanted(tmp_path: Path) -> None:
    run = cooked("muffin", script, tmp_path, "step.as many.n=20")
    own = sum(r.split == "test" for r in run.laps[0]["seeds"])
    assert sum(r.split == "train" for r in run.records) == 20 and sum(r.split == "test" for r in run.records) >= own


def test_at_full_size_facets_instructions_and_answers_are_as_long_and_as_many_as_the_teacher_writes() -> None:
    steps = {step.title: step for step in recipes.load("muffin", ["teacher=big"], full=True).stage[0].step}
    assert [steps[name].settings["per_record"] for name in ("facets", "instructions")] == [0, 0]
    assert min(steps[n].max_new_tokens for n in ("facets", "instructions", "answers", "wrong answers")) >= 512
    assert holds(steps["wrong answers"].when, {"origin": "facet", "output": "word " * 100})
    assert not holds(steps["wrong answers"].when, {"origin": "facet", "output": "word " * 101})


def test_held_out_are_tasks_by_people_with_their_own_answers(run: Cooked) -> None:
    held = {r.key: r.responses[0] for r in run.records if r.split == "test" and "origin" not in r.fields}
    own = {r.key: r.responses[0].text for r in run.laps[0]["seeds"] if r.split == "test"}
    assert {key: answer.text for key, answer in held.items()} == own
