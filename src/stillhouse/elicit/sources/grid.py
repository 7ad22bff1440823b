"""`grid`: a record for every combination of axes, or a draw of them (LaMini-LM, UltraChat, CAMEL, AttrPrompt, Phi)."""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from stillhouse.elicit.contract import Result
from stillhouse.elicit.view import value
from stillhouse.errors import RecipeError
from stillhouse.records.types import Origin, Record


def grid(
    sets: Mapping[str, Sequence[Record]],
    rng: random.Random,
    *,
    axes: dict[str, tuple[Any, ...] | str],
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
    cells = list(itertools.product(*values.values()))
    if draw:
        weights = [_product(w for _, w in cell) for cell in cells]
        cells = _draw(cells, weights, min(draw, len(cells)), rng)
    for cell in cells:
        for copy in range(copies):
            fields = dict(zip(values, (v for v, _ in cell), strict=True)) | ({"copy": copy} if copies > 1 else {})
            yield Record((), (), "", dict(carry or {}) | fields, lineage=(Origin("grid"),))


def _values(axis: tuple[Any, ...] | str, sets: Mapping[str, Sequence[Record]], weight: str) -> list[tuple[Any, float]]:
    if not isinstance(axis, str):
        return [
            (v["value"], float(v["weight"])) if isinstance(v, Mapping) and "weight" in v else (v, 1.0) for v in axis
        ]
    name, _, field = axis.partition(".")
    if name not in sets or not field:
        raise RecipeError(
            f'operator \'grid\' has the axis "{axis}"; write "set.field", with one of {", ".join(sorted(sets))}'
        )
    found: dict[str, tuple[Any, float]] = {}
    for record in sets[name]:
        held = value(record, field)
        share = float(value(record, weight) or 0.0) if weight else 1.0
        for element in held if isinstance(held, list | tuple) else [held]:
            if element is not None:
                found.setdefault(repr(element), (element, share))
    return list(found.values())


def _product(factors: Iterator[float]) -> float:
    product = 1.0
    for factor in factors:
        product *= factor
    return product


def _draw(cells: list[Any], weights: list[float], count: int, rng: random.Random) -> list[Any]:
    """`count` different cells by weight (Efraimidis and Spirakis: the largest u^(1/w))."""
    keys = [rng.random() ** (1 / w) if w > 0 else -1.0 for w in weights]
    chosen = sorted(range(len(cells)), key=keys.__getitem__, reverse=True)[:count]
    return [cells[i] for i in sorted(chosen)]
