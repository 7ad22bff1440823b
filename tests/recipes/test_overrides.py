"""key=value words on the command line."""

from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.errors import RecipeError
from stillhouse.recipe import Recipe
from stillhouse.recipes.overrides import parse_value

TWO = """
name = "two"
[[eval]]
name = "e"
[[eval]]
name = "f"
[[stage]]
name = "first"
[[stage.train.objective]]
use = "sft"
[[stage]]
name = "second"
[[stage.train.objective]]
use = "dpkd"
[[stage.train.objective]]
use = "sft"
on = "text"
"""


@pytest.fixture
def changed(tmp_path: Path):
    path = tmp_path / "two.toml"
    path.write_text(TWO)

    def change(*overrides: str) -> Recipe:
        return recipes.load(path, overrides)

    return change


def test_a_top_level_part_means_every_stage(changed) -> None:
    assert [s.train.lr for s in changed("train.lr=2e-5").stage] == [2e-5, 2e-5]
    assert [s.train.rollout.refresh for s in changed("train.rollout.refresh=7").stage] == [7, 7]
    assert [s.eval for s in changed("eval=[]").stage] == [(), ()]


def test_one_stage_by_name_or_number(changed) -> None:
    assert [s.train.lr for s in changed("stage.second.train.lr=1").stage] == [5e-4, 1.0]
    assert [s.train.steps for s in changed("stage.0.train.steps=9").stage] == [9, 50]


def test_entries_of_a_list_by_number_name_or_all(changed) -> None:
    def settings(*overrides: str):
        return [(t.use, t.settings, t.weight) for t in changed(*overrides).stage[1].train.objective]

    assert settings("stage.second.train.objective.0.beta=0.3")[0] == ("dpkd", {"beta": 0.3}, 1.0)
    assert settings("stage.second.train.objective.dpkd.beta=0.3")[0] == ("dpkd", {"beta": 0.3}, 1.0)
    assert settings("train.objective.dpkd.beta=0.3")[0] == ("dpkd", {"beta": 0.3}, 1.0)
    assert [weight for *_, weight in settings("train.objective.weight=0.5")] == [0.5, 0.5]
    assert [[e.limit for e in s.eval] for s in changed("eval.limit=3").stage] == [[3, 3], [3, 3]]
    assert [[e.limit for e in s.eval] for s in changed("eval.f.limit=3").stage] == [[None, 3], [None, 3]]
    assert changed("train.betas.0=0.8").stage[0].train.betas == (0.8, 0.95)


def test_short_names(changed) -> None:
    recipe = changed("seeds=a b.jsonl", "teacher=org/model", "student=my/student")
    assert (recipe.data.seeds, recipe.teacher.model) == ("a b.jsonl", "org/model")
    assert (recipe.student.model, recipe.student.keep_layers) == ("my/student", None)
    assert changed("student=m", "student.keep_layers=3").student.model is None


def test_none_brings_the_default_back(changed) -> None:
    assert changed("data.limit=5", "data.limit=none").data.limit is None


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("2e-5", 2e-5), ("3", 3), ("true", True), ("[1, 2]", [1, 2]), ('["a"]', ["a"]), ('"3"', "3"), ("none", None),
        ("cosine", "cosine"), ("/a/b c.jsonl", "/a/b c.jsonl"), ("hf:org/x", "hf:org/x"), ("2024-01-01", "2024-01-01"),
        ("1\nother = 2", "1\nother = 2"), ("", ""), ("# x", "# x"),
    ],
)  # fmt: skip
def test_values_are_toml_or_words(word: str, value: object) -> None:
    assert parse_value(word) == value


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.lr", "train.lr=2e-5"),
        ("=3", "not an override"),
        ("train..lr=3", "not an override"),
        ("train.lrr=3", "two.toml with train.lrr=3: unknown key stage.first.train.lrr; did you mean 'lr'?"),
        ("train.lr=fast", "should be a number"),
        ("train.pair=[a, b]", "quote its words"),
        ("trian.lr=3", "unknown key trian"),
        ("stage.third.train.lr=1", "it has first, second"),
        ("stage.train.lr=1", "it has first, second"),
        ("stage.7.train.lr=1", "it has first, second"),
        ("train.objective.7.beta=1", "there is no '7'"),
        ("step.samples=2", "no stage of 'two' has a 'step'"),
        ("data.seeds.x=1", "single value"),
        ("train.objective.1.beta=1", "there is no '1'"),
        ("stage.second.train.objective.0.bta=1", "'bta'"),
    ],
)
def test_what_leads_nowhere_is_refused(changed, override: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        changed("seed=2", override)
    assert said in str(caught.value)
