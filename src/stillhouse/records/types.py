"""What flows through the house: one Record is one JSON line."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Finish = Literal["stop", "length", "error"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Response:
    """One answer to a record's messages.

    `source` is the role that gave it: "reference" (the data set's own golden answer), "teacher", "student", ...
    `finish` is "stop" when the answer ended by itself, so that an end-of-sequence token belongs to it, and "length"
    when it was cut off, so that none does. `tokens` counts the tokens generated (0: unknown).
    """

    source: str
    text: str
    finish: Finish = "stop"
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """A prompt (`messages`) with all answers known for it, and where it comes from."""

    messages: tuple[Message, ...]
    responses: tuple[Response, ...] = ()
    split: str = "train"
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Content key: the hash of the messages alone; the same prompt has the same key in every file and run."""
        return content_key([asdict(m) for m in self.messages])

    def answers(self, source: str) -> tuple[Response, ...]:
        """The responses given by `source`, in order."""
        return tuple(r for r in self.responses if r.source == source)

    def adding(self, *responses: Response) -> "Record":
        """A copy of this record with more responses."""
        return replace(self, responses=self.responses + responses)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Record":
        return cls(
            messages=tuple(Message(**m) for m in data["messages"]),
            responses=tuple(Response(**r) for r in data.get("responses", ())),
            split=data.get("split", "train"),
            meta=data.get("meta", {}),
        )


def content_key(value: Any) -> str:
    """SHA-256 (first 24 hex digits) of a value's canonical JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
