"""Reads what may be half written: a line, a list or a number that is not what it should be is left out."""

import json
import math
from typing import Any


def parse(text: str) -> Any:
    """The value of a JSON text; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in a list."""
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def amount(value: Any) -> float:
    """A finite number that is not negative, else 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    try:
        number = float(value)
    except OverflowError:
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


def count(value: Any) -> int:
    """The same as a whole number."""
    return int(amount(value))
