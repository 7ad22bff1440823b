"""Reads what elicitation left in a run folder: what each step took, kept and dropped, and records to look at."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stillhouse.report.lenient import amount, count, objects, parse

STEPS, DROPPED = Path("elicit/steps.json"), Path("elicit/dropped.jsonl")
KEPT = 6
"""Kept records that a page shows."""

PER_REASON = 3
"""Dropped records that a page shows of one reason of a step."""

GROUPS = 40
"""Reasons of steps of which a page shows records."""

Name = tuple[str, str]
"""The stage and the step."""


@dataclass(frozen=True, slots=True)
class Account:
    """One step in one round: records in and out, the dropped ones by reason, and what was asked."""

    name: Name
    use: str
    role: str
    round: int
    took: int
    kept: int
    dropped: Mapping[str, int]
    asked: int
    cached: int
    failed: int
    prompt_tokens: int
    tokens: int
    seconds: float
    cost: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spilt:
    """A dropped record, as it was written, and why it was dropped."""

    name: Name
    round: int
    reason: str
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Grown:
    """An instruction that passed a gate for novelty, and how similar it was to its nearest neighbour, 0 to 1."""

    instruction: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Kitchen:
    """All of it; empty for a run without. `more` counts what is not shown; `damage` says what cannot be read."""

    accounts: tuple[Account, ...] = ()
    dropped: tuple[Spilt, ...] = ()
    more: int = 0
    kept: tuple[Mapping[str, Any], ...] = ()
    grown: tuple[Grown, ...] = ()
    damage: tuple[str, ...] = ()


@dataclass
class _Found:
    dropped: list[Spilt] = field(default_factory=list)
    more: int = 0
    broken: int = 0


def read_kitchen(folder: Path) -> Kitchen:
    """Read elicit/ and the records of a run folder. Nothing there, or damaged, is nothing to show; never an error."""
    if not (folder / STEPS).is_file():
        return Kitchen()
    data = parse((folder / STEPS).read_text(encoding="utf-8", errors="replace"))
    accounts = tuple(_account(row) for row in objects(data))
    damage = [] if isinstance(data, list) else [f"{STEPS} cannot be read; the account of the steps is left out."]
    found = _dropped(folder / DROPPED)
    if found.broken:
        damage.append(f"{DROPPED} has {found.broken} lines that cannot be read; they are left out.")
    kept, grown = _records(folder / "records.jsonl")
    return Kitchen(accounts, tuple(found.dropped), found.more, kept, grown, tuple(damage))


def _account(row: Mapping[str, Any]) -> Account:
    dropped, notes = row.get("dropped"), row.get("notes")
    return Account(
        name=_name(row),
        use=_text(row, "use"),
        role=_text(row, "role"),
        round=count(row.get("round")),
        took=count(row.get("took")),
        kept=count(row.get("kept")),
        dropped={str(r): n for r, v in dropped.items() if (n := count(v))} if isinstance(dropped, dict) else {},
        asked=count(row.get("asked")),
        cached=count(row.get("cached")),
        failed=count(row.get("failed")),
        prompt_tokens=count(row.get("prompt_tokens")),
        tokens=count(row.get("tokens")),
        seconds=amount(row.get("seconds")),
        cost=amount(row.get("cost")),
        notes=tuple(n for n in notes if isinstance(n, str)) if isinstance(notes, list) else (),
    )


def _dropped(path: Path) -> _Found:
    """The first few of every reason of every step; the others are counted."""
    found, shown = _Found(), dict[tuple[Name, str], int]()
    for row in _rows(path):
        record = row.get("record")
        if not isinstance(record, dict):
            found.broken += 1
            continue
        name, reason = _name(row), _text(row, "reason")
        group = (name, reason)
        if shown.get(group, 0) >= PER_REASON or (group not in shown and len(shown) >= GROUPS):
            found.more += 1
            continue
        shown[group] = shown.get(group, 0) + 1
        found.dropped.append(Spilt(name, count(row.get("round")), reason, record))
    return found


def _records(path: Path) -> tuple[tuple[Mapping[str, Any], ...], tuple[Grown, ...]]:
    """A few records that have a lineage, drawn evenly and the same every time, and all that passed a novelty gate."""
    rng = random.Random(1)
    kept: list[Mapping[str, Any]] = []
    grown = []
    seen = 0
    for record in _rows(path):
        if objects(record.get("lineage")):
            seen += 1
            place = rng.randrange(seen)
            if seen <= KEPT:
                kept.append(record)
            elif place < KEPT:
                kept[place] = record
        fields = record.get("fields")
        if isinstance(fields, dict) and (one := _grown(fields)):
            grown.append(one)
    return tuple(kept), tuple(grown)


def _grown(fields: Mapping[str, Any]) -> Grown | None:
    instruction, similarity = fields.get("instruction"), fields.get("similarity")
    if not isinstance(instruction, str) or isinstance(similarity, bool) or not isinstance(similarity, int | float):
        return None
    return Grown(instruction[:300], min(1.0, amount(similarity)))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file, an empty one for a line that is none; a torn last line is not damage."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            row = parse(line)
            if isinstance(row, dict):
                yield row
            elif line.strip() and line.endswith("\n"):
                yield {}


def _name(row: Mapping[str, Any]) -> Name:
    return _text(row, "stage"), _text(row, "step") or _text(row, "use") or "step"


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return " ".join(value.split())[:200] if isinstance(value, str) else ""
