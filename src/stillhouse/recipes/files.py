"""Find, read and write recipe files."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from stillhouse.errors import RecipeError
from stillhouse.recipe import Recipe
from stillhouse.recipes import sugar
from stillhouse.recipes.check import check_objectives, check_steps, explain, nearest
from stillhouse.recipes.overrides import Override, apply

FOLDER = Path(__file__).parent
MAX_BYTES = 1_000_000
MAX_DEPTH = 16

# tomllib needs minutes for one key of ten thousand dotted parts, so such a key is refused unread.
_ENDLESS_KEY = re.compile(r"(?<![\w\"'-])(?:[\w\"'-]++[ \t]*+\.[ \t]*+){32}")


def names() -> list[str]:
    """The names of all shipped recipes, sorted."""
    return sorted(path.stem for path in FOLDER.rglob("*.toml"))


def path_of(name: str | Path) -> Path:
    """Where a recipe lies: a shipped recipe by name, or a file by path. A name that a file also has means the file
    only when it ends in `.toml`.

    Raises:
        RecipeError: there is neither; the nearest names are told.
    """
    shipped = {path.stem: path for path in FOLDER.rglob("*.toml")}
    if str(name) in shipped:
        return shipped[str(name)]
    path = Path(name).expanduser()
    if path.is_dir() and (path / "recipe.toml").is_file():
        return path / "recipe.toml"
    if path.is_file():
        return path
    if path.is_dir():
        raise RecipeError(f"{path} is a folder without a recipe.toml; give a file, or one of {', '.join(names())}.")
    close = nearest(path.stem, shipped)
    hint = f"did you mean {close!r}? " if close else ""
    raise RecipeError(f"There is no recipe {str(name)!r}; {hint}Shipped are {', '.join(sorted(shipped))}.")


def read(path: Path) -> dict[str, Any]:
    """The tables of one TOML file, unchecked.

    Raises:
        RecipeError: unreadable, larger than 1 MB, not UTF-8, malformed (with the line), or nested too deeply.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}.") from error
    if len(raw) > MAX_BYTES:
        raise RecipeError(f"{path} is larger than {MAX_BYTES:,} bytes, no recipe is; data belongs in data.seeds.")
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not UTF-8 text (byte {error.start}); a recipe is a TOML file.") from error
    too_deep = RecipeError(f"{path} is nested more than {MAX_DEPTH} levels deep; a recipe is not.")
    if _ENDLESS_KEY.search(text):
        raise too_deep
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path} is not valid TOML: {error}.") from error
    except RecursionError as error:
        raise too_deep from error
    if _depth_exceeds(tables, MAX_DEPTH):
        raise too_deep
    return tables


def load(name_or_path: str | Path, overrides: Sequence[str] = (), *, full: bool = False) -> Recipe:
    """Read a recipe, by shipped name or path, apply `key=value` overrides and check all of it.

    With `full`, the changes under the recipe's own [full] come first.
    The file may use the short forms of `recipes.sugar`; overrides are those of `recipes.overrides`.
    A file without a `name` is named after itself. Relative paths inside mean the folder that the command runs in.

    Raises:
        RecipeError: with the file, the dotted key, what was found there and what is legal.
    """
    path = path_of(name_or_path)
    raw = {"name": path.stem} | read(path)
    try:
        recipe = Recipe.model_validate(sugar.expand(raw))
    except ValidationError as error:
        raise RecipeError(f"{path}: {explain(error, raw)}") from error
    changes = [Override.of(key, value) for key, value in recipe.full.items()] if full else []
    changes += [Override.parse(text) for text in overrides]
    if changes:
        recipe = _overridden(recipe, path, changes)
    check_steps(recipe, path)
    check_objectives(recipe, path)
    return recipe


def dump(recipe: Recipe) -> str:
    """The resolved recipe as TOML, every default spelled out; loading it gives an equal recipe."""
    return tomli_w.dumps(_without_none(recipe.model_dump(mode="json")))


def _overridden(recipe: Recipe, path: Path, overrides: list[Override]) -> Recipe:
    tables = _without_none(recipe.model_dump(mode="json"))
    culprits = [(override, place) for override in overrides for place in apply(tables, override)]
    try:
        return Recipe.model_validate(tables)
    except ValidationError as error:
        loc = tuple(error.errors()[0]["loc"])
        guilty = [o.text for o, place in culprits if loc[: len(place)] == place or place[: len(loc)] == loc]
        said = " ".join(dict.fromkeys(guilty or [o.text for o, _ in culprits]))
        raise RecipeError(f"{path} with {said}: {explain(error, tables)}") from error


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list) else value


def _depth_exceeds(value: Any, limit: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return limit < 0 or any(_depth_exceeds(v, limit - 1) for v in inner)
