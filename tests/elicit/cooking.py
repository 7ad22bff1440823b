"""Steps cooked by a script: what came of them, and everything that was asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillhouse.elicit.funnel import Funnel
from stillhouse.elicit.kitchen import Kitchen
from stillhouse.elicit.notebook import Notebook
from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.endpoints.scripted import Scripted
from stillhouse.recipe import Step
from stillhouse.records.types import Message, Record

Script = Callable[[tuple[Message, ...], Sampling], str | Answer]


def silent(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    raise AssertionError(f"asked {prompt[-1].content!r}")


@dataclass
class Cooked:
    """`out`: the set "records" afterwards. `asked`: the last turn of every question."""

    sets: dict[str, list[Record]]
    funnels: list[Funnel]
    why: list[str]
    calls: list[tuple[Message, ...]]

    @property
    def out(self) -> list[Record]:
        return self.sets["records"]

    @property
    def asked(self) -> list[str]:
        return [prompt[-1].content for prompt in self.calls]

    def all(self, field: str) -> list[Any]:
        """A field of all records."""
        return [record.fields.get(field) for record in self.out]


def cook(
    folder: Path,
    records: Sequence[Record],
    *steps: Step | dict[str, Any],
    script: Script = silent,
    sets: Mapping[str, Sequence[Record]] | None = None,
    round: int = 1,
    **kitchen: Any,
) -> Cooked:
    """The steps over the set "records", with a journal in the folder; steps are greedy unless they say otherwise."""
    endpoint = Scripted(script)
    made = [s if isinstance(s, Step) else Step.model_validate({"temperature": 0.0} | s) for s in steps]
    with Notebook(folder / "journal.jsonl") as notebook:
        every = Everyone(endpoint)
        dishes = Kitchen(every, notebook, **kitchen).cook(made, {"records": records, **(sets or {})}, round=round)
    why = [dropped.reason for _, dropped in dishes.dropped]
    return Cooked(dishes.sets, dishes.funnels, why, endpoint.calls)


@dataclass
class Everyone:
    """One endpoint in all roles."""

    endpoint: Scripted

    def __getitem__(self, role: str) -> Scripted:
        return self.endpoint


def of(*fields: dict[str, Any]) -> list[Record]:
    """Records of fields alone."""
    return [Record(split="train", fields=one) for one in fields]
