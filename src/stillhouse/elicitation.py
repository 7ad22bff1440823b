"""The elicitation of a run, lap by lap: what is done is read, what is not is cooked from the journal and by asking."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from stillhouse.cast import Cast
from stillhouse.elicit.funnel import Funnel
from stillhouse.elicit.kitchen import Kitchen, Watch
from stillhouse.elicit.notebook import Notebook
from stillhouse.endpoints.base import Endpoint
from stillhouse.errors import RecipeError, RunError
from stillhouse.laps import Lap, key_of, write_account
from stillhouse.party import Party
from stillhouse.progress import Advance, progress, say
from stillhouse.recipe import Model, Recipe, Step
from stillhouse.records.read import read_records, read_set, split_by_hash
from stillhouse.records.store import write_atomic, write_jsonl
from stillhouse.records.types import Record
from stillhouse.run import Run
from stillhouse.stopping import stop_signal

AGAIN = "again.json"
"""Steps whose sampled answers were wanted anew, and how often."""


class Elicitation:
    """Goes through the laps of a run in order, and remembers the sets between them."""

    def __init__(self, run: Run, endpoints: Mapping[str, Endpoint], again: str = "") -> None:
        self.run = run
        self.sets = _begin(run.recipe)
        self._endpoints = endpoints
        self._again = _wanted_again(run, again)
        self._key = ""
        self._done: list[Lap] = []

    def can(self, lap: Lap) -> bool:
        """Whether everything that a lap needs is there: its steps may wait for a student that is not trained yet."""
        return not lap.asks("student") or all(self._model(done) for done in self._done if done.train)

    def do(self, lap: Lap) -> list[Record]:
        """The steps of one lap, or what they made when they were done before; writes records.jsonl."""
        student = next((m for done in reversed(self._done) if done.train and (m := self._model(done))), None)
        who = str(student.relative_to(self.run.folder)) if student and lap.asks("student") else ""
        self._key = key_of(lap, self._key, self.sets, self._again, who)
        if lap.is_elicited(self._key):
            self.sets = lap.sets(self.sets)
        else:
            self.sets = self._cook(lap, student)
        self._done.append(lap)
        learnt = _to_learn(lap, self.sets)
        if any(done.stage.step for done in self._done) or not self.run.records.exists():
            write_jsonl(self.run.records, (record.to_json() for record in learnt))
        write_account(self.run, self._done)
        return learnt

    def finish(self) -> None:
        """All that could be done is done: what was wanted anew is there, and may be wanted anew again."""
        if (self.run.kitchen / AGAIN).exists():
            write_atomic(self.run.kitchen / AGAIN, json.dumps({"counts": self._again, "wanted": ""}) + "\n")

    def _cook(self, lap: Lap, student: Path | None) -> dict[str, list[Record]]:
        run, began = self.run, time.perf_counter()
        if not run.records.exists() and (lap.asks("student") or lap.asks("untrained")):  # by which the student is made
            write_jsonl(run.records, (record.to_json() for record in self.sets["seeds"]))
        recipe, party = run.recipe, Party(run)
        with Notebook(run.journal) as notebook, stop_signal() as stopped, closing(_Bars()) as watch:
            for note in notebook.damage:
                say(f"[yellow]elicit: {note}[/]")
            kitchen = Kitchen(
                Cast(party, student, self._endpoints),
                notebook,
                models={"student": Model(), "untrained": Model()} | recipe.roles | {"teacher": recipe.teacher},
                templates=recipe.templates,
                split=lambda records: _split(recipe, records),
                again=self._again,
                progress=watch,
                told=_tell,
                stop=stopped,
            )
            dishes = kitchen.cook(lap.stage.step, self.sets, stage=lap.stage.name, round=lap.round)
        lap.keep(self._key, self.sets, dishes)
        run.note(f"elicit {lap.name}" if len(run.recipe.stage) > 1 else "elicit", time.perf_counter() - began)
        return dishes.sets

    def _model(self, lap: Lap) -> Path | None:
        """The student that a lap has trained, if it has by now."""
        return next((path for path in (lap.model_dir, self.run.model_dir) if path.exists()), None)


def _begin(recipe: Recipe) -> dict[str, list[Record]]:
    """The sets before any step: the seeds, once to be worked on and once as they are, and the recipe's own.

    The sets that steps will write are there, empty, so that a pool can be read before anything is in it.
    """
    data, steps = recipe.data, [step for stage in recipe.stage for step in stage.step]
    empty: dict[str, list[Record]] = {name: [] for step in steps for name in (step.target, step.dropped) if name}
    seeds = _split(recipe, read_records(data.seeds, limit=data.limit))
    return empty | {n: read_set(source) for n, source in data.sets.items()} | {"seeds": seeds, "records": seeds}


def _split(recipe: Recipe, records: Sequence[Record]) -> list[Record]:
    return split_by_hash(records, valid=recipe.data.valid, test=recipe.data.held_out)


def _to_learn(lap: Lap, sets: Mapping[str, Sequence[Record]]) -> list[Record]:
    """The records to train on, with the seeds' held-out prompts where the set has none of its own.

    Raises RecipeError when there is no such set.
    """
    name = lap.stage.train_on
    if name not in sets:
        raise RecipeError(f"stage '{lap.stage.name}' trains on the set '{name}'; there are {', '.join(sorted(sets))}")
    learnt = [record for record in sets[name] if record.messages]
    if any(record.split == "test" for record in learnt):
        return learnt
    known = {record.key for record in learnt}
    return learnt + [r for r in sets["seeds"] if r.split == "test" and r.key not in known]


def _wanted_again(run: Run, step: str) -> dict[str, int]:
    """How often each step's answers were wanted anew, `step` once more now, unless that was stopped on the way.

    Raises RunError for an unknown step, and once the run has begun to train on the answers.
    """
    path = run.kitchen / AGAIN
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        counts, wanted = dict(found["counts"]), found["wanted"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        counts, wanted = {}, ""
    if not step or step == wanted:
        return counts
    titles = [s.title for stage in run.recipe.stage for s in stage.step]
    if step not in titles:
        raise RunError(f"{run.folder} has no step '{step}'; its steps are {', '.join(titles) or 'none'}")
    if (run.folder / "train").exists():
        raise RunError(f"{run.folder} has learnt from the answers of '{step}'; ask anew in a run of its own (--folder)")
    counts |= {step: counts.get(step, 0) + 1}
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, json.dumps({"counts": counts, "wanted": step}) + "\n")
    return counts


class _Bars:
    """One progress bar at a time: a new one whenever a step has more to ask."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._shown: tuple[int, int] = (0, 0)
        self._advance: Advance | None = None

    def __call__(self, step: Step) -> Watch:
        def watch(funnel: Funnel) -> None:
            if self._advance is None or self._shown != (id(funnel), funnel.requests):
                self.close()
                self._shown = (id(funnel), funnel.requests)
                self._advance = self._stack.enter_context(progress(f"elicit {step.title}", funnel.requests))
            self._advance(funnel.done, f"{funnel.tokens} tokens")

        return watch

    def close(self) -> None:
        self._stack.close()
        self._advance = None


def _tell(funnel: Funnel) -> None:
    dropped = ", ".join(f"{count} {reason}" for reason, count in funnel.dropped.most_common())
    asked = f"; {funnel.cached} answers from the journal, {funnel.asked} asked now" if funnel.requests else ""
    say(
        f"elicit {funnel.step}: {funnel.took} in, {funnel.kept} out{asked}"
        + (f"; dropped: {dropped}" if dropped else "")
    )
    for note in funnel.notes:
        say(f"[yellow]elicit {funnel.step}: {note}[/]")
