"""Every recipe that ships is read without a complaint and says what it is."""

from pathlib import Path

import pytest

from stillhouse import recipes
from tests.house.source import PACKAGE

PATHS = sorted((PACKAGE / "recipes").rglob("*.toml"))


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_recipe_loads(path: Path) -> None:
    recipe = recipes.load(path.stem)
    assert recipe.name == path.stem
    assert recipe.about
    assert path.read_text(encoding="utf-8").startswith("#"), "begin with a comment: paper, differences, results"
