"""Steps over named sets of records: the one place that runs operators, and accounts for every record."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stillhouse.elicit.ask import Ask, Roles
from stillhouse.elicit.catalogue import resolve
from stillhouse.elicit.contract import Dropped, Result, needs, settings_of
from stillhouse.elicit.funnel import Funnel
from stillhouse.elicit.notebook import Notebook
from stillhouse.elicit.templates import holds, shared_in
from stillhouse.elicit.view import view
from stillhouse.endpoints.base import Sampling
from stillhouse.endpoints.price import Price
from stillhouse.errors import RecipeError
from stillhouse.recipe import Model, Step
from stillhouse.records.types import Record, content_key

Sets = Mapping[str, Sequence[Record]]

SAMPLES = 5
"""Dropped records that are kept to be looked at, per reason of a step."""

Watch = Callable[[Funnel], None]


@dataclass(frozen=True)
class Kitchen:
    """What steps work with: who answers, what was answered, and who is told.

    `split` gives new records their part, train or held out, so that whatever is made of them stays there. `again` names
    steps whose sampled answers are wanted anew, and how often that was asked. `told` hears of every finished step.
    """

    endpoints: Roles
    notebook: Notebook
    models: Mapping[str, Model] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)
    split: Callable[[Sequence[Record]], list[Record]] = list
    again: Mapping[str, int] = field(default_factory=dict)
    progress: Callable[[Step], Watch] | None = None
    told: Watch | None = None
    stop: Callable[[], bool] | None = None

    def cook(self, steps: Sequence[Step], sets: Sets, *, stage: str = "main", round: int = 1) -> "Dishes":
        """All steps in order; every set afterwards, an account per step, and samples of what was dropped."""
        dishes = Dishes({name: list(records) for name, records in sets.items()})
        for number, step in enumerate(steps):
            funnel = Funnel(step.title, step.use, step.role, stage, round)
            dishes.funnels.append(funnel)
            self._step(step, number, dishes, funnel)
            if self.told is not None:
                self.told(funnel)
        return dishes

    def _step(self, step: Step, number: int, dishes: "Dishes", funnel: Funnel) -> None:
        records = [record for name in step.inputs for record in _set(dishes.sets, name, step)]
        reads = "records" in needs(resolve(step.use))
        chosen = [i for i, record in enumerate(records) if _concerns(step, record)] if reads else []
        funnel.took = len(chosen)
        event = (step.title, funnel.round)
        made: list[Record] = []
        dropped: list[Record] = []
        for result in self._results(step, number, [records[i] for i in chosen], dishes.sets, funnel):
            if isinstance(result, Dropped):
                funnel.dropped[result.reason] += 1
                dropped.append(result.record)
                if funnel.dropped[result.reason] <= SAMPLES:
                    dishes.dropped.append((funnel, result))
            else:
                made.append(_stamped(result, *event))
        funnel.kept = len(made)
        made = self.split(made)
        if step.target in step.inputs:
            untouched = set(range(len(records))) - set(chosen) if reads else set()
            made = list(records) + made if step.add else _in_order(records, untouched, made)
        elif step.add:
            made = [*dishes.sets.get(step.target, ()), *made]
        dishes.sets[step.target] = made
        if step.dropped:
            dishes.sets[step.dropped] = dropped

    def _results(
        self, step: Step, number: int, records: Sequence[Record], sets: Sets, funnel: Funnel
    ) -> Iterator[Result]:
        operator = resolve(step.use)
        given: dict[str, Any] = {
            "records": records,
            "ask": self._ask(step, funnel),
            "sets": sets,
            "rng": random.Random(content_key([step.seed, funnel.stage, number, funnel.round])),
        }
        settings = settings_of(operator, shared_in(step.settings, self.templates))
        return operator(*(given[name] for name in needs(operator)), **settings)

    def _ask(self, step: Step, funnel: Funnel) -> Ask:
        return Ask(
            role=step.role,
            endpoints=self.endpoints,
            sampling=sampling_of(step),
            notebook=self.notebook,
            funnel=funnel,
            batch_size=step.batch_size,
            take=funnel.round - 1 + 1000 * self.again.get(step.title, 0),
            prices={name: Price(*model.price) for name, model in self.models.items() if model.price},
            progress=self.progress(step) if self.progress else None,
            stop=self.stop,
        )


@dataclass
class Dishes:
    """What steps left: the sets, an account of every step, samples of what was dropped."""

    sets: dict[str, list[Record]]
    funnels: list[Funnel] = field(default_factory=list)
    dropped: list[tuple[Funnel, Dropped]] = field(default_factory=list)


def sampling_of(step: Step) -> Sampling:
    """How a step wants its answers."""
    return Sampling(
        max_new_tokens=step.max_new_tokens,
        temperature=step.temperature,
        top_p=step.top_p,
        top_k=step.top_k,
        seed=step.seed,
        stop=step.stop,
    )


def _set(sets: Sets, name: str, step: Step) -> Iterable[Record]:
    if name not in sets:
        raise RecipeError(f"step '{step.title}' reads the set '{name}'; there are {', '.join(sorted(sets))}")
    return sets[name]


def _concerns(step: Step, record: Record) -> bool:
    return record.split in step.splits and (not step.when or holds(step.when, view(record)))


def _stamped(record: Record, step: str, round: int) -> Record:
    """The record with the events that have no step yet given this one."""
    if all(origin.step for origin in record.lineage):
        return record
    lineage = (o if o.step else replace(o, step=step, round=round) for o in record.lineage)
    return replace(record, lineage=tuple(lineage))


def _in_order(records: Sequence[Record], untouched: set[int], made: Sequence[Record]) -> list[Record]:
    """What a step made among what it left alone: each where the record stood that it is, or that it came from."""
    if not untouched:
        return list(made)
    place = {record.key: i for i, record in enumerate(records)}
    kept = [(i, records[i]) for i in sorted(untouched)]
    return [record for _, record in sorted([*kept, *_placed(made, place)], key=lambda pair: pair[0])]


def _placed(made: Sequence[Record], place: Mapping[str, int]) -> Iterator[tuple[int, Record]]:
    at = 0
    for record in made:
        parents = (place[o.parent] for o in reversed(record.lineage) if o.parent in place)
        at = place.get(record.key, next(parents, at))
        yield at, record
