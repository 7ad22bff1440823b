"""Reads a run folder or a compare folder into frozen values. Whatever is not there yet is None or empty."""

import math
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stillhouse.errors import RunError
from stillhouse.evaluate.scores import ModelScores, Scores
from stillhouse.recipe import Recipe
from stillhouse.report.kitchen import Kitchen, read_kitchen
from stillhouse.report.lenient import objects, parse


@dataclass(frozen=True, slots=True)
class LogRow:
    """One line of metrics.jsonl, flattened: {"loss": 2.1, "terms.sft": 1.7, "probe.kl": 1.3}. NaN: not finite."""

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class StageLog:
    """The training log of one stage, in order of steps; `unreadable` counts broken lines before the last one."""

    name: str
    rows: tuple[LogRow, ...]
    unreadable: int = 0

    @property
    def last_step(self) -> int:
        return self.rows[-1].step if self.rows else 0


@dataclass(frozen=True, slots=True)
class StudentFacts:
    """student.json: which layers of the teacher it keeps (empty: not made of the teacher), and its size."""

    layers: tuple[int, ...] = ()
    parameters: int | None = None


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run, as far as it has come."""

    path: Path
    name: str
    created: str = ""
    version: str = ""
    recipe_key: str = ""
    timings: tuple[tuple[str, float], ...] = ()
    passed_over: tuple[str, ...] = ()
    recipe: Recipe | None = None
    recipe_text: str = ""
    student: StudentFacts | None = None
    logs: tuple[StageLog, ...] = ()
    counts: Mapping[str, int] | None = None
    scores: Scores | None = None
    kitchen: Kitchen = field(default_factory=Kitchen)

    def model(self, role: str) -> ModelScores | None:
        """The scores of "teacher", "untrained" or "student", once evaluated."""
        return self.scores.models.get(role) if self.scores else None

    @property
    def steps_planned(self) -> int | None:
        return sum(s.train.steps for s in self.recipe.stage if s.train) if self.recipe else None

    @property
    def steps_done(self) -> int:
        return sum(log.last_step for log in self.logs)


@dataclass(frozen=True, slots=True)
class ComparedRun:
    method: str
    seed: int
    run: RunFolder


@dataclass(frozen=True, slots=True)
class CompareFolder:
    """Several methods over several seeds, on the same student, data and steps.

    `base` is what all runs have in common: the compared recipe, the student before any method, date and version.
    """

    path: Path
    name: str
    recipe: str
    base: RunFolder
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    runs: tuple[ComparedRun, ...]

    def of(self, method: str) -> tuple[RunFolder, ...]:
        """The runs of one method, in the order of seeds."""
        return tuple(c.run for c in sorted(self.runs, key=lambda c: c.seed) if c.method == method)

    @property
    def first(self) -> RunFolder | None:
        """The first run that has been evaluated (else the first): it lends teacher, untrained student and samples."""
        return _first_run(self.runs)


def read_folder(path: Path) -> RunFolder | CompareFolder:
    """Read `path`, a compare folder if it has a compare.json and a run folder otherwise.

    Raises RunError where there is no folder, nothing of a run in it, or a file that cannot be understood.
    """
    if (path / "compare.json").is_file():
        return read_compare(path)
    if not path.is_dir() or not any((path / f).exists() for f in ("run.json", "recipe.toml", "scores.json", "train")):
        raise RunError(
            f"{path} is not a run folder: it has neither run.json nor compare.json. Give a folder under runs/."
        )
    return read_run(path)


def read_compare(path: Path) -> CompareFolder:
    """Read compare.json and every run that it names; a run whose folder is not there yet is left out."""
    data = _json_object(path / "compare.json")
    runs = []
    for entry in objects(data.get("runs")):
        folder = path / str(entry.get("folder", ""))
        if folder.is_dir() and folder != path:
            runs.append(ComparedRun(str(entry.get("method", "")), int(entry.get("seed", 0)), read_run(folder)))
    methods = tuple(str(m) for m in data.get("methods") or dict.fromkeys(r.method for r in runs))
    seeds = tuple(int(s) for s in data.get("seeds") or sorted({r.seed for r in runs}))
    name, recipe = str(data.get("name") or path.name), str(data.get("recipe", ""))
    return CompareFolder(path, name, recipe, _base(path, name, runs), methods, seeds, tuple(runs))


def read_run(path: Path) -> RunFolder:
    """Read whatever a run folder holds by now."""
    manifest = _json_object(path / "run.json")
    recipe, text = read_recipe(path / "recipe.toml")
    return RunFolder(
        path=path,
        name=recipe.name if recipe and path.name in ("", ".") else path.resolve().name,
        created=str(manifest.get("created", "")),
        version=str(manifest.get("stillhouse", "")),
        recipe_key=str(manifest.get("recipe_key", "")),
        timings=tuple(_seconds(manifest.get("stages"))),
        passed_over=tuple(_passed_over(manifest.get("facts"))),
        recipe=recipe,
        recipe_text=text,
        student=_student(path / "student.json"),
        logs=read_logs(path / "train", tuple(s.name for s in recipe.stage) if recipe else ()),
        counts=count_records(path / "records.jsonl"),
        scores=Scores.read(path / "scores.json") if (path / "scores.json").is_file() else None,
        kitchen=read_kitchen(path),
    )


def read_recipe(path: Path) -> tuple[Recipe | None, str]:
    """The resolved recipe and its text. One that cannot be understood (a later version's) is shown as text only."""
    if not path.is_file():
        return None, ""
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        return Recipe.model_validate(tomllib.loads(text)), text
    except (tomllib.TOMLDecodeError, ValidationError):
        return None, text


def read_logs(folder: Path, order: tuple[str, ...]) -> tuple[StageLog, ...]:
    """The logs under train/, in the recipe's order of stages."""
    found = {p.parent.name: p for p in folder.glob("*/metrics.jsonl")}
    names = [n for n in order if n in found] + sorted(set(found) - set(order))
    return tuple(read_log(found[n], n) for n in names)


def read_log(path: Path, name: str) -> StageLog:
    """Read one metrics.jsonl. A torn last line is not counted as broken; of a step logged twice the later holds."""
    rows: dict[int, LogRow] = {}
    broken = 0
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for index, line in enumerate(lines):
        row = _log_row(line)
        if row:
            rows[row.step] = row
        elif line.strip() and index < len(lines) - 1:
            broken += 1
    return StageLog(name, tuple(rows[s] for s in sorted(rows)), broken)


def count_records(path: Path) -> Mapping[str, int] | None:
    """How many prompts each split has ("train prompts") and each source answered ("teacher answers")."""
    if not path.is_file():
        return None
    counts: Counter[str] = Counter()
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            record = parse(line)
            if isinstance(record, dict):
                counts[f"{record.get('split', 'train')} prompts"] += 1
                counts.update(f"{r.get('source', 'unknown')} answers" for r in objects(record.get("responses")))
    return dict(counts)


def _base(path: Path, name: str, runs: Sequence[ComparedRun]) -> RunFolder:
    """The first run under the compared recipe. Where a warm-up came first, it knows where the student comes from."""
    first = _first_run(runs) or RunFolder(path, name)
    recipe, text = read_recipe(path / "compare.toml")
    origins = [first.student, *(_student(folder / "student.json") for folder in sorted(path.glob("warmup-*")))]
    student = next((s for s in origins if s and s.layers), first.student)
    return replace(first, recipe=recipe or first.recipe, recipe_text=text or first.recipe_text, student=student)


def _first_run(runs: Sequence[ComparedRun]) -> RunFolder | None:
    evaluated = [c.run for c in runs if c.run.scores]
    return next(iter(evaluated or [c.run for c in runs]), None)


def _student(path: Path) -> StudentFacts | None:
    student = _json_object(path)
    return StudentFacts(tuple(student.get("layers") or ()), student.get("parameters") or None) if student else None


def _log_row(line: str) -> LogRow | None:
    data = parse(line)
    if not isinstance(data, dict) or not isinstance(data.get("step"), int):
        return None
    return LogRow(data["step"], dict(_flatten(data)))


def _flatten(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every number by its dotted name. null and infinities are NaN: something was logged that is not a number."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        elif value is None or (isinstance(value, float) and not math.isfinite(value)):
            yield prefix + key, math.nan
        elif isinstance(value, int | float):
            yield prefix + key, float(value)


def _passed_over(facts: Any) -> Iterator[str]:
    """The stages whose training had nothing to learn from."""
    for name, fact in facts.items() if isinstance(facts, dict) else ():
        if isinstance(fact, dict) and fact.get("passed_over"):
            yield name.removeprefix("train ")


def _seconds(data: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Wall times in seconds under any nesting: {"main": {"train": {"seconds": 60}}} is ("main / train", 60)."""
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        name = prefix if key in ("seconds", "wall") else f"{prefix} / {key}".removeprefix(" / ")
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield name, float(value)
        else:
            yield from _seconds(value, name)


def _json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file, or {} where there is no file."""
    if not path.is_file():
        return {}
    data = parse(path.read_text(encoding="utf-8", errors="replace"))
    if not isinstance(data, dict):
        raise RunError(f"{path} is not a JSON object. Remove it and run the stage that writes it again.")
    return data
