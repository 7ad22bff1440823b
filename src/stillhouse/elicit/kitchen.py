"""Steps over named sets of records: the one place that runs operators, and accounts for every record."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge
from operator import itemgetter
from typing import Any

from stillhouse.elicit.ask import Ask, Roles
from stillhouse.elicit.catalogue import resolve
from stillhouse.elicit.contract import Dropped, Result, needs, settings_of
from stillhouse.elicit.funnel import Funnel
from stillhouse.elicit.notebook import Notebook
from stillhouse.elicit.sandboxed import LACKING
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

ROUNDS = 1_000_000
"""More rounds than a stage ever has."""

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
        made: list[Record] = []
        dropped: list[Record] = []
        for result in self._results(step, number, [records[i] for i in chosen], dishes.sets, funnel):
            if isinstance(result, Dropped):
                record = _stamped(result.record, step.title, funnel.round)
                funnel.dropped[result.reason] += 1
                dropped.append(record)
                if funnel.dropped[result.reason] <= SAMPLES:
                    dishes.dropped.append((funnel, Dropped(record, result.reason)))
            else:
                made.append(_stamped(result, step.title, funnel.round))
        funnel.kept = len(made)
        _check_templates(step, funnel, records)
        made = self.split(made)
        if step.add:
            made = [*dishes.sets.get(step.target, ()), *made]
        elif step.target in step.inputs and reads:
            made = _in_order(records, chosen, made)
        dishes.sets[step.target] = made
        if step.dropped:
            dishes.sets[step.dropped] = self.split(dropped)

    def _results(
        self, step: Step, number: int, records: Sequence[Record], sets: Sets, funnel: Funnel
    ) -> Iterator[Result]:
        """What the operator yields; whatever is wrong with its settings is told with the step's name."""
        operator = resolve(step.use)
        given: dict[str, Any] = {
            "records": records,
            "ask": self._ask(step, funnel),
            "sets": sets,
            "rng": random.Random(content_key([step.seed, funnel.stage, number, funnel.round])),
        }
        try:
            settings = settings_of(operator, shared_in(step.settings, self.templates))
            yield from operator(*(given[name] for name in needs(operator)), **settings)
        except RecipeError as error:
            raise RecipeError(f"step '{step.title}': {error}") from error

    def _ask(self, step: Step, funnel: Funnel) -> Ask:
        return Ask(
            role=step.role,
            endpoints=self.endpoints,
            sampling=sampling_of(step),
            notebook=self.notebook,
            funnel=funnel,
            take=funnel.round - 1 + ROUNDS * self.again.get(step.title, 0),
            prices={name: Price(*(model.price or (0.0, 0.0))) for name, model in self.models.items()},
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
        batch_size=step.batch_size,
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


def _check_templates(step: Step, funnel: Funnel, records: Sequence[Record]) -> None:
    """Raises RecipeError where a template fits none of the records: then it is the template that is wrong."""
    if funnel.dropped and not funnel.kept and all(reason.startswith(LACKING) for reason in funnel.dropped):
        reason = funnel.dropped.most_common(1)[0][0]
        there = ", ".join(sorted(view(records[0]))) if records else "none"
        raise RecipeError(f"step '{step.title}': every record was dropped ({reason}); the first one has {there}")


def _in_order(records: Sequence[Record], chosen: Sequence[int], made: Sequence[Record]) -> list[Record]:
    """What a step made, in its order, in the places of what it took; what it left alone stays where it stood."""
    if len(chosen) == len(records):
        return list(made)
    taken = set(chosen)
    alone = ((place, record) for place, record in enumerate(records) if place not in taken)
    places = (chosen[number * len(chosen) // len(made)] for number in range(len(made)))
    return [record for _, record in merge(zip(places, made, strict=True), alone, key=itemgetter(0))]
