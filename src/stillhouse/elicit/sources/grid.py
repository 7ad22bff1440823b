"""`grid`: a record for every combination of axes, or a draw of them (LaMini-LM, UltraChat, CAMEL, AttrPrompt, Phi)."""

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from stillhouse.elicit.contract import Result
from stillhouse.elicit.filters.reading import number
from stillhouse.elicit.view import value
from stillhouse.errors import RecipeError
from stillhouse.records.types import Origin, Record

MOST_WEIGHTED = 1_000_000
"""Combinations from which can be drawn by weight."""


def grid(
    sets: Mapping[str, Sequence[Record]],
    rng: random.Random,
    *,
    axes: Annotated[dict[str, tuple[Any, ...] | str], Field(min_length=1)],
    draw: Annotated[int, Field(ge=0)] = 0,
    copies: Annotated[int, Field(ge=1)] = 1,
    weight: str = "",
    carry: dict[str, Any] | None = None,
) -> Iterator[Result]:
    """m = one value of every axis, as the fields of a new record.

    An axis is a list of values, or "set.field": the values of that field in a set, each once (of a list, its elements).
    All combinations, or `draw` of them without repeats; `copies` of each, numbered as `copy`. `weight`: an axis whose
    values are {"value", "weight"} objects, or the name of the weights' field for "set.field"; it needs `draw`.
    """
    values = {name: _values(axis, sets, weight) for name, axis in axes.items()}
    for cell in _cells(list(values.values()), draw, rng):
        for copy in range(copies):
            fields = dict(zip(values, (v for v, _ in cell), strict=True)) | ({"copy": copy} if copies > 1 else {})
            yield Record((), (), "", dict(carry or {}) | fields, lineage=(Origin("grid"),))


def _cells(axes: Sequence[Sequence[tuple[Any, float]]], draw: int, rng: random.Random) -> Iterable[tuple[Any, ...]]:
    """All combinations, in order, or `draw` of them: then only those are ever made, but for weighted ones."""
    count = math.prod(map(len, axes))
    if not draw:
        return itertools.product(*axes)
    if all(weight == 1 for axis in axes for _, weight in axis):
        return [_cell(axes, number) for number in sorted(rng.sample(range(count), min(draw, count)))]
    if count > MOST_WEIGHTED:
        raise RecipeError(
            f"operator 'grid' draws by weight from {count:,} combinations; {MOST_WEIGHTED:,} are the most"
        )
    cells = list(itertools.product(*axes))
    weights = [math.prod(weight for _, weight in cell) for cell in cells]
    return _draw(cells, weights, min(draw, sum(weight > 0 for weight in weights)), rng)


def _cell(axes: Sequence[Sequence[Any]], number: int) -> tuple[Any, ...]:
    """The combination of that number, the last axis turning fastest."""
    cell: list[Any] = []
    for axis in reversed(axes):
        number, place = divmod(number, len(axis))
        cell.append(axis[place])
    return tuple(reversed(cell))


def _values(axis: tuple[Any, ...] | str, sets: Mapping[str, Sequence[Record]], weight: str) -> list[tuple[Any, float]]:
    if not isinstance(axis, str):
        return [
            (v["value"], float(v["weight"])) if isinstance(v, Mapping) and {"value", "weight"} <= v.keys() else (v, 1.0)
            for v in axis
        ]
    name, _, field = axis.partition(".")
    if name not in sets or not field:
        raise RecipeError(
            f'operator \'grid\' has the axis "{axis}"; write "set.field", with one of {", ".join(sorted(sets))}'
        )
    found: dict[str, tuple[Any, float]] = {}
    for record in sets[name]:
        held = value(record, field)
        share = number(record, weight) or 0.0 if weight else 1.0
        for element in held if isinstance(held, list | tuple) else [held]:
            if element is not None:
                found.setdefault(repr(element), (element, share))
    return list(found.values())


def _draw(cells: list[Any], weights: list[float], count: int, rng: random.Random) -> list[Any]:
    """`count` different cells by weight (Efraimidis and Spirakis: the largest u^(1/w))."""
    keys = [rng.random() ** (1 / w) if w > 0 else -1.0 for w in weights]
    chosen = sorted(range(len(cells)), key=keys.__getitem__, reverse=True)[:count]
    return [cells[i] for i in sorted(chosen)]
