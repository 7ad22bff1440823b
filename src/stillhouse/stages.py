"""The story of the house in four functions: elicit, train, evaluate, report. Each reads and writes files of the run."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from stillhouse import ranks
from stillhouse.elicitation import Elicitation
from stillhouse.endpoints.base import Endpoint
from stillhouse.errors import DataError, ModelError, RunError
from stillhouse.judge import Judge
from stillhouse.laps import Lap, laps, trains_later
from stillhouse.machine import give_back
from stillhouse.models.load import LanguageModel, fast_dtype, load
from stillhouse.models.lora import merged, with_lora
from stillhouse.models.saving import save_model
from stillhouse.party import Party, in_compute_dtype
from stillhouse.probe import HeldOutProbe
from stillhouse.progress import Advance, progress, say
from stillhouse.recipe import Recipe, Train
from stillhouse.recipes import load as load_recipe
from stillhouse.records.read import read_texts
from stillhouse.records.store import write_atomic
from stillhouse.records.types import Record
from stillhouse.report.page import write_report
from stillhouse.run import Run
from stillhouse.train.loop import Job, run_training
from stillhouse.train.material import build
from stillhouse.train.rows import Models
from stillhouse.train.terms import asks_teacher, ranked_of, read_terms, several_of, sources_of


def prepare(recipe: Recipe, folder: Path | str | None = None) -> Run:
    """Open (or go on with) the run folder of a recipe: `folder`, or runs/NAME."""
    return Run.create(recipe, folder or Path("runs") / recipe.name)


def distill(
    recipe: Recipe | str,
    *overrides: str,
    folder: Path | str | None = None,
    full: bool = False,
    endpoints: Mapping[str, Endpoint] | None = None,
) -> Run:
    """All stages of a recipe (its name, a path, or a Recipe); a stopped run goes on where it was.

    Overrides are as on the command line: `distill("quickstart", "train.steps=20")`; `full` makes it as large as
    published. `endpoints` answer for roles in place of the recipe's models.
    """
    resolved = load_recipe(recipe, overrides, full=full) if isinstance(recipe, str) else recipe
    ranks.join()
    if ranks.rank() > 0:
        return _helped(folder or Path("runs") / resolved.name)
    with prepare(resolved, folder) as run:
        elicit(run, endpoints)
        ranks.wait()
        train(run, endpoints)
        if not run.scores_file.exists():
            evaluate(run, endpoints)
        report(run)
    return run


def _helped(folder: Path | str) -> Run:
    """What the other ranks do: wait for the teacher's answers, and train."""
    ranks.wait()
    run = Run.open(folder, exclusive=False)
    train(run)
    return run


def elicit(run: Run, endpoints: Mapping[str, Endpoint] | None = None, *, again: str = "") -> list[Record]:
    """Do the steps of all stages, as far as they do not wait for a student to be trained; writes records.jsonl.

    Answers in the journal are not asked again, but for the step `again`, which wants new ones.
    """
    work, records = Elicitation(run, endpoints or {}, again), []
    for lap in laps(run):
        if not work.can(lap):
            say(f"elicit: {lap.name} asks the student, which is to be trained first: stillhouse train {run.folder}")
            break
        records = work.do(lap)
    work.finish()
    give_back()
    return records


def train(run: Run, endpoints: Mapping[str, Endpoint] | None = None) -> None:
    """Train the student through all stages of the recipe; writes train/STAGE/ and, at the end, model/.

    Steps that had to wait for a trained student are done on the way. A stage with nothing to learn from is passed over
    where the student has learnt before. Under torchrun, every process trains on its share of each step's prompts.
    """
    ranks.join()
    done = run.model_dir.exists() and all(lap.is_done for lap in laps(run))
    ranks.wait()  # all have looked
    if done or not any(stage.train for stage in run.recipe.stage):
        return
    if not run.records.exists():
        raise RunError(f"{run.folder} has no records yet; run: stillhouse elicit {run.folder}")
    work, before = Elicitation(run, endpoints or {}), None
    for lap in laps(run):
        if ranks.rank() == 0:
            work.do(lap)
            give_back()  # what the models that were asked have left
        ranks.wait()
        if lap.train is None:
            continue
        target = lap.model_dir if trains_later(run, lap) else run.model_dir
        if not target.exists():
            _train_lap(Party(run), lap, before if lap.stage.start == "last" else None, target)
            give_back()
        before = target


def _train_lap(party: Party, lap: Lap, before: Path | None, target: Path) -> None:
    run, began, settings = party.run, time.perf_counter(), lap.train
    assert settings is not None  # the caller chose the laps that train
    if not party.split("train") and sources_of(read_terms(settings), settings.pair) != {"text"}:
        _pass_over(run, lap, before, target)
        return
    with ranks.rank_0_first():
        student = party.untrained() if before is None else load(str(before), dtype="float32")
    if run.recipe.student.lora is not None:
        student = with_lora(student, run.recipe.student.lora)
    with progress(f"train {lap.name}", settings.steps) as advance:
        run_training(_job(party, student, settings, run.train_dir(lap.name), advance))
    if ranks.rank() == 0:
        save_model(merged(student) if run.recipe.student.lora is not None else student, target)
        run.note(f"train {lap.name}", time.perf_counter() - began)
    ranks.wait()


def _pass_over(run: Run, lap: Lap, before: Path | None, target: Path) -> None:
    """Keep the student as it was. Raises DataError where it has learnt nothing yet."""
    why = (
        f"stage '{lap.name}' has nothing to learn from: no training record is left after its steps; what they dropped, "
        f"and why, is shown by: stillhouse report {run.folder}"
    )
    if before is None:
        raise DataError(why)
    if ranks.rank() == 0:
        say(f"[yellow]train: {why}. The student stays as it was.[/]")
        save_model(load(str(before), dtype="float32"), target)
        run.note(f"train {lap.name}", 0.0, passed_over=True)
    ranks.wait()


def _job(party: Party, student: LanguageModel, train: Train, folder: Path, advance: Advance) -> Job:
    recipe, teacher, terms = party.run.recipe, party.local_teacher, read_terms(train)
    shared, sources = _shared(party, student, train), sources_of(terms, train.pair)
    texts = read_texts(recipe.data.text) if "text" in sources else []
    wanted = {"sources": sources, "several": several_of(terms), "ranked": ranked_of(terms)}
    material = build(party.tokenizer, party.split("train"), texts, **wanted, data=recipe.data)
    models = Models(
        student.model,
        None if teacher is None or shared is None else teacher.model,
        _reference(party, student, train),
        student.head_rows if shared is None else shared,
        student.pad_id,
    )
    dtypes = {"auto": fast_dtype(student.model.device), "bf16": torch.bfloat16, "fp32": torch.float32}

    def on_step(step: int, line: dict[str, Any]) -> None:
        probe, rate = line.get("probe", {}), line["tokens"] / line["seconds"] if line.get("seconds") else 0.0
        words = [f"loss {line['loss']:.3f}"] if "loss" in line else []
        words += [f"{rate:.0f} tokens/s"] if rate else []
        words += [f"held-out KL {probe['kl']:.2f}"] if "kl" in probe else []
        advance(step, ", ".join(words))

    return Job(
        models=models,
        material=material,
        train=train,
        stop_ids=student.stop_ids,
        folder=folder,
        signals=party.run.signals_file,
        seed=recipe.seed,
        dtype=dtypes[train.precision],
        probe=HeldOutProbe(party, train, shared),
        on_step=on_step,
        warn=lambda words: say(f"[yellow]train: {words}[/]"),
    )


def _shared(party: Party, student: LanguageModel, train: Train) -> int | None:
    """The rows of both heads to compare; None where they cannot be, and need not. Raises ModelError where they need."""
    try:
        return party.compared(student)
    except ModelError as error:
        if asker := asks_teacher(train):
            raise ModelError(f"objective '{asker}' needs the teacher's probabilities, but {error}") from error
        return None


def _reference(party: Party, student: LanguageModel, train: Train) -> PreTrainedModel | None:
    """Who plays the reference, if an objective asks for it."""
    if not any(term.wants("reference") for term in read_terms(train)):
        return None
    return party.teacher.model if train.reference == "teacher" else in_compute_dtype(student).model


def evaluate(run: Run, endpoints: Mapping[str, Endpoint] | None = None) -> None:
    """Measure teacher, untrained and trained student on every task of the recipe; writes scores.json."""
    if not run.model_dir.exists():
        raise RunError(f"{run.folder} has no trained student yet; run: stillhouse train {run.folder}")
    began = time.perf_counter()
    scores = Judge(Party(run), endpoints).scores()
    write_atomic(run.scores_file, json.dumps(scores.to_json(), indent=1, ensure_ascii=False))
    run.note("evaluate", time.perf_counter() - began)


def report(run: Run) -> Path:
    """Write report.html from whatever the run has; returns its path."""
    return write_report(run.folder)
