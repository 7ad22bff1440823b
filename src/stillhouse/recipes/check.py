"""What is wrong with a recipe, in one sentence."""

import difflib
import types
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from stillhouse.errors import ConfigError, RecipeError
from stillhouse.recipe import Recipe, Stage
from stillhouse.recipes.sugar import PARTS

if TYPE_CHECKING:
    from stillhouse.objectives.contract import Objective

Place = tuple[str | int, ...]


def nearest(word: str, legal: Iterable[str]) -> str:
    """The legal name closest to a mistyped one, or ""."""
    return next(iter(difflib.get_close_matches(word, list(legal), n=1, cutoff=0.5)), "")


def explain(error: ValidationError, raw: dict[str, Any]) -> str:
    """The first fault of a recipe as a sentence: the dotted key, what was found, what is legal.

    `raw` is the file as written, so that a key is called as its author wrote it.
    """
    faults = error.errors()
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    place = _known_part(fault["loc"])
    same = [f for f in faults if _known_part(f["loc"]) == place and f["type"] != "extra_forbidden"]
    key = _spell(place, raw)
    if fault["type"] == "extra_forbidden":
        return _unknown_key(key, place)
    if fault["type"] == "missing":
        if place == ("stage",):
            return "it has nothing to do; give it a [train], [[step]] or [[eval]], or [[stage]] with these."
        return f"{key} is missing."
    if fault["type"] == "value_error":
        return f"{key or 'the recipe'}: {fault['msg'].removeprefix('Value error, ')}."
    found = fault["input"] if fault["loc"] == place else _at(raw, place, fault["input"])
    wanted = _either(same)
    close = nearest(found, _literals(same)) if isinstance(found, str) else ""
    return f"{key} is {_show(found)}, but it {wanted}{f'; did you mean {close!r}?' if close else '.'}"


def check_steps(recipe: Recipe, path: Path) -> None:
    """Every step names an operator, with settings that it has, templates that are Jinja, guards that are expressions.

    Raises:
        RecipeError: with the file and the step.
    """
    from stillhouse.elicit.catalogue import resolve
    from stillhouse.elicit.check import check_operator
    from stillhouse.elicit.templates import check_guard

    known = {"records", "seeds", *recipe.data.sets}
    known |= {name for stage in recipe.stage for step in stage.step for name in (step.output, step.dropped) if name}
    for stage in recipe.stage:
        where = "step" if len(recipe.stage) == 1 else f"stage.{stage.name}.step"
        if stage.train_on not in known:
            raise RecipeError(f"{path}: stage.{stage.name}.train_on: {_no_set(stage.train_on, known)}.")
        for i, step in enumerate(stage.step):
            try:
                check_operator(resolve(step.use), step.settings, recipe.templates)
                check_guard(step.when)
                if unknown := [name for name in step.inputs if name not in known]:
                    raise RecipeError(_no_set(unknown[0], known))
            except ConfigError as error:
                raise RecipeError(f"{path}: {where}.{i} ({step.title}): {str(error).rstrip('.')}.") from error
        try:
            check_guard(stage.until)
        except ConfigError as error:
            raise RecipeError(f"{path}: stage.{stage.name}.until: {str(error).rstrip('.')}.") from error


def _no_set(name: str, known: set[str]) -> str:
    close = nearest(name, known)
    hint = f"did you mean {close!r}? " if close else ""
    return f"there is no set {name!r}; {hint}There are {', '.join(sorted(known))}"


def check_objectives(recipe: Recipe, path: Path) -> None:
    """Every stage that trains has objectives, each known and with settings that it has.

    Raises:
        RecipeError: with the file and the dotted key.
    """
    from stillhouse.objectives.catalogue import resolve  # brings torch, which reading a recipe otherwise does without

    for stage in recipe.stage:
        if stage.train is None:
            continue
        where = "train.objective" if len(recipe.stage) == 1 else f"stage.{stage.name}.train.objective"
        if not stage.train.objective:
            raise RecipeError(f'{path}: {where} is empty; give it at least one entry, as in use = "forward_kl".')
        for i, term in enumerate(stage.train.objective):
            try:
                _check_settings(resolve(term.use), term.settings)
            except ConfigError as error:
                raise RecipeError(f"{path}: {where}.{i}: {str(error).rstrip('.')}.") from error


def _check_settings(objective: "Objective", settings: dict[str, Any]) -> None:
    """Names first, then each value against the type in the objective's signature."""
    from stillhouse.objectives.contract import check_settings

    check_settings(objective, settings)
    kinds = get_type_hints(objective)
    for key, value in settings.items():
        try:
            TypeAdapter(kinds.get(key, Any)).validate_python(value, strict=True)
        except ValidationError as error:
            wanted = _either(error.errors())
            raise RecipeError(f"{key} is {_show(value)}, but it {wanted}") from error


def _unknown_key(key: str, place: Place) -> str:
    model, word = _model_at(place[:-1]), str(place[-1])
    legal = list(model.model_fields) if model else []
    if len(place) == 1:
        legal += PARTS
    close = _elsewhere(word) or nearest(word, legal)
    hint = f"did you mean {close!r}? " if close else ""
    return f"unknown key {key}; {hint}Legal here: {', '.join(legal)}."


def _elsewhere(word: str) -> str:
    """A key that is legal, but in another table: "steps" is "train.steps"."""
    tables = dict.fromkeys(("teacher", "student", "data"), Recipe) | dict.fromkeys(PARTS, Stage)
    inner = {name: _model_in(home.model_fields[name].annotation) for name, home in tables.items()}
    return next((f"{name}.{word}" for name, model in inner.items() if model and word in model.model_fields), "")


_PLAIN = {
    "valid integer, unable to parse string as an integer": "whole number",
    "valid number, unable to parse string as a number": "number",
    "valid integer": "whole number",
    "valid dictionary or instance of": "table of the kind",
    "tuple": "list",
    "List": "list",
    " after validation": "",
}


def _wanted(fault: ErrorDetails) -> str:
    """What a value should be, as words that follow "it"."""
    if fault["type"] == "literal_error":
        return f"should be one of {fault.get('ctx', {}).get('expected', 'a few words')}"
    if fault["type"] == "string_pattern_mismatch":
        return "should be a word of letters, digits, dots, dashes and underscores"
    words = fault["msg"].removeprefix("Input ").removeprefix("Tuple ").removeprefix("String ")
    for theirs, ours in _PLAIN.items():
        words = words.replace(theirs, ours)
    return words[:1].lower() + words[1:]


def _either(faults: Iterable[ErrorDetails]) -> str:
    return " or ".join(dict.fromkeys(map(_wanted, faults))).replace(" or should be ", " or ")


def _literals(faults: list[ErrorDetails]) -> list[str]:
    expected = [f["ctx"]["expected"] for f in faults if f["type"] == "literal_error" and "ctx" in f]
    return [word.strip("'") for line in expected for word in line.replace(" or ", ", ").split(", ")]


def _show(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else "a table" if isinstance(value, dict) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _known_part(loc: tuple[int | str, ...]) -> Place:
    """The place without the tags that pydantic adds for the members of a union."""
    place: Place = ()
    for part in loc:
        if isinstance(part, str) and place and _model_at(place) is None:
            break
        place += (part,)
    return place


def _model_at(place: Place) -> type[BaseModel] | None:
    """The schema class that describes a place of a recipe; None where a plain value lies."""
    model: type[BaseModel] | None = Recipe
    for part in place:
        if isinstance(part, str):
            field = model.model_fields.get(part) if model else None
            model = _model_in(field.annotation) if field else None
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType, Annotated, tuple):
        return next((m for m in map(_model_in, get_args(annotation)) if m), None)
    return None


def _spell(place: Place, raw: dict[str, Any]) -> str:
    """A dotted key as the author of the file wrote it: without the stage where there is but one, with its name else."""
    if len(place) > 2 and place[0] == "stage":
        stages = raw.get("stage")
        alone = not isinstance(stages, list) or [_at(stages, (i, "name"), "") for i in range(len(stages))] == ["main"]
        if alone or (place[2] in raw and _at(stages, place[1:], None) is None):
            place = place[2:]
        else:
            place = ("stage", str(_at(stages, (place[1], "name"), place[1])), *place[2:])
    return ".".join(map(str, place))


def _at(node: Any, place: Place, default: Any) -> Any:
    """What lies at a place of any nest of tables and lists."""
    for part in place:
        match node, part:
            case dict(), _ if part in node:
                node = node[part]
            case list(), int() if part < len(node):
                node = node[part]
            case _:
                return default
    return node
