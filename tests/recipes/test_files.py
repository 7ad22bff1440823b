"""Recipes are found, read, checked and written back."""

from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.errors import RecipeError
from stillhouse.recipe import Recipe

GOOD = 'name = "x"\n[[train.objective]]\nuse = "dpkd"\nbeta = 0.2\n'


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "mine.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


@pytest.mark.parametrize("name", recipes.names())
def test_the_resolved_recipe_loads_to_an_equal_one(name: str, written) -> None:
    recipe = recipes.load(name)
    assert recipes.load(written(recipes.dump(recipe))) == recipe


def test_values_that_toml_spells_in_its_own_way_survive(written) -> None:
    changes = ['about=a "quote" \\ and é', "train.lr=0", "student.select=[0, 3, 7]", 'student.lora.target=["q", "v"]']
    recipe = recipes.load(written(GOOD), changes)
    again = recipes.load(written(recipes.dump(recipe)))
    assert again == recipe
    assert again.about == 'a "quote" \\ and é'
    assert again.student.select == (0, 3, 7)


def test_a_file_without_a_name_is_named_after_itself(written) -> None:
    assert recipes.load(written(GOOD.partition("\n")[2])).name == "mine"


def test_a_run_folder_stands_for_its_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(GOOD)
    assert recipes.path_of(tmp_path) == tmp_path / "recipe.toml"


def test_the_settings_of_an_objective_are_read(written) -> None:
    (term,) = recipes.load(written(GOOD)).stage[0].train.objective
    assert (term.use, term.settings) == ("dpkd", {"beta": 0.2})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "x"\n[train]\nlrr = 1', ["mine.toml", "train.lrr", "did you mean 'lr'?", "schedule"]),
        ('name = "x"\nsteps = 10\n[train]', ["unknown key steps", "did you mean 'train.steps'?"]),
        ('nmae = "x"', ["unknown key nmae", "did you mean 'name'?"]),
        ('[train]\nlr = "fast"', ['train.lr is "fast"', "should be a number"]),
        ("[train]\nlr = -1", ["train.lr is -1", "greater than or equal to 0"]),
        ("[train]\nsteps = 2.5", ["train.steps is 2.5", "whole number"]),
        (
            '[train]\nschedule = "cosin"',
            ["train.schedule", "'cosine', 'linear' or 'constant'", "did you mean 'cosine'?"],
        ),
        ("train = 3", ["train is 3", "table"]),
        ("stage = 3", ["stage is 3", "list"]),
        ("stage = [3]", ["stage.0 is 3"]),
        ("[data]\nvalid = 2", ["data.valid is 2"]),
        ('[student]\nkeep_layers = 2\nmodel = "m"\n[train]', ["student", "exactly one", "keep_layers, model"]),
        (
            '[student]\nkeep_layers = 2\nselect = "importence"\n[train]',
            ["student.select", "did you mean 'importance'?"],
        ),
        ('name = "a b"\n[train]', ['name is "a b"', "letters, digits"]),
        ('name = "x"', ["nothing to do"]),
        ("[train]\nlr = 1", ["train.objective is empty"]),
        ('[[train.objective]]\nuse = "sfft"', ["train.objective.0", "'sfft'", "sft"]),
        ('[[train.objective]]\nuse = "dpkd"\nbta = 1', ["train.objective.0", "'bta'", "beta"]),
        ('[[train.objective]]\nuse = "dpkd"\nbeta = "high"', ["train.objective.0", "'beta' is 'high'", "number"]),
        ('[[train.objective]]\nuse = "no_such_pkg:loss"', ["no_such_pkg"]),
        ('[[train.objective]]\nuse = "sft"\nlayers = "unifrom"', ["train.objective.0.layers", "'uniform'?"]),
        ('[[train.objective]]\nuse = "sft"\non = ""', ["train.objective.0.on", "at least 1 character"]),
        ('teacher.url = "http://localhost"\n[[train.objective]]\nuse = "sft"', ["answers at a url", "student.model"]),
        ('[[stage]]\nname = "a"\ntrain.rollout.refesh = 1', ["stage.a.train.rollout.refesh", "'refresh'"]),
        ("[train]\nlrr = 1\n[[stage]]\nname = 'a'", ["unknown key train.lrr"]),
        ("[[stage]]\nname = 'a'\n[[stage]]\nname = 'a'", ["different names"]),
        ('name = "x\n', ["not valid TOML", "line 1"]),
        ("a = 1\na = 2\n", ["not valid TOML", "line 2"]),
        (b"\xff\xfe", ["not UTF-8"]),
        (b"#" * 1_000_001, ["larger than 1,000,000 bytes"]),
        (b"x = " + b"[" * 5000, ["nested"]),
        (b"x = " + b"[" * 30 + b"]" * 30, ["nested"]),
        (b"a." * 9000 + b"b = 1", ["nested"]),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(written, text: str | bytes, said: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        recipes.load(written(text))
    for part in said:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="did you mean 'dpkd'"):
        recipes.path_of("dpdk")
    with pytest.raises(RecipeError, match=r"without a recipe\.toml"):
        recipes.path_of(tmp_path)


def test_a_recipe_made_in_python_is_written_too() -> None:
    recipe = Recipe.model_validate(
        {"name": "p", "stage": [{"step": [{}]}], "student": {"config": {"model_type": "llama"}}}
    )
    assert 'model_type = "llama"' in recipes.dump(recipe)
