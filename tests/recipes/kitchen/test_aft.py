"""AFT: six chains of the tuned student's own, right and wrong ones side by side, beside the gold chain."""

import random
import re

import pytest

from stillhouse import recipes
from stillhouse.elicit.generation.assemble import Layout, assemble
from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.records.types import Message, Record
from stillhouse.train.terms import read_terms
from tests.recipes.kitchen.cooking import Cooked, cooked
from tests.recipes.kitchen.questions import Turns

CUT_OFF = "She has 43 apples and"
CHAINS = (
    "So it is 43. The answer is 43.",
    "8 rows of 9: 72. The answer is 72.",
    "Let me think.",
    Answer(CUT_OFF, "length"),
)
TURNS = Turns()


def script(prompt: tuple[Message, ...], sampling: Sampling) -> Answer | str:
    """A student that is right about 43 and 72 in turn, then has no answer at all, then is cut off."""
    return CHAINS[TURNS.next(prompt[-1].content) % len(CHAINS)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Cooked:
    return cooked("aft", script, tmp_path_factory.mktemp("aft"), "data.limit=150")


def learnt(run: Cooked, split: str) -> list[Record]:
    return [r for r in run.laps[1]["aligned"] if r.split == split]


def test_the_student_first_learns_the_gold_chains(run: Cooked) -> None:
    first = run.laps[0]["records"]
    assert len(first) == 150 and all(r.answers("reference")[0].text.endswith(".") for r in first)
    assert all(r.messages[0].content.endswith("step by step.") for r in first)


def test_nobody_but_the_student_writes_chains_six_for_each_training_question(run: Cooked) -> None:
    assert run.calls == []
    train = [r for r in run.laps[0]["records"] if r.split == "train"]
    assert len(run.student_calls) == 6 * len(train)
    assert {c.user for c in run.student_calls} == {r.messages[0].content for r in train}


def test_only_questions_with_right_and_wrong_chains_are_aligned(run: Cooked) -> None:
    aligned = learnt(run, "train")
    assert aligned and {r.fields["gold"] for r in aligned} <= {"43", "72"}
    assert run.funnel("both kinds")["kept"] == len(aligned)
    assert run.funnel("both kinds")["dropped"].keys() == {"low 'positives'"}


def test_right_chains_score_one_and_wrong_ones_or_those_without_an_answer_nothing(run: Cooked) -> None:
    for record in learnt(run, "train"):
        chains = record.answers("candidates")
        assert len(chains) == 5
        for chain in chains:
            found = re.search(r"answer is (\d+)", chain.text)
            assert chain.score == float(bool(found) and found[1] == record.fields["gold"])
        assert {chain.score for chain in chains} == {0.0, 1.0}
        assert len(record.answers("reference")) == 1 and "candidates" not in record.fields


def test_a_chain_that_was_cut_off_is_neither_right_nor_wrong(run: Cooked) -> None:
    dropped = run.funnel("whole chains")["dropped"]["cut off"]
    assert dropped == len(run.student_calls) // 6  # one a question
    assert not any(CUT_OFF in r.text for record in learnt(run, "train") for r in record.responses)


def test_graded_feedback_takes_the_place_of_right_and_wrong() -> None:
    """Where candidates have a grade, it is the score that they are ranked by."""
    layout = recipes.load("aft").stage[1].step[-2].settings["layouts"][0]
    graded = [{"chain": "a", "right": True, "grade": 0.5}, {"chain": "b", "right": False, "grade": 0.9}]
    record = Record(fields={"question": "?", "candidates": graded})
    settings = Layout(**(layout | {"prompt": "?"}))
    (made,) = assemble([record], random.Random(0), layouts=(settings,))
    assert isinstance(made, Record) and [r.score for r in made.responses] == [0.5, 0.9]


def test_held_out_questions_are_all_there_whether_the_student_knows_them_or_not(run: Cooked) -> None:
    held = learnt(run, "test")
    assert held == [r for r in run.laps[0]["records"] if r.split == "test"]
    assert not {r.key for r in held} & {r.key for r in learnt(run, "train")}


def test_it_ranks_all_six_and_goes_on_with_the_gold_chain() -> None:
    train = recipes.load("aft").stage[1].train
    assert train is not None and train.candidates == 6
    terms = {t.name: t for t in read_terms(train)}
    assert {name: (t.source, t.family) for name, t in terms.items()} == {
        "sft": ("reference", "tokens"),
        "aft": ("candidates", "candidates"),
    }
    aft = next(use for use in train.objective if use.use == "aft")
    assert aft.settings == {"form": "boundary", "beta": 0.15}


def test_at_full_size_chains_have_room() -> None:
    stage = recipes.load("aft", full=True).stage[1]
    assert {stage.step[0].max_new_tokens, stage.eval[0].max_new_tokens} == {400}
