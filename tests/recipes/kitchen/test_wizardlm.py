"""WizardLM: one operation a round, elimination, and parents that come back after a failure."""

from collections import Counter
from pathlib import Path

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked

LONG_APOLOGY = "Sorry for the length. " + "It rains in spring. " * 20


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    """A teacher whose rewritings are good, mostly; what is wrong with the others depends on the task's letters."""
    asked = prompt[-1].content
    if "#Given task#" in asked:
        task = asked.split("#Given task#:\n")[1].split("\n\n#")[0]
        kind = sum(map(ord, task)) % 6
        if kind == 1:
            return f"#Rewritten task#: {task} And why?"
        return f"{task} {('Say why.', '', 'Be the same.', 'Be sorry.', 'Be empty.', 'Be long.')[kind]}"
    if "Are they equal?" in asked:
        return "Equal" if asked.split("Second task: ")[1].split("\n\nAre")[0].endswith("Be the same.") else "Different"
    if asked.endswith("Be sorry."):
        return "I'm sorry, that is beyond me."
    if asked.endswith("Be empty."):
        return "It is what it is, and so on."[:10]
    return LONG_APOLOGY if asked.endswith("Be long.") else f"An answer about {len(asked)} letters."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    folder: Path = tmp_path_factory.mktemp("wizardlm")
    return cooked("wizardlm", script, folder, "stage.begin.step.start.n=40")


def test_each_instruction_is_rewritten_once_a_round_by_any_of_six_operations(run: Cooked) -> None:
    rewritings = run.asked("#Given task#")
    assert len(rewritings) == 4 * 40  # four rounds; a failure waits for the next one
    openings = Counter(call.user.partition("\n")[0] for call in rewritings)
    assert len(openings) == 6 and min(openings.values()) > 12  # drawn evenly
    assert all("10 to 20 words" in call.system for call in rewritings)
    assert {(call.sampling.temperature, call.sampling.top_p) for call in rewritings} == {(1.0, 0.95)}


def test_what_adds_nothing_leaks_or_is_refused_is_eliminated(run: Cooked) -> None:
    evolved = [r for r in run.laps[-1]["pool"] if "parent" in r.fields]
    texts = [r.fields["instruction"] for r in evolved]
    assert run.funnel("something-new")["dropped"]["nothing new"] and not any(t.endswith("the same.") for t in texts)
    assert run.funnel("no-leak")["dropped"]["blacklisted words"] and not any("#Rewritten" in t for t in texts)
    assert set(run.funnel("answerable")["dropped"]) == {"refusal", "says nothing"}
    assert any(r.fields["output"] == LONG_APOLOGY.strip() for r in evolved)  # 80 words or more are no refusal


def test_the_parent_of_a_failure_stands_there_again(run: Cooked) -> None:
    for before, after in zip(run.laps[:4], run.laps[1:5], strict=True):
        parents = {r.fields["number"]: r for r in before["current"]}
        survived = {r.fields["number"]: r for r in after["evolved"]}
        assert 0 < len(survived) < 40
        assert [r.fields["number"] for r in after["evolved"]] == list(survived)
        for record in after["current"]:
            number = record.fields["number"]
            assert record == (survived[number] if number in survived else parents[number])
        assert len(after["current"]) == 40
        assert all(r.fields["parent"] == parents[n].fields["instruction"] for n, r in survived.items())


def test_every_round_is_pooled_with_the_start_and_held_out_stays_so(run: Cooked) -> None:
    pool = run.laps[4]["pool"]
    assert len(pool) == 40 + sum(len(lap["evolved"]) for lap in run.laps[1:5])
    assert {r.fields["generation"] for r in pool} >= {0, 1, 2}
    split = {r.fields["number"]: r.split for r in run.laps[0]["current"]}
    assert set(split.values()) == {"train", "test"}
    assert all(r.split == split[r.fields["number"]] for r in pool)


def test_the_student_sees_the_instruction_alone(run: Cooked) -> None:
    learnt = [r for r in run.records if r.answers("teacher")]
    assert len(learnt) == len(run.laps[4]["pool"])  # fewer than the sample of 70,000
    assert all(r.messages == (Message("user", r.fields["instruction"]),) for r in learnt)
