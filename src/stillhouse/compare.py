"""Several methods under the same conditions: same student, data, tokens and steps; only the objective differs.

FOLDER/compare.json         what is compared; the report reads it
FOLDER/compare.toml         the recipe that gives everything but the objective
FOLDER/journal.jsonl        the teacher's answers, shared by all runs
FOLDER/teacher-KEY.json     the teacher's scores, found once; KEY stands for teacher, data and tasks
FOLDER/untrained-KEY.json   the same of the student that all methods of a seed start from
FOLDER/warmup-SEED          the stages up to the last that trains, if others train; all methods of a seed go on from it
FOLDER/METHOD-SEED          one run each
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from stillhouse.errors import ConfigError, RecipeError, RunError
from stillhouse.recipe import Recipe, Stage, Step, Student, Train
from stillhouse.recipes import dump, load
from stillhouse.records.store import write_atomic
from stillhouse.records.types import content_key
from stillhouse.run import COMPARED, COMPARISON, Run

LENT = ("pair", "reference", "reduction", "candidates")
"""What a method lends from its last training, besides its objective and roll-out settings that RECIPE leaves alone."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One run of a comparison."""

    method: str
    seed: int
    train: Train

    @property
    def folder(self) -> str:
        return f"{self.method}-{self.seed}"


def compare(
    recipe: Recipe, methods: Sequence[str], seeds: Sequence[int], folder: Path | str | None = None, *, on: str = ""
) -> Path:
    """Run every method with every seed, one after the other, and write the report; returns the folder.

    A method is a recipe by name or path, of which only the objective of its last training counts; it takes the place of
    the last one of `recipe`. `on` is the source whose answers take the place of reference answers, where the data have
    none. Runs that are finished are not repeated, so an interrupted comparison goes on when called again.

    Raises:
        ConfigError: a method or seed that is none, found before anything runs.
        StillhouseError: whatever ends a run.
    """
    lent = _methods(methods, _last_train(recipe, "the compared recipe"), on)
    entries = [Entry(name, seed, train) for name, train in lent.items() for seed in _seeds(seeds)]
    folder = Path(folder or Path("runs") / f"compare-{recipe.name}").expanduser()
    finished = _begin(folder, recipe, entries)
    console = Console(highlight=False)
    for number, entry in enumerate(entries, start=1):
        console.print(f"[bold]{number}/{len(entries)}[/] {entry.method}, seed {entry.seed}")
        wanted = _method_recipe(recipe, entry, _warmed_up(recipe, entry.seed, folder, console))
        key = content_key(wanted.model_dump(mode="json"))
        if finished.get(entry.folder) == key and (folder / entry.folder / "scores.json").is_file():
            console.print("    already done")
            continue
        _do(wanted, folder / entry.folder, folder)
        finished[entry.folder] = key
        _write(folder, recipe, entries, finished)
        write_page(folder)
    write_page(folder)
    return folder


def write_page(folder: Path) -> None:
    """The report on what is there by now."""
    from stillhouse.report import write_report

    write_report(folder)


def parse_seeds(text: str) -> list[int]:
    """ "1,2,3" as numbers. Raises ConfigError for anything else."""
    try:
        return [int(word) for word in text.split(",") if word.strip()]
    except ValueError as error:
        raise ConfigError(f"--seeds is {text!r}; write whole numbers with commas between, as in 1,2,3.") from error


def graft(recipe: Recipe, train: Train, seed: int, student: Student, name: str) -> Recipe:
    """`recipe` with this for its last training, and none before; it elicits as ever, or else the teacher's answers."""
    place, asks = _trains_last(recipe), any(stage.step for stage in recipe.stage)
    stages = []
    for number, stage in enumerate(recipe.stage):
        here = number == place
        steps = stage.step if asks or not here else (Step(),)
        changed = stage.model_copy(update={"step": steps, "train": train if here else None})
        if changed.step or changed.train or changed.eval:
            stages.append(changed)
    return recipe.model_copy(update={"name": name, "seed": seed, "student": student, "stage": tuple(stages)})


def _methods(names: Sequence[str], base: Train, on: str) -> dict[str, Train]:
    """Every method's training: that of the compared recipe, with what the method lends."""
    found: dict[str, Train] = {}
    for name in names:
        method = load(name)
        if method.name in found:
            raise RecipeError(f"method {method.name!r} is named twice; name each once.")
        lends = _last_train(method, f"method {name!r}")
        rollout = lends.rollout.model_copy(update=base.rollout.model_dump(exclude_defaults=True))
        terms = tuple(t.model_copy(update={"on": on}) if on and t.on == "reference" else t for t in lends.objective)
        lent = {key: getattr(lends, key) for key in LENT} | {"objective": terms, "rollout": rollout}
        found[method.name] = base.model_copy(update=lent)
    if not found:
        raise ConfigError("there is no method to compare; name some, as in --methods dpkd,sft,kd.")
    return found


def _seeds(seeds: Sequence[int]) -> list[int]:
    unfit = [seed for seed in seeds if not 0 <= seed < 2**31]
    if unfit or not seeds or len(set(seeds)) != len(seeds):
        raise ConfigError(f"the seeds are {list(seeds)}; give different whole numbers from 0 on, as in --seeds 1,2,3.")
    return list(seeds)


def _trains_last(recipe: Recipe) -> int:
    """The number of the last stage that trains, -1 if none does."""
    return max((number for number, stage in enumerate(recipe.stage) if stage.train), default=-1)


def _last_train(recipe: Recipe, who: str) -> Train:
    train = recipe.stage[_trains_last(recipe)].train
    if train is None:
        raise RecipeError(f"{who} ({recipe.name}) does not train; give one of its stages a [train].")
    return train


def _method_recipe(recipe: Recipe, entry: Entry, warm: Path | None) -> Recipe:
    student = recipe.student if warm is None else Student(model=str(warm), lora=recipe.student.lora)
    return graft(recipe, entry.train, entry.seed, student, entry.folder)


def _warmed_up(recipe: Recipe, seed: int, folder: Path, console: Console) -> Path | None:
    """The student before the last training, trained once a seed; None if that is the only one."""
    from stillhouse import stages

    earlier = recipe.stage[: _trains_last(recipe)]
    if not any(stage.train for stage in earlier):
        return None
    name = f"warmup-{seed}"
    before: tuple[Stage, ...] = tuple(stage.model_copy(update={"eval": ()}) for stage in earlier)
    warmup = recipe.model_copy(update={"name": name, "seed": seed, "stage": before})
    model = (folder / name / "model").absolute()
    with stages.prepare(warmup, folder / name) as run:
        if not run.manifest["facts"].get("warmup"):
            console.print(f"    warm-up of seed {seed}")
            _elicit(run, folder)
            stages.train(run)
            run.note("warmup", 0.0, done=True)
    return model


def _do(recipe: Recipe, place: Path, shared: Path) -> None:
    from stillhouse import stages

    with stages.prepare(recipe, place) as run:
        _elicit(run, shared)
        stages.train(run)
        places = _known_scores(recipe, shared)
        known = {role: json.loads(path.read_text(encoding="utf-8")) for role, path in places.items() if path.is_file()}
        write_atomic(run.known_scores_file, json.dumps({"models": known}, ensure_ascii=False))
        stages.evaluate(run)
        stages.report(run)
        found = json.loads(run.scores_file.read_text(encoding="utf-8"))["models"]
        for role in places.keys() & found.keys() - known.keys():
            write_atomic(places[role], json.dumps(found[role], ensure_ascii=False))


def _known_scores(recipe: Recipe, shared: Path) -> dict[str, Path]:
    """Where the scores lie that do not depend on the method, by role: each is found once."""
    tasks = [task.model_dump(mode="json") for stage in recipe.stage for task in stage.eval]
    teacher = [recipe.teacher.model_dump(mode="json"), recipe.data.model_dump(mode="json"), tasks]
    untrained = [*teacher, recipe.student.model_dump(mode="json"), recipe.seed]
    parts = {"teacher": teacher, "untrained": untrained}
    return {role: shared / f"{role}-{content_key(part)[:12]}.json" for role, part in parts.items()}


def _elicit(run: Run, shared: Path) -> None:
    """Elicit with the answers that earlier runs have, and leave the new ones to later runs.

    Journals are keyed by content, so an answer that does not fit is simply not used.
    """
    from stillhouse import stages

    pool = shared / "journal.jsonl"
    if pool.is_file() and not run.journal.is_file():
        write_atomic(run.journal, pool.read_bytes())
    stages.elicit(run)
    if run.journal.is_file() and (not pool.is_file() or run.journal.stat().st_size > pool.stat().st_size):
        write_atomic(pool, run.journal.read_bytes())


def _begin(folder: Path, recipe: Recipe, entries: Iterable[Entry]) -> dict[str, str]:
    """Make the folder; which of its runs are finished, each with the key of the recipe that it followed."""
    if (folder / "recipe.toml").is_file():
        raise RunError(f"{folder} holds a single run, not a comparison; use --folder another.")
    if not folder.parent.parent.is_dir():
        raise RunError(f"{folder} cannot be made: {folder.parent.parent} does not exist; create it first.")
    try:
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder} cannot be made ({error.strerror}); use --folder another.") from error
    finished = _finished(folder / COMPARISON)
    write_atomic(folder / COMPARED, dump(recipe))
    _write(folder, recipe, entries, finished)
    return finished


def _finished(path: Path) -> dict[str, str]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {run["folder"]: run["finished"] for run in data["runs"] if run.get("finished")}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(folder: Path, recipe: Recipe, entries: Iterable[Entry], finished: dict[str, str]) -> None:
    runs = [
        {"method": e.method, "seed": e.seed, "folder": e.folder, "finished": finished.get(e.folder)} for e in entries
    ]
    methods, seeds = (list(dict.fromkeys(run[key] for run in runs)) for key in ("method", "seed"))
    content = {"name": recipe.name, "recipe": str(folder / COMPARED), "methods": methods, "seeds": seeds, "runs": runs}
    write_atomic(folder / COMPARISON, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
