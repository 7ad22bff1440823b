"""What all judges have in common: a template over candidates, and scores read from each of several answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.generation.asking import Parse, prompt_of, replies

Texts = Sequence[str]


def verdicts(
    ask: Ask,
    values: Sequence[Mapping[str, Any]],
    template: str,
    system: str,
    parse: Parse,
    *,
    samples: int,
    retries: int,
) -> list[list[dict[str, Any]]]:
    """The readable verdicts on each of the values: their fields."""
    prompts = [prompt_of(template, shown, system=system) for shown in values]
    rows = replies(ask, prompts, parse, samples=samples, retries=retries)
    return [[reply.items[0] | {"said": reply.answer.text} for reply in row if not reply.reason] for row in rows]


def finite(found: Any) -> float | None:
    """A number as one; None for whatever else a judge may have said."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if abs(found) < 1e300 else None  # not nan, nor one too large for a float


def mean(numbers: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(numbers) / len(numbers)
