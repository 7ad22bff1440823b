from pathlib import Path
from typing import Any

import pytest

from stillhouse import recipes
from stillhouse.cast import Cast, endpoint
from stillhouse.endpoints.scripted import Scripted
from stillhouse.endpoints.server import Server
from stillhouse.errors import ConfigError
from stillhouse.party import Party
from stillhouse.recipe import Model
from stillhouse.run import Run

URL = "http://localhost:1/v1"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    changes = [f"teacher.url={URL}", "teacher.model=big", "student.keep_layers=none", 'student.model="embedded"']
    recipe = recipes.load("quickstart", changes)
    return Run(tmp_path, recipe.model_copy(update={"roles": {"judge": Model(url=URL, model="small")}}))


def test_whoever_is_not_named_is_played_by_the_teacher(run: Run) -> None:
    cast = Cast(Party(run), None, {})
    teacher, judge = cast["teacher"], cast["judge"]
    assert isinstance(teacher, Server) and isinstance(judge, Server)
    assert "big" in teacher.identity and "small" in judge.identity
    assert cast["referee"] is teacher and cast["judge"] is judge


def test_given_endpoints_take_the_place_of_the_recipes(run: Run) -> None:
    given: dict[str, Any] = {name: Scripted(lambda p, s: "x", identity=name) for name in ("teacher", "student")}
    cast = Cast(Party(run), None, given)
    assert cast["teacher"] is given["teacher"] is cast["referee"] and cast["student"] is given["student"]
    assert isinstance(cast["judge"], Server)


def test_a_key_is_wanted_where_one_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(ConfigError, match="MY_KEY"):
        endpoint(Model(url="https://api.openai.com/v1", model="m", key="MY_KEY"))
    assert isinstance(endpoint(Model(url=URL, model="m", key="MY_KEY")), Server)
