"""How long to wait before asking a server again."""

import math
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_WAIT = 60.0
"""Seconds: the longest wait; a server that asks for more stops the run."""


def told_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by a reply's retry-after-ms or Retry-After (seconds or an HTTP date); None if it says nothing."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _number(headers.get(name, "")) * unit
        if seconds >= 0:
            return seconds
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def backoff(tried: int) -> float:
    """Seconds to wait after `tried` tries (1, 2, ...): doubling from 1, with jitter down to half, at most MAX_WAIT."""
    return min(MAX_WAIT, 2.0 ** (tried - 1)) * random.uniform(0.5, 1.0)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return -1.0
    return value if math.isfinite(value) else -1.0
