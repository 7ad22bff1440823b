"""What a step took, kept and dropped, and what it cost."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Funnel:
    """The account of one step in one round.

    took, kept: records in and out (a step may make several of one); dropped: the others, by reason. requests: different
    questions; of those, cached: answered in the journal; refused: not askable; asked: answered now; failed: without an
    answer. prompt_tokens, tokens: read and generated now; seconds: spent now; cost: of the tokens asked now, where the
    role has a price. `notes` says what went wrong, a sentence each.
    """

    step: str = ""
    use: str = ""
    role: str = ""
    stage: str = ""
    round: int = 1
    took: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    cached: int = 0
    refused: int = 0
    asked: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    tokens: int = 0
    seconds: float = 0.0
    cost: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Requests that need no more waiting for, of `requests`."""
        return self.cached + self.refused + self.asked

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {
            "dropped": dict(self.dropped),
            "seconds": round(self.seconds, 3),
        }
