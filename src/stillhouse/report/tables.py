"""The table at the end: rows of scores that render as HTML (in the page), as terminal text and as Markdown."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from typing import Literal

import rich.table
from rich.console import Console
from rich.text import Text

from stillhouse.evaluate.intervals import over_seeds
from stillhouse.evaluate.scores import ModelScores, Score
from stillhouse.report.printable import printable
from stillhouse.report.read import CompareFolder, RunFolder

MISSING = "-"
ARROWS = {"higher": "\u2191", "lower": "\u2193"}
ROLES = {"teacher": "Teacher", "untrained": "Untrained student", "student": "Trained student"}


@dataclass(frozen=True, slots=True)
class Column:
    """What is measured: `group` heads neighbouring columns, `unit` stands below, `better` is the direction."""

    title: str
    group: str
    unit: str
    better: Literal["higher", "lower"]
    digits: int = 2

    @property
    def heading(self) -> str:
        return f"{self.title} {ARROWS[self.better]}"


@dataclass(frozen=True, slots=True)
class Cell:
    """A value with its 95 % interval; `best` when its interval lies beyond those of all rivals."""

    score: Score | None = None
    digits: int = 2
    best: bool = False

    @property
    def value(self) -> str:
        return MISSING if self.score is None else number(self.score.value, self.digits)

    @property
    def interval(self) -> str:
        """ "[low, high]", or nothing where there is no interval."""
        if self.score is None or self.score.low is None or self.score.high is None:
            return ""
        return f"[{number(self.score.low, self.digits)}, {number(self.score.high, self.digits)}]"

    @property
    def stacked(self) -> str:
        """The value, and half its interval's width below it: the narrowest honest form."""
        if self.score is None or self.score.low is None or self.score.high is None:
            return self.value
        return f"{self.value}\n\u00b1{number((self.score.high - self.score.low) / 2, self.digits)}"

    def __str__(self) -> str:
        return " ".join(part for part in (self.value, self.interval) if part)


@dataclass(frozen=True, slots=True)
class Row:
    """One model or method. `rival`: it takes part in the contest for the best value of a column."""

    label: str
    detail: str
    cells: tuple[Cell, ...]
    rival: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """Neighbouring columns of one group, as (group, number of columns)."""
        spans: list[tuple[str, int]] = []
        for column in self.columns:
            if spans and spans[-1][0] == column.group:
                spans[-1] = (column.group, spans[-1][1] + 1)
            else:
                spans.append((column.group, 1))
        return tuple(spans)

    @property
    def parts(self) -> tuple["Table", ...]:
        """The table as it fits a page: with more than one task, the tasks and the other measures apart."""
        tasks = sum(c.group not in (_DISTANCE, _SIZE) for c in self.columns)
        if tasks <= 2:
            return (self,)
        halves = (slice(0, tasks), slice(tasks, None))
        return tuple(
            replace(self, columns=self.columns[h], rows=tuple(replace(r, cells=r.cells[h]) for r in self.rows))
            for h in halves
        )

    def to_rich(self) -> rich.table.Table:
        """For the terminal: measures down the side and models across; above four models intervals are stacked."""
        table = rich.table.Table(
            title=Text(printable(self.title)), caption=Text(" ".join(self.notes)), caption_justify="left"
        )
        table.add_column("")
        for row in self.rows:
            table.add_column(Text(printable(row.label)), justify="right")
        for index, column in enumerate(self.columns):
            last = index + 1 == len(self.columns) or self.columns[index + 1].group != column.group
            cells = [row.cells[index] for row in self.rows]
            texts = [Text(str(c) if len(cells) <= 4 else c.stacked, style="bold" if c.best else "") for c in cells]
            table.add_row(Text(f"{_qualified(column)}, {column.unit}"), *texts, end_section=last)
        return table

    def to_text(self, width: int = 100) -> str:
        """`to_rich` as plain text, without colours or control codes."""
        out = StringIO()
        Console(file=out, width=width, color_system=None, force_terminal=False).print(self.to_rich())
        return out.getvalue()

    def to_markdown(self) -> str:
        """A GitHub table, models down the side; the best values are bold."""
        heads = ["", *(f"{_qualified(c)} ({c.unit})" for c in self.columns)]
        lines = [_markdown_line(heads), _markdown_line([":--", *["--:"] * len(self.columns)])]
        for row in self.rows:
            cells = [f"**{c.value}** {c.interval}".strip() if c.best else str(c) for c in row.cells]
            lines.append(_markdown_line([printable(row.label), *cells]))
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)]) + "\n"


def run_table(run: RunFolder) -> Table:
    """Teacher, untrained student and trained student of one run."""
    models = {role: run.model(role) for role in ROLES}
    columns = _columns(m for m in models.values() if m)
    rows = tuple(
        Row(ROLES[role], m.label, _cells(columns, {c: _score(m, c) for c in columns}))
        for role, m in models.items()
        if m
    )
    return Table(run.name, tuple(columns), rows, ("In brackets: 95 % interval over prompts.",) if rows else ())


def compare_table(compare: CompareFolder) -> Table:
    """Teacher and untrained student of the first run, then each method: the mean over its seeds and its interval."""
    first = compare.first
    heads = {role: first.model(role) if first else None for role in ("teacher", "untrained")}
    seeds = {m: [s for run in compare.of(m) if (s := run.model("student"))] for m in compare.methods}
    columns = _columns([*(m for m in heads.values() if m), *(m for models in seeds.values() for m in models)])
    rows = [Row(ROLES[r], m.label, _cells(columns, {c: _score(m, c) for c in columns})) for r, m in heads.items() if m]
    for method, models in seeds.items():
        scores = {c: _over_seeds([_score(m, c) for m in models], c == _PARAMETERS) for c in columns}
        rows.append(Row(method, _seed_count(len(models)), _cells(columns, scores), rival=True))
    notes = (
        "Methods: mean over seeds; in brackets its 95 % interval (Student's t; none for a single seed). "
        "Teacher and untrained student: interval over prompts.",
        "Best value marked only where its interval overlaps that of no other method.",
    )
    return Table(compare.name, tuple(columns), mark_best(tuple(columns), rows), notes if columns else ())


def mark_best(columns: tuple[Column, ...], rows: Sequence[Row]) -> tuple[Row, ...]:
    """Mark in each column the rival whose interval lies beyond that of every other; mostly there is none."""
    winners = {}
    for index, column in enumerate(columns):
        rivals = [(i, r.cells[index].score) for i, r in enumerate(rows) if r.rival]
        winners[index] = _winner([(i, s) for i, s in rivals if s is not None], column.better)
    return tuple(
        replace(row, cells=tuple(replace(c, best=winners[j] == i) for j, c in enumerate(row.cells)))
        for i, row in enumerate(rows)
    )


def task_title(task: str) -> str:
    """A task as a reader knows it."""
    return "held-out prompts" if task == "held_out" else task


def number(value: float, digits: int) -> str:
    """Fixed digits, thousands separated; never "-0.00"; "NaN" where a measurement was not a number."""
    if not math.isfinite(value):
        return "NaN"
    text = f"{value:,.{digits}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text


def _winner(rivals: list[tuple[int, Score]], better: str) -> int | None:
    if len(rivals) < 2 or any(s.low is None or s.high is None for _, s in rivals):
        return None
    sign = 1 if better == "higher" else -1
    spans = sorted(((sorted((sign * (s.low or 0.0), sign * (s.high or 0.0))), i) for i, s in rivals), reverse=True)
    (best, index), others = spans[0], spans[1:]
    return index if all(best[0] > other[1] for other, _ in others) else None


_DISTANCE = "Against the teacher"
_SIZE = "Size and speed"
_FIDELITY: Mapping[Column, str] = {
    Column("KL per token", _DISTANCE, "nats", "lower"): "kl",
    Column("Top-1 agreement", _DISTANCE, "%", "higher", 1): "top1",
    Column("First-token KLD", _DISTANCE, "nats", "lower"): "first_kl",
    Column("First-token rKLD", _DISTANCE, "nats", "lower"): "first_reverse_kl",
    Column("Reward of y_t", _DISTANCE, "nats", "higher", 1): "reward_teacher",
    Column("Reward margin", _DISTANCE, "nats", "higher", 1): "reward_margin",
}
_PARAMETERS = Column("Parameters", _SIZE, "millions", "lower", 1)
_SPEED = Column("Speed", _SIZE, "tokens/s", "higher", 1)


def _columns(models: Iterable[ModelScores]) -> list[Column]:
    tasks = dict.fromkeys(task for m in models for task in m.tasks)
    per_task = [
        column
        for task in tasks
        for column in (
            Column("ROUGE-L", task, "0 to 100", "higher", 1),
            Column("Exact match", task, "%", "higher", 1),
        )
    ]
    return [*per_task, *_FIDELITY, _PARAMETERS, _SPEED]


def _score(model: ModelScores, column: Column) -> Score | None:
    if column in _FIDELITY:
        return model.fidelity.get(_FIDELITY[column])
    if column == _PARAMETERS:
        return None if model.parameters is None else Score(model.parameters / 1e6)
    if column == _SPEED:
        return None if model.tokens_per_second is None else Score(model.tokens_per_second)
    task = model.tasks.get(column.group)
    if task is None:
        return None
    return task.rouge_l if column.title == "ROUGE-L" else task.exact_match


def _over_seeds(scores: Sequence[Score | None], counted: bool) -> Score | None:
    """What is counted, not measured (parameters), has no interval."""
    present = [s.value for s in scores if s is not None]
    if not present:
        return None
    return Score(present[0]) if counted else over_seeds(present)


def _cells(columns: Sequence[Column], scores: Mapping[Column, Score | None]) -> tuple[Cell, ...]:
    return tuple(Cell(scores[c], c.digits) for c in columns)


def _seed_count(n: int) -> str:
    return "not evaluated yet" if n == 0 else "1 seed" if n == 1 else f"{n} seeds"


def _qualified(column: Column) -> str:
    group = "" if column.group in (_DISTANCE, _SIZE) else f"{task_title(column.group)}: "
    return printable(f"{group}{column.heading}")


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(c.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ") for c in cells) + " |"
