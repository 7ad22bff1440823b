"""The result in plain words: what was distilled into what, one sentence of result, and what a reader must know."""

import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from stillhouse.evaluate.scores import ModelScores, Score
from stillhouse.report.curves import line
from stillhouse.report.read import CompareFolder, RunFolder
from stillhouse.report.tables import Row, Table, number, task_title

EMBEDDED = "SmolLM2-135M-Instruct"


def teacher_name(run: RunFolder) -> str:
    """The teacher as a reader knows it."""
    if run.recipe:
        return EMBEDDED if run.recipe.teacher.model == "embedded" else run.recipe.teacher.model
    teacher = run.model("teacher")
    return teacher.label if teacher else "the teacher"


def student_name(run: RunFolder) -> str:
    """What the student is made of: layers of the teacher, another model, or random weights."""
    if run.student and run.student.layers:
        return f"a student of {len(run.student.layers)} of its layers ({spans(run.student.layers)})"
    if run.recipe and run.recipe.student.model:
        return run.recipe.student.model
    if run.recipe and run.recipe.student.config:
        return "a student with random weights"
    keep = run.recipe.student.keep_layers if run.recipe else None
    return f"a student of {keep} of its layers" if keep else "a student"


def spans(layers: Sequence[int]) -> str:
    """Layer numbers as ranges: (0, 1, 2, 5) is "0–2, 5"."""
    parts: list[list[int]] = []
    for layer in layers:
        if parts and layer == parts[-1][1] + 1:
            parts[-1][1] = layer
        else:
            parts.append([layer, layer])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in parts)


def size(parameters: int | None) -> str:
    """ "135 M parameters"; nothing where it is not known."""
    if not parameters:
        return ""
    for unit, scale in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if parameters >= scale:
            return f"{parameters / scale:.3g} {unit} parameters"
    return f"{parameters} parameters"


def run_sentence(run: RunFolder) -> str:
    """The result of one run in a sentence; of a run under way, where it stands."""
    teacher, untrained, student = run.model("teacher"), run.model("untrained"), run.model("student")
    if student is None:
        return _progress(run)
    parts = []
    if teacher and teacher.parameters and student.parameters:
        keeps = "keeps" if run.student and run.student.layers else "has"
        parts.append(f"{keeps} {100 * student.parameters / teacher.parameters:.0f} % of the parameters")
    top1 = student.fidelity.get("top1")
    if top1:
        parts.append(f"agrees with the teacher on {top1.value:.0f} % of tokens{_before(untrained, 'top1', 0, ' %')}")
    elif "kl" in student.fidelity:
        kl = student.fidelity["kl"].value
        parts.append(f"lies {kl:.2f} nats per token from the teacher{_before(untrained, 'kl', 2, '')}")
    if teacher and teacher.tokens_per_second and student.tokens_per_second:
        parts.append(f"writes {student.tokens_per_second / teacher.tokens_per_second:.1f} times as fast")
    return f"The student {_listed(parts)}." if parts else "The student has been evaluated."


def compare_sentence(compare: CompareFolder, table: Table) -> str:
    """Who scored best on the first task, and whether the seeds tell it from the others."""
    ranked = sorted(
        ((s.value, row) for row in table.rows if row.rival and (s := row.cells[0].score)), key=lambda r: -r[0]
    )
    if not ranked or not table.columns or table.columns[0].title != "ROUGE-L":
        return "No method has been evaluated yet."
    value, best = ranked[0]
    told = f"On {task_title(table.columns[0].group)}, {best.label} has the highest ROUGE-L ({number(value, 1)})"
    if len(ranked) == 1:
        return f"{told}; no other method has been evaluated yet."
    if best.cells[0].best:
        return f"{told}, and its interval over seeds overlaps that of no other method."
    if not best.cells[0].interval:
        return f"{told}, but a single seed cannot tell it from the others."
    rivals = [row.label for _, row in ranked[1:] if _overlap(best, row)]
    return f"{told}, but over these seeds it cannot be told from {_listed(rivals)}."


def notices(run: RunFolder) -> Iterator[str]:
    """What a reader must know before the numbers: an unfinished run, values that are no numbers, broken log lines."""
    planned = run.steps_planned
    if run.scores is None and run.logs and planned and run.steps_done < planned:
        yield f"This run is not finished: {run.steps_done} of {planned} steps are logged, and nothing is evaluated yet."
    elif run.scores is None:
        yield "This run has not been evaluated yet; the table and the samples come with the evaluation."
    for stage in run.passed_over:
        yield f"Stage {stage} had nothing to learn from, so the student stayed as it was; the kitchen shows why."
    for log in run.logs:
        for row in log.rows:
            bad = [
                key.removeprefix("terms.").removeprefix("probe.")
                for key, value in row.values.items()
                if math.isnan(value)
            ]
            if bad:
                verb = "is not a finite number" if len(bad) == 1 else "are not finite numbers"
                yield f"Stage {log.name}, step {row.step}: {_listed(bad)} {verb}."
        if log.unreadable:
            yield f"train/{log.name}/metrics.jsonl has {log.unreadable} lines that cannot be read; they are left out."
    yield from run.kitchen.damage


def compare_notices(compare: CompareFolder) -> Iterator[str]:
    """The notices of all runs, and the runs that are missing."""
    for method in compare.methods:
        have = {c.seed for c in compare.runs if c.method == method and c.run.scores}
        missing = [str(s) for s in compare.seeds if s not in have]
        if missing:
            yield f"{method}: seed {_listed(missing)} not evaluated yet."
    for compared in compare.runs:
        for notice in notices(compared.run):
            if not notice.startswith("This run"):
                yield f"{compared.method}, seed {compared.seed}: {notice}"


def run_command(run: RunFolder) -> str:
    """The command that reproduces a run: its own resolved recipe is a recipe."""
    return f"stillhouse run {shlex.quote(_shown(run.path / 'recipe.toml'))}" if run.recipe_text else ""


def compare_command(compare: CompareFolder) -> str:
    methods, seeds = ",".join(compare.methods), ",".join(map(str, compare.seeds))
    recipe = _shown(compare.path / "compare.toml") if compare.base.recipe_text else compare.recipe
    return f"stillhouse compare {shlex.quote(recipe)} --methods {shlex.quote(methods)} --seeds {seeds}"


def duration(seconds: float) -> str:
    """ "42 s", "4 min 12 s", "2 h 5 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _progress(run: RunFolder) -> str:
    if not run.steps_done:
        answers = (run.counts or {}).get("teacher answers", 0)
        return f"Nothing has been trained yet; the teacher has answered {answers:,} prompts."
    told = f"Training stands at step {run.steps_done} of {run.steps_planned or 'an unknown number'}"
    kl = line(run.logs, "probe.kl", "KL")
    values = [y for s in kl.segments for y in s.y] if kl else []
    if not values:
        return f"{told}."
    return f"{told}; held-out KL was {number(values[0], 2)} and is {number(values[-1], 2)} nats per token."


def _before(untrained: ModelScores | None, key: str, digits: int, unit: str) -> str:
    score: Score | None = untrained.fidelity.get(key) if untrained else None
    return f" ({number(score.value, digits)}{unit} before training)" if score else ""


def _overlap(a: Row, b: Row) -> bool:
    one, two = a.cells[0].score, b.cells[0].score
    if not one or not two or one.low is None or one.high is None or two.low is None or two.high is None:
        return True
    return one.low <= two.high and two.low <= one.high


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _shown(path: Path) -> str:
    """Relative to the working folder where it lies below it."""
    here = Path.cwd()
    return str(path.resolve().relative_to(here)) if path.resolve().is_relative_to(here) else str(path)
