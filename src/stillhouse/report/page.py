"""Assembles report.html: one page that opens offline. Everything from a run is a value in the template, never source."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from stillhouse.errors import RunError, StorageError
from stillhouse.report import words
from stillhouse.report.figures import Figure, band_figures, compare_figures, run_figures, tradeoff_figures
from stillhouse.report.read import CompareFolder, RunFolder, read_folder
from stillhouse.report.samples import SideBySide, side_by_side, visible
from stillhouse.report.tables import ROLES, Table, compare_table, run_table

ARXIV = re.compile(r"\b(\d{4}\.\d{4,5})(v\d+)?\b")
NOTICES = 12


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """One of the large figures under the title: a value, what it is, and what it was before or at the teacher."""

    value: str
    unit: str
    name: str
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Page:
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
    tradeoff: tuple[Figure, ...]
    samples: Mapping[str, tuple[SideBySide, ...]]
    command: str
    recipe_text: str
    timings: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    version: str


def write_report(folder: Path) -> Path:
    """Write report.html into a run folder or a compare folder (one with a compare.json), and return its path.

    Raises RunError where the folder is none or cannot be written, StorageError where the disk is full.
    """
    html = render(read_folder(Path(folder)))
    target = Path(folder) / "report.html"
    part = target.with_suffix(".html.part")
    try:
        part.write_text(html, encoding="utf-8")
        os.replace(part, target)
    except PermissionError as error:
        raise RunError(f"{target} cannot be written ({error.strerror}). Make the folder writable, then report again.") from error
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageError(f"{target} cannot be written ({error.strerror}). Free some space, then report again.") from error
    return target


def summary_table(folder: Path) -> Table:
    """The table of a run folder or compare folder, for the terminal and for Markdown."""
    found = read_folder(Path(folder))
    return compare_table(found) if isinstance(found, CompareFolder) else run_table(found)


def render(found: RunFolder | CompareFolder) -> str:
    """The page as HTML text: the same bytes for the same folder."""
    page = _compare_page(found) if isinstance(found, CompareFolder) else _run_page(found)
    environment = Environment(
        loader=PackageLoader("stillhouse", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("page.html.j2").render(page=page)
    return html.encode("utf-8", "replace").decode("utf-8")


def _run_page(run: RunFolder) -> Page:
    table = run_table(run)
    roles = {label: model for role, label in ROLES.items() if (model := run.model(role))}
    return Page(
        title=run.name,
        kind="Distillation report",
        sentence=words.run_sentence(run),
        notices=_first(list(words.notices(run))),
        key_numbers=tuple(_key_numbers(run)),
        table=table,
        curves=tuple(run_figures(run)),
        curves_note=_stages_note(run),
        bands=tuple(band_figures(run)),
        tradeoff=tuple(tradeoff_figures(run)),
        samples=side_by_side(roles),
        command=words.run_command(run),
        timings=tuple((name, words.duration(s)) for name, s in run.timings),
        facts=_facts(run),
        **_head(run),
    )


def _compare_page(compare: CompareFolder) -> Page:
    table = compare_table(compare)
    first = compare.first
    roles = {ROLES[r]: m for r in ("teacher", "untrained") if first and (m := first.model(r))}
    for method in compare.methods:
        roles |= {method: m for run in reversed(compare.of(method)) if (m := run.model("student"))}
    seeds = f"{len(compare.seeds)} seeds" if len(compare.seeds) != 1 else "1 seed"
    return Page(
        title=compare.name,
        kind=f"Comparison of {len(compare.methods)} methods over {seeds}",
        sentence=words.compare_sentence(compare, table),
        notices=_first(list(words.compare_notices(compare))),
        key_numbers=(),
        table=table,
        curves=tuple(compare_figures(compare)),
        curves_note="Lines are means over seeds; bands reach from the lowest to the highest seed.",
        bands=tuple(band_figures(compare)),
        tradeoff=tuple(tradeoff_figures(compare)),
        samples=side_by_side(roles),
        command=words.compare_command(compare),
        timings=tuple(
            (f"{c.method}, seed {c.seed}", words.duration(sum(s for _, s in c.run.timings))) for c in compare.runs if c.run.timings
        ),
        facts=_facts(first) if first else (),
        **_head(first or RunFolder(compare.path, compare.name)),
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
        "distilled": visible(" distilled into ".join(parts)).text,
        "about": visible(recipe.about).text if recipe else "",
        "paper": visible(recipe.paper).text if recipe else "",
        "arxiv": found[1] if found else "",
        "recipe_text": visible(run.recipe_text, 100_000).text,
        "version": run.version,
    }


def _key_numbers(run: RunFolder):
    """Before and after, at a glance."""
    teacher, untrained, student = run.model("teacher"), run.model("untrained"), run.model("student")
    if not student:
        return
    for key, digits, unit, name in (("kl", 2, "nats", "KL per token to the teacher"), ("top1", 0, "%", "top-1 agreement")):
        if key in student.fidelity:
            was = untrained.fidelity.get(key) if untrained else None
            beside = f"untrained {was.value:.{digits}f}" if was else ""
            yield KeyNumber(f"{student.fidelity[key].value:.{digits}f}", unit, name, beside)
    for task, scores in list(student.tasks.items())[:1]:
        at = teacher.tasks[task].rouge_l.value if teacher and task in teacher.tasks else None
        yield KeyNumber(f"{scores.rouge_l.value:.1f}", "", f"ROUGE-L on {task}", "" if at is None else f"teacher {at:.1f}")
    if teacher and teacher.parameters:
        share = 100 * student.parameters / teacher.parameters
        yield KeyNumber(f"{share:.0f}", "%", "of the teacher's parameters", f"{student.parameters / 1e6:.1f} of {teacher.parameters / 1e6:.1f} M")
    if teacher and teacher.tokens_per_second and student.tokens_per_second:
        ratio = student.tokens_per_second / teacher.tokens_per_second
        yield KeyNumber(f"{ratio:.1f}", "×", "the teacher's speed", f"{student.tokens_per_second:.0f} tokens/s")


def _facts(run: RunFolder) -> tuple[tuple[str, str], ...]:
    tokens = sum(row.values.get("tokens", 0.0) for log in run.logs for row in log.rows)
    facts = [(name, f"{n:,}") for name, n in sorted((run.counts or {}).items())]
    if run.steps_done:
        planned = f" of {run.steps_planned:,}" if run.steps_planned else ""
        facts.append(("training steps", f"{run.steps_done:,}{planned}"))
    if tokens == tokens and tokens:
        facts.append(("training tokens", f"{tokens:,.0f}"))
    if run.recipe:
        facts.append(("seed", str(run.recipe.seed)))
    if run.recipe_key:
        facts.append(("recipe key", run.recipe_key[:12]))
    return tuple(facts)


def _stages_note(run: RunFolder) -> str:
    return "Stages are drawn one after another; a dotted line marks where one begins." if len(run.logs) > 1 else ""


def _first(found: list[str]) -> tuple[str, ...]:
    more = len(found) - NOTICES
    return (*found[:NOTICES], f"and {more} more of this kind.") if more > 0 else tuple(found)
