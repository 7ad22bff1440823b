"""What flows through the house: one Record is one JSON line."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Finish = Literal["stop", "length", "error"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Span:
    """A part of an answer and how much its tokens count in training: 1 as others do, 0 not at all."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Response:
    """One answer to a record's messages.

    `source` is the role that gave it: "reference" (the data set's own golden answer), "teacher", "student", ...
    `finish` is "stop" when the answer ended by itself, so that an end-of-sequence token belongs to it, and "length"
    when it was cut off, so that none does. `tokens` counts the tokens generated (0: unknown). `weight` multiplies its
    loss. `spans`, where given, are the text in parts with weights of their own. `score` is how good somebody found it,
    for the objectives that rank candidates.
    """

    source: str
    text: str
    finish: Finish = "stop"
    tokens: int = 0
    weight: float = 1.0
    spans: tuple[Span, ...] = ()
    score: float | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Response":
        spans = tuple(Span(**span) for span in data.get("spans", ()))
        return cls(**{**data, "spans": spans})


@dataclass(frozen=True, slots=True)
class Origin:
    """One event in a record's life: in which step and round, by which operation, asked of whom with which prompt.

    `prompt` is the hash of the prompt, `parent` the key of the record that this one was made from.
    """

    operation: str
    step: str = ""
    round: int = 0
    role: str = ""
    prompt: str = ""
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A prompt (`messages`) with all answers known for it, and where it comes from.

    `fields` are named values beside the prompt (an instruction, a topic, a verdict); a record may be made of them alone
    until a step writes its messages. `learn` says which assistant turns are targets: the "last" (the response), or
    "all" of the conversation.
    """

    messages: tuple[Message, ...] = ()
    responses: tuple[Response, ...] = ()
    split: str = "train"
    fields: dict[str, Any] = field(default_factory=dict)
    learn: Literal["last", "all"] = "last"
    lineage: tuple[Origin, ...] = ()

    @property
    def key(self) -> str:
        """Content key: the hash of the messages alone; the same prompt has the same key in every file and run.

        Of a record without messages, the hash of its fields.
        """
        return prompt_key(self.messages) if self.messages else content_key(self.fields)

    def answers(self, source: str) -> tuple[Response, ...]:
        """The responses given by `source`, in order."""
        return tuple(r for r in self.responses if r.source == source)

    def adding(self, *responses: Response) -> "Record":
        """A copy of this record with more responses."""
        return replace(self, responses=self.responses + responses)

    def having(self, /, **fields: Any) -> "Record":
        """A copy of this record with more fields, or other values in them."""
        return replace(self, fields=self.fields | fields)

    def without(self, *names: str) -> "Record":
        """A copy of this record without some fields."""
        return replace(self, fields={name: value for name, value in self.fields.items() if name not in names})

    def kept(self, names: Sequence[str] | None) -> dict[str, Any]:
        """Those of the named fields that there are; None stands for all."""
        return {name: v for name, v in self.fields.items() if names is None or name in names}

    def after(self, *events: Origin) -> "Record":
        """A copy of this record with more lineage."""
        return replace(self, lineage=self.lineage + events)

    def child(self, origin: Origin, /, **fields: Any) -> "Record":
        """A new record of fields alone, made from this one: it keeps the split, so nothing held out leaks."""
        return Record((), (), self.split, fields, lineage=(*self.lineage, replace(origin, parent=self.key)))

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads. Not by `dataclasses.asdict`, which copies all of `fields`: ten times as slow."""
        responses = [_named(r) | {"spans": [_named(span) for span in r.spans]} for r in self.responses]
        parts = {"messages": [_named(m) for m in self.messages], "responses": responses}
        return _named(self) | parts | {"lineage": [_named(origin) for origin in self.lineage]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Record":
        return cls(
            messages=tuple(Message(**m) for m in data.get("messages", ())),
            responses=tuple(Response.from_json(r) for r in data.get("responses", ())),
            split=data.get("split", "train"),
            fields=data.get("fields", {}),
            learn=data.get("learn", "last"),
            lineage=tuple(Origin(**o) for o in data.get("lineage", ())),
        )


def _named(part: Message | Span | Response | Origin | Record) -> dict[str, Any]:
    return {name: getattr(part, name) for name in part.__slots__}


def prompt_key(messages: Sequence[Message]) -> str:
    """The content key of a conversation."""
    return content_key([{"role": m.role, "content": m.content} for m in messages])


def content_key(value: Any) -> str:
    """SHA-256 (first 24 hex digits) of a value's canonical JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
