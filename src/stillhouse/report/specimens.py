"""Records to look at: what was dropped and why, what was kept and how it came to be. All of it is data, cut to size."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stillhouse.report.kitchen import Name, Spilt
from stillhouse.report.lenient import objects
from stillhouse.report.samples import Text, visible

LIMIT = 400
"""Characters of a value that are shown."""

PARTS = 8
"""Values of a record that are shown."""

EVENTS = 12
"""Events of a record's life that are shown, the last ones."""


@dataclass(frozen=True, slots=True)
class Specimen:
    """A record as (name, value) pairs, with the events of its life."""

    parts: tuple[tuple[str, Text], ...]
    life: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Spill:
    """Records that one step dropped for one reason."""

    step: str
    reason: str
    records: tuple[Specimen, ...]


def specimen(record: Mapping[str, Any], limit: int = LIMIT) -> Specimen:
    """What can be shown of a record, however it was written."""
    parts = list(_parts(record, limit))
    more = len(parts) - PARTS
    note = f"and {more} more values" if more > 0 else ""
    return Specimen(tuple(parts[:PARTS]), _life(record), note)


def spills(dropped: Sequence[Spilt]) -> tuple[Spill, ...]:
    """The dropped records by step and reason, in order of appearance."""
    groups: dict[tuple[Name, str], list[Spilt]] = {}
    for spilt in dropped:
        groups.setdefault((spilt.name, spilt.reason), []).append(spilt)
    stages = {name[0] for name, _ in groups}
    return tuple(
        Spill(
            f"{stage} · {step}" if len(stages) > 1 and stage else step,
            reason or "no reason given",
            tuple(specimen(spilt.record) for spilt in found),
        )
        for ((stage, step), reason), found in groups.items()
    )


def _parts(record: Mapping[str, Any], limit: int) -> Iterator[tuple[str, Text]]:
    """Messages, then answers, then those fields that are not in a message or an answer already."""
    said = []
    for turn in objects(record.get("messages")):
        said.append((_word(turn.get("role"), "message"), _plain(turn.get("content"))))
    for answer in objects(record.get("responses")):
        said.append((_word(answer.get("source"), "answer"), _plain(answer.get("text"))))
    shown = "\n".join(text for _, text in said)
    fields = record.get("fields")
    named = [(str(name), _plain(value)) for name, value in fields.items()] if isinstance(fields, dict) else []
    for name, text in [*said, *((n, t) for n, t in named if t and t not in shown)]:
        yield name[:40], visible(text, limit)


def _life(record: Mapping[str, Any]) -> tuple[str, ...]:
    """ "expand (round 2, teacher)" for every event; of a long life, the end."""
    events = [_event(event) for event in objects(record.get("lineage"))]
    earlier = len(events) - EVENTS
    return (f"{earlier} earlier", *events[-EVENTS:]) if earlier > 0 else tuple(events)


def _event(event: Mapping[str, Any]) -> str:
    operation, step = _word(event.get("operation"), "?"), _word(event.get("step"), "")
    name = operation if step in ("", operation) else f"{operation} in {step}"
    number, role = event.get("round"), _word(event.get("role"), "")
    where = [f"round {number}"] if isinstance(number, int) and number > 1 else []
    told = ", ".join([*where, *([role] if role else [])])
    return f"{name} ({told})" if told else name


def _word(value: Any, default: str) -> str:
    return " ".join(value.split())[:60] or default if isinstance(value, str) else default


def _plain(value: Any) -> str:
    """A value as text: a number with four digits, what is no text as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else json.dumps(value, ensure_ascii=False)
