"""What a report says, gathered from a run or a comparison; page.py only lays it out."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stillhouse.report import words
from stillhouse.report.figures import Figure, band_figures, compare_figures, legend, run_figures, tradeoff_figures
from stillhouse.report.ledger import Ledger, ledger
from stillhouse.report.read import CompareFolder, RunFolder
from stillhouse.report.samples import SideBySide, side_by_side
from stillhouse.report.tables import ROLES, Table, compare_table, run_table, task_title

ARXIV = re.compile(r"\b(\d{4}\.\d{4,5})(v\d+)?\b")
NOTICES = 12
RECIPE_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """One of the large figures under the title: a value, what it is, and what it was before or at the teacher."""

    value: str
    unit: str
    name: str
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """All that the template shows."""

    title: str
    kind: str
    date: str
    distilled: str
    about: str
    paper: str
    arxiv: str
    sentence: str
    notices: tuple[str, ...]
    key_numbers: tuple[KeyNumber, ...]
    table: Table
    curves: tuple[Figure, ...]
    curves_note: str
    bands: tuple[Figure, ...]
    legend: tuple[tuple[str, str], ...]
    tradeoff: tuple[Figure, ...]
    samples: Mapping[str, tuple[SideBySide, ...]]
    kitchen: Ledger | None
    command: str
    recipe_text: str
    timings: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    version: str


def run_content(run: RunFolder) -> Content:
    """The report of one run, as far as it has come."""
    table = run_table(run)
    roles = {label: model for role, label in ROLES.items() if (model := run.model(role))}
    return Content(
        title=run.name,
        kind="Distillation report",
        sentence=words.run_sentence(run),
        notices=_first(list(words.notices(run))),
        key_numbers=tuple(_key_numbers(run)),
        table=table,
        curves=tuple(run_figures(run)),
        curves_note=_stages_note(run),
        bands=tuple(band_figures(run)),
        legend=legend(run),
        tradeoff=tuple(tradeoff_figures(run)),
        samples=side_by_side(roles),
        kitchen=ledger(run.kitchen),
        command=words.run_command(run),
        timings=tuple((name, words.duration(s)) for name, s in run.timings),
        facts=_facts(run),
        **_head(run),
    )


def compare_content(compare: CompareFolder) -> Content:
    """The report of a comparison: methods beside one another, the teacher and the untrained student as marks."""
    table = compare_table(compare)
    first = compare.first
    roles = {ROLES[r]: m for r in ("teacher", "untrained") if first and (m := first.model(r))}
    for method in compare.methods:
        scored = (m for run in compare.of(method) if (m := run.model("student")))
        roles |= dict(zip([method], scored, strict=False))
    seeds = f"{len(compare.seeds)} seeds" if len(compare.seeds) != 1 else "1 seed"
    return Content(
        title=compare.name,
        kind=f"Comparison of {len(compare.methods)} methods over {seeds}",
        sentence=words.compare_sentence(compare, table),
        notices=_first(list(words.compare_notices(compare))),
        key_numbers=(),
        table=table,
        curves=tuple(compare_figures(compare)),
        curves_note="Lines are means over seeds; bands reach from the lowest to the highest seed.",
        bands=tuple(band_figures(compare)),
        legend=legend(compare),
        tradeoff=tuple(tradeoff_figures(compare)),
        samples=side_by_side(roles),
        kitchen=ledger(compare.base.kitchen),
        command=words.compare_command(compare),
        timings=tuple(
            (f"{c.method}, seed {c.seed}", words.duration(_total(c.run))) for c in compare.runs if c.run.timings
        ),
        facts=_facts(compare.base),
        **_head(compare.base),
    )


def _head(run: RunFolder) -> dict[str, str]:
    """What a run and a comparison say alike about models, paper, recipe and date."""
    teacher, student = run.model("teacher"), run.model("student")
    sizes = [words.size(m.parameters if m else None) for m in (teacher, student)]
    if not sizes[1] and run.student:
        sizes[1] = words.size(run.student.parameters)
    names = [words.teacher_name(run), words.student_name(run)]
    parts = [f"{n} ({s})" if s and "(" not in n else f"{n}, {s}" if s else n for n, s in zip(names, sizes, strict=True)]
    recipe = run.recipe
    found = ARXIV.search(recipe.paper) if recipe else None
    return {
        "date": run.created[:16].replace("T", " "),
        "distilled": " distilled into ".join(parts),
        "about": recipe.about if recipe else "",
        "paper": recipe.paper if recipe else "",
        "arxiv": found[1] if found else "",
        "recipe_text": run.recipe_text[:RECIPE_LIMIT],
        "version": run.version,
    }


def _key_numbers(run: RunFolder) -> Iterator[KeyNumber]:
    """Before and after, at a glance."""
    teacher, untrained, student = run.model("teacher"), run.model("untrained"), run.model("student")
    if not student:
        return
    for key, digits, unit, name in (("kl", 2, "nats", "KL per token"), ("top1", 0, "%", "top-1 agreement")):
        if key in student.fidelity:
            was = untrained.fidelity.get(key) if untrained else None
            beside = f"{was.value:.{digits}f} before training" if was else ""
            yield KeyNumber(f"{student.fidelity[key].value:.{digits}f}", unit, name, beside)
    for task, scores in list(student.tasks.items())[:1]:
        at = teacher.tasks[task].rouge_l.value if teacher and task in teacher.tasks else None
        beside = "" if at is None else f"teacher {at:.1f}"
        yield KeyNumber(f"{scores.rouge_l.value:.1f}", "", f"ROUGE-L on {task_title(task)}", beside)
    if teacher and teacher.parameters and student.parameters:
        sizes = f"{student.parameters / 1e6:.1f} of {teacher.parameters / 1e6:.1f} M"
        yield KeyNumber(
            f"{100 * student.parameters / teacher.parameters:.0f}", "%", "of the teacher's parameters", sizes
        )
    if teacher and teacher.tokens_per_second and student.tokens_per_second:
        ratio = student.tokens_per_second / teacher.tokens_per_second
        yield KeyNumber(f"{ratio:.1f}", "×", "the teacher's speed", f"{student.tokens_per_second:.0f} tokens/s")


def _facts(run: RunFolder) -> tuple[tuple[str, str], ...]:
    tokens = sum(row.values.get("tokens", 0.0) for log in run.logs for row in log.rows)
    facts = [(name, f"{n:,}") for name, n in sorted((run.counts or {}).items())]
    if run.steps_done:
        planned = f" of {run.steps_planned:,}" if run.steps_planned else ""
        facts.append(("training steps", f"{run.steps_done:,}{planned}"))
    if math.isfinite(tokens) and tokens:
        facts.append(("training tokens", f"{tokens:,.0f}"))
    if run.recipe:
        facts.append(("seed", str(run.recipe.seed)))
    if run.recipe_key:
        facts.append(("recipe key", run.recipe_key[:12]))
    return tuple(facts)


def _total(run: RunFolder) -> float:
    return sum(seconds for _, seconds in run.timings)


def _stages_note(run: RunFolder) -> str:
    return "Stages are drawn one after another; a dotted line marks where one begins." if len(run.logs) > 1 else ""


def _first(found: list[str]) -> tuple[str, ...]:
    more = len(found) - NOTICES
    return (*found[:NOTICES], f"and {more} more of this kind.") if more > 0 else tuple(found)
