"""Overrides: `key=value` words that change a recipe from the command line.

    train.lr=2e-5                    in every stage that trains
    stage.distil.train.lr=2e-5       in the stage "distil" (stage.0 is the first)
    train.objective.dpkd.beta=0.2    in the objective of that name (train.objective.0: the first of every stage)
    eval.limit=20                    in every entry of a list
    seeds=my.jsonl  teacher=NAME  student=NAME      short for data.seeds, teacher.model, student.model
    data.limit=none                  takes the key away, so that its default holds

A value is read as TOML (`0.1`, `true`, `["teacher", "student"]`); any other word is text. Naming one origin of
the student (keep_layers, model, config) takes the other ones away.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from stillhouse.errors import RecipeError
from stillhouse.recipes.sugar import PARTS

SHORT = {"seeds": "data.seeds", "teacher": "teacher.model", "student": "student.model"}
ORIGINS = frozenset({"keep_layers", "model", "config"})

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Override:
    """One parsed `key=value`; `value` None takes the key away."""

    text: str
    keys: tuple[str, ...]
    value: Any

    @classmethod
    def parse(cls, text: str) -> "Override":
        """Raises RecipeError when it is not of the form key=value."""
        key, equals, value = text.partition("=")
        if not equals or not _is_dotted(key.strip()):
            raise RecipeError(f"{text!r} is not an override; write dotted.key=value, as in train.lr=2e-5.")
        return cls(text, _keys(key.strip()), parse_value(value.strip(), text))

    @classmethod
    def of(cls, key: str, value: Any) -> "Override":
        """The override of a key with a value as it is, from a recipe's [full]. Raises RecipeError for a faulty key."""
        if not _is_dotted(key):
            raise RecipeError(f"full has the key {key!r}; write a dotted key in quotation marks, as 'train.lr' = 2e-5.")
        return cls(f"{key}={value}", _keys(key), value)


def _is_dotted(key: str) -> bool:
    return re.fullmatch(r"[\w-][\w ,-]*(\.[\w-][\w ,-]*){0,15}", key) is not None


def _keys(key: str) -> tuple[str, ...]:
    return tuple(SHORT.get(key, key).split("."))


def parse_value(word: str, whole: str = "") -> Any:
    """A word as TOML where it is TOML, else as text; "none" is None.

    Raises:
        RecipeError: the word opens a list, a table or a quotation but is not valid TOML.
    """
    if word == "none":
        return None
    try:
        parsed = tomllib.loads(f"value = {word}")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        if word[:1] in ("[", "{", '"'):
            raise RecipeError(f"The value of {whole or word!r} is not TOML ({error}); quote its words.") from error
        return word
    value = parsed["value"]
    return word if len(parsed) > 1 or isinstance(value, date | time) else value


def apply(tables: dict[str, Any], override: Override) -> list[Place]:
    """Change the tables of a resolved recipe in place; the places that were changed.

    Raises:
        RecipeError: the key leads nowhere.
    """
    keys = override.keys
    if keys[0] in PARTS:
        places = [
            ("stage", i, *place)
            for i, stage in _meant(tables["stage"], keys)
            if len(keys) == 1 or stage.get(keys[0])
            for place in _assign(stage, keys, override, ("stage", i))
        ]
        if not places:
            raise RecipeError(f"{override.text} changes nothing: no stage of {tables['name']!r} has a {keys[0]!r}.")
        return places
    if keys[0] == "student" and keys[-1] in ORIGINS and override.value is not None:
        for other in ORIGINS - {keys[1]}:
            tables["student"].pop(other, None)
    return list(_assign(tables, keys, override, ()))


def _meant(stages: list[dict[str, Any]], keys: tuple[str, ...]) -> list[tuple[int, dict[str, Any]]]:
    """The stages that a key speaks of: those with an entry that it names, or else all."""
    numbered = list(enumerate(stages))
    return [(i, stage) for i, stage in numbered if _names_entry(stage, keys)] or numbered


def _names_entry(node: Any, keys: tuple[str, ...]) -> bool:
    for key in keys:
        if isinstance(node, list):
            return key in _titles(node)
        node = node.get(key) if isinstance(node, dict) else None
    return False


def _titles(entries: list[Any]) -> list[str]:
    """What the entries of a list are called: their `name` or `use`, or else their number."""
    return [str(e.get("name") or e.get("use")) if isinstance(e, dict) else str(i) for i, e in enumerate(entries)]


def _assign(node: Any, keys: tuple[str, ...], override: Override, at: Place) -> Iterator[Place]:
    if isinstance(node, list):
        yield from _assign_entries(node, keys, override, at)
        return
    if not isinstance(node, dict):
        raise RecipeError(f"{override.text}: {_spell(at)} is a single value ({node!r}), it has no {keys[0]!r}.")
    key, rest = keys[0], keys[1:]
    if rest:
        inner = node.setdefault(key, {})
        yield from ((key, *place) for place in _assign(inner, rest, override, (*at, key)))
        return
    if override.value is None:
        node.pop(key, None)
    else:
        node[key] = override.value
    yield (key,)


def _assign_entries(node: list[Any], keys: tuple[str, ...], override: Override, at: Place) -> Iterator[Place]:
    """Into one entry of a list (by number, or by its `name` or `use`), or into all of them."""
    titles = _titles(node)
    called = [i for i, title in enumerate(titles) if title == keys[0]]
    if keys[0].isdecimal():
        chosen, rest = [int(keys[0])], keys[1:]
    elif called:
        chosen, rest = called, keys[1:]
    else:
        chosen, rest = list(range(len(node))), keys
    if not chosen or chosen[-1] >= len(node) or (at[-1:] == ("stage",) and rest == keys):
        legal = ", ".join(titles) or "no entries"
        raise RecipeError(f"{override.text}: there is no {keys[0]!r} in {_spell(at)}; it has {legal}.")
    for i in chosen:
        if rest:
            yield from ((i, *place) for place in _assign(node[i], rest, override, (*at, i)))
        else:
            node[i] = override.value
            yield (i,)


def _spell(at: Place) -> str:
    return ".".join(map(str, at)) or "the recipe"
