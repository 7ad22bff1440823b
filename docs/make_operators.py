"""Writes docs/operators.md from the docstrings and signatures of all operators and parsers: `make docs`."""

import inspect
import sys
from collections.abc import Callable
from inspect import Parameter
from pathlib import Path
from typing import Any

from stillhouse.elicit.catalogue import OPERATORS
from stillhouse.elicit.contract import needs
from stillhouse.elicit.parsers import PARSERS
from stillhouse.elicit.parsers.items import sound

HERE = Path(__file__).parent
ROOMS = {
    "sources": "Sources: records without asking anybody",
    "generation": "Generation: asking for new text",
    "parsers": "Parsing",
    "filters": "Filters: keep, or drop with a reason",
    "judges": "Judges: verdicts as fields",
    "search": "Search",
    "sandbox": "Programs",
    "shape": "Shape: fields, lists, sets",
}
HEADER = """# Operators

A recipe's `[[step]]` names one of these with `use`; its settings are the step's other keys. An operator is a generator
over the records of the step's input set: what it yields goes on, what it drops is counted with the reason. Keys that
all steps have (`input`, `output`, `add`, `dropped`, `when`, `splits`, `role` and how it is sampled) stand in
[recipe.py](../src/stillhouse/recipe.py). Templates are Jinja over a record's fields, its `messages`, `prompt`, `system`
and each source's answer; a text `"@NAME"` stands for that one of the recipe's `[templates]`. This page is made from the
docstrings by `make docs`.
"""

PARSING = """## Parsers

The `parse` table of a step: `parse = {{ use = "fields", kind = "numbered" }}`. What cannot be read is never guessed: it
is dropped with the reason. All have these settings: {settings}.
"""


def page() -> str:
    """The whole of docs/operators.md."""
    parts = [HEADER]
    for room, title in ROOMS.items():
        named = {name: operator for name, operator in OPERATORS.items() if operator.__module__.split(".")[2] == room}
        parts.append(f"## {title}\n")
        parts += [_entry(name, operator, f"given {', '.join(needs(operator))}") for name, operator in named.items()]
    parts.append(PARSING.format(settings=_settings(sound)))
    parts += [_entry(name, parser, "") for name, parser in PARSERS.items()]
    return "\n".join(parts).rstrip() + "\n"


def _entry(name: str, function: Callable[..., Any], given: str) -> str:
    settings = _settings(function) or "none"
    used = inspect.getdoc(inspect.getmodule(function)) or ""
    about = used.splitlines()[0].partition(": ")[2] if given else ""
    words = inspect.getdoc(function) if not about else f"{about[0].upper()}{about[1:]}\n\n{inspect.getdoc(function)}"
    facts = f"*Settings:* {settings}." + (f" *Given:* {given.removeprefix('given ')}." if given else "")
    return f"### `{name}`\n\n{words}\n\n{facts}\n"


def _settings(function: Callable[..., Any]) -> str:
    parameters = inspect.signature(function).parameters.values()
    return ", ".join(f"`{_setting(p)}`" for p in parameters if p.kind is Parameter.KEYWORD_ONLY)


def _setting(parameter: Parameter) -> str:
    if parameter.default is Parameter.empty:
        return parameter.name
    shown = repr(parameter.default)
    return f"{parameter.name}={shown if len(shown) <= 40 else '...'}"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "operators.md"
    target.write_text(page(), encoding="utf-8")
    print(target)
