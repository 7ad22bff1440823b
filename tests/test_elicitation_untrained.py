"""A step may ask the untrained student before anything is learnt: the seeds are there to make it by."""

from pathlib import Path

from stillhouse import recipes
from stillhouse.endpoints.scripted import Scripted
from stillhouse.models.saving import save_model
from stillhouse.stages import elicit, prepare
from stillhouse.tiny import tiny_model

RECIPE = """
name = "asks-untrained"
data.limit = 12
student = { keep_layers = 1 }
[[step]]
use = "label"
role = "untrained"
max_new_tokens = 2
batch_size = 4
"""


def test_the_untrained_student_is_made_from_the_seeds(tmp_path: Path) -> None:
    save_model(tiny_model(seed=1, layers=2, window=2048), tmp_path / "tiny")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    recipe = recipes.load(tmp_path / "recipe.toml", [f"teacher={tmp_path / 'tiny'}"])
    with prepare(recipe, tmp_path / "run") as run:
        records = elicit(run, {"teacher": Scripted(lambda prompt, sampling: "never asked")})
    answered = [r for r in records if r.split in ("train", "test")]
    assert answered and all(r.answers("untrained") for r in answered)
