"""The order of work in a run: stages, each a number of rounds. One round of one stage is a lap."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from stillhouse.elicit.funnel import Funnel
from stillhouse.elicit.kitchen import Dishes
from stillhouse.elicit.templates import holds
from stillhouse.recipe import Stage, Train
from stillhouse.records.store import read_jsonl, write_atomic, write_jsonl
from stillhouse.records.types import Record, content_key
from stillhouse.run import Run

DONE, STEPS, DROPPED = "done.json", "steps.json", "dropped.jsonl"


@dataclass(frozen=True)
class Lap:
    """One round of a stage, and its folder, which holds the sets that it changed once it is elicited."""

    run: Run
    stage: Stage
    round: int = 1

    @property
    def name(self) -> str:
        return self.stage.name if self.stage.rounds == 1 else f"{self.stage.name}-{self.round:02d}"

    @property
    def folder(self) -> Path:
        return self.run.kitchen / self.name

    @property
    def train(self) -> Train | None:
        """How it trains; from round to round for more steps, if the recipe says so."""
        train = self.stage.train
        if train is None or train.growth == 1:
            return train
        return train.model_copy(update={"steps": max(1, round(train.steps * train.growth ** (self.round - 1)))})

    @property
    def model_dir(self) -> Path:
        """Where its student is kept, unless it is the run's last."""
        return self.run.train_dir(self.name) / "model"

    def asks(self, role: str) -> bool:
        """Whether any of its steps asks this role: "student" as it is by then, "untrained" as it was."""
        return any(_names(step.model_dump(mode="json"), role) for step in self.stage.step)

    @property
    def is_last_round(self) -> bool:
        """Known once it is elicited: the round that meets `until`, or the last one that there is."""
        return self.round >= self.stage.rounds or bool(self._done.get("ended"))

    @property
    def is_done(self) -> bool:
        """Whether its steps have been done once, whatever of."""
        return bool(self._done)

    def is_elicited(self, key: str) -> bool:
        """Whether its sets are there, made from what `key` stands for."""
        return self._done.get("key") == key

    def sets(self, before: Mapping[str, Sequence[Record]]) -> dict[str, list[Record]]:
        """All sets after it: those before, with its own in their place."""
        changed = {path.stem: path for path in sorted((self.folder / "sets").glob("*.jsonl"))}
        read = {name: [Record.from_json(row) for _, row in read_jsonl(path)] for name, path in changed.items()}
        return {name: list(records) for name, records in before.items()} | read

    def keep(self, key: str, before: Mapping[str, Sequence[Record]], dishes: Dishes) -> None:
        """Write what it made, in place of what it made before; last of all that it is done."""
        (self.folder / "sets").mkdir(parents=True, exist_ok=True)
        for stale in (self.folder / DONE, *(self.folder / "sets").glob("*.jsonl")):
            stale.unlink(missing_ok=True)
        for name, records in dishes.sets.items():
            if list(before.get(name, ())) != records:
                write_jsonl(self.folder / "sets" / f"{name}.jsonl", (r.to_json() for r in records))
        write_jsonl(self.folder / STEPS, (funnel.to_json() for funnel in dishes.funnels))
        write_jsonl(self.folder / DROPPED, (_dropped(f, r.record, r.reason) for f, r in dishes.dropped))
        ended = bool(self.stage.until) and holds(self.stage.until, self._sizes(before, dishes.sets))
        done = {"key": key, "ended": ended, "sizes": {name: len(records) for name, records in dishes.sets.items()}}
        write_atomic(self.folder / DONE, json.dumps(done, ensure_ascii=False) + "\n")
        self.__dict__.pop("_done", None)

    def _sizes(self, before: Mapping[str, Sequence[Record]], after: Mapping[str, Sequence[Record]]) -> dict[str, Any]:
        was = {name: len(records) for name, records in before.items()}
        return {"round": self.round, "size": {name: len(r) for name, r in after.items()}, "was": was}

    @cached_property
    def _done(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / DONE).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def laps(run: Run) -> Iterator[Lap]:
    """All laps in order. Whether a round is a stage's last shows when it is elicited: do that before the next."""
    for stage in run.recipe.stage:
        for number in range(1, stage.rounds + 1):
            lap = Lap(run, stage, number)
            yield lap
            if lap.is_last_round:
                break


def trains_later(run: Run, lap: Lap) -> bool:
    """Whether any lap after this one trains."""
    stages = run.recipe.stage
    later = stages[stages.index(lap.stage) + 1 :]
    return any(stage.train for stage in later) or (lap.train is not None and not lap.is_last_round)


def key_of(lap: Lap, before: str, sets: Mapping[str, Sequence[Record]], again: Mapping[str, int], student: str) -> str:
    """What the sets after a lap are made of: its steps, the lap before it, the data it begins with, and the student."""
    recipe = lap.run.recipe
    models = [recipe.teacher.model_dump(mode="json"), {n: m.model_dump(mode="json") for n, m in recipe.roles.items()}]
    steps = [step.model_dump(mode="json", exclude={"batch_size"}) for step in lap.stage.step]
    begun = {name: list(map(_content, records)) for name, records in sets.items()} if not before else {}
    return content_key(
        [before, lap.round, lap.stage.until, steps, recipe.templates, models, begun, dict(again), student]
    )


def _content(record: Record) -> list[Any]:
    """All of a record that a step can see."""
    turns, answers = [[m.role, m.content] for m in record.messages], [[r.source, r.text] for r in record.responses]
    return [turns, answers, record.split, record.fields]


def write_account(run: Run, done: Sequence[Lap]) -> None:
    """Gather the accounts of all laps for the report: elicit/steps.json and elicit/dropped.jsonl."""
    if not run.kitchen.is_dir():
        return
    funnels = [row for lap in done if (lap.folder / STEPS).exists() for _, row in read_jsonl(lap.folder / STEPS)]
    dropped = [row for lap in done if (lap.folder / DROPPED).exists() for _, row in read_jsonl(lap.folder / DROPPED)]
    write_atomic(run.kitchen / STEPS, json.dumps(funnels, ensure_ascii=False, indent=1) + "\n")
    write_jsonl(run.kitchen / DROPPED, dropped)


def _dropped(funnel: Funnel, record: Record, reason: str) -> dict[str, Any]:
    return {
        "stage": funnel.stage,
        "round": funnel.round,
        "step": funnel.step,
        "reason": reason,
        "record": record.to_json(),
    }


def _names(value: Any, role: str) -> bool:
    """Whether a step names the role, as its own or in a setting (`roles`, a speaker's `role`, ...)."""
    if isinstance(value, dict):
        named = [v for k, v in value.items() if k in ("role", "roles", "critic", "reviser")]
        return any(role == v or (isinstance(v, list) and role in v) for v in named) or any(
            _names(inner, role) for inner in value.values()
        )
    return isinstance(value, list) and any(_names(inner, role) for inner in value)
