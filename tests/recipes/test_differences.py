"""What differs between two recipes, by dotted key."""

import pytest

from stillhouse import recipes
from stillhouse.recipes.differences import ELICITATION, differences


def between(*overrides: str) -> list[tuple[str, object, object, bool]]:
    found = differences(recipes.load("dpkd"), recipes.load("dpkd", overrides))
    return [(d.key, d.old, d.new, d.allowed) for d in found]


def test_equal_recipes_do_not_differ() -> None:
    assert between() == []


def test_keys_carry_the_names_of_stages() -> None:
    assert between("stage.distil.train.lr=1") == [("stage.distil.train.lr", 5e-4, 1.0, False)]
    assert between("stage.distil.train.steps=7") == [("stage.distil.train.steps", 50, 7, True)]


@pytest.mark.parametrize(
    "key",
    ["eval.limit=3", "train.checkpoint_every=5", "train.micro_tokens=64", "step.batch_size=2", "step.temperature=0"],
)
def test_what_may_change_on_resumption(key: str) -> None:
    assert all(allowed for *_, allowed in between(key))


@pytest.mark.parametrize("key", ["seed=9", "seeds=x.jsonl", "teacher=t", "train.batch_size=2", "train.packing=false"])
def test_what_may_not(key: str) -> None:
    assert not any(allowed for *_, allowed in between(key))


def test_one_side_may_lack_a_key() -> None:
    assert ("student.lora.rank", None, 4, False) in between("student.lora.rank=4")
    key = "stage.distil.train.objective.0.length_normalised"
    assert between("train.objective.dpkd.length_normalised=false") == [(key, None, False, False)]


def test_how_long_it_trains_is_no_matter_of_elicitation() -> None:
    """Steps of elicitation are fixed once a run trains; steps of training are not."""
    for change, elicits in (("train.steps=7", False), ("step.temperature=0", True), ("step=[]", True)):
        found = differences(recipes.load("dpkd"), recipes.load("dpkd", [change]))
        assert found and all(any(d.matches(key) for key in ELICITATION) is elicits for d in found)
