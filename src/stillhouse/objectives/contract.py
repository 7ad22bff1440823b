"""An objective's signature is its contract: positional parameters are what it needs, keyword-only ones its settings."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from inspect import Parameter
from typing import Any, get_type_hints

from torch import Tensor

from stillhouse.errors import RecipeError
from stillhouse.objectives.inputs import TENSORS
from stillhouse.signature import checked, name_of, parameters

Objective = Callable[..., Tensor]


def needs(objective: Objective) -> tuple[str, ...]:
    """The names of the tensors that the objective cannot do without, in order. Raises as `takes` does."""
    required = {p.name for p in parameters(objective, _called(objective)) if p.default is Parameter.empty}
    return tuple(name for name in takes(objective) if name in required)


def takes(objective: Objective) -> tuple[str, ...]:
    """The names of all tensors that the objective takes, in order; those with a default of None may be missing.

    Raises RecipeError where a name is outside `inputs.TENSORS`.
    """
    names = tuple(p.name for p in parameters(objective, _called(objective)) if p.kind is not Parameter.KEYWORD_ONLY)
    for name in names:
        if name not in TENSORS:
            raise RecipeError(f"{_called(objective)} needs '{name}', {_nearest(name, TENSORS)}")
    return names


def defaults(objective: Objective) -> dict[str, Any]:
    """Every setting at its default."""
    return {p.name: p.default for p in parameters(objective, _called(objective)) if p.kind is Parameter.KEYWORD_ONLY}


def is_per_sequence(objective: Objective) -> bool:
    """Whether the objective returns one number a sequence (pair, prompt), not one a token: its return type says so.

    Raises RecipeError for an objective that does not say.
    """
    axes = getattr(get_type_hints(objective).get("return"), "dim_str", "")
    if axes not in ("B", "B T", "*batch"):
        raise RecipeError(
            f"{_called(objective)} does not say what it returns; "
            'annotate it: -> Float[Tensor, "*batch"] for one number a token, Float[Tensor, "B"] for one a sequence'
        )
    return axes == "B"


def check_settings(objective: Objective, settings: Mapping[str, Any]) -> None:
    """Raises RecipeError for a key that the objective has not, naming the legal ones, and for a value out of range."""
    checked(objective, settings, _called(objective), strict=True)


def _called(objective: Objective) -> str:
    return f"objective '{name_of(objective)}'"


def _nearest(name: str, legal: Mapping[str, Any]) -> str:
    near = get_close_matches(name, legal, n=3) or list(legal)
    return f"which is no known tensor; the nearest are {', '.join(near)}"
