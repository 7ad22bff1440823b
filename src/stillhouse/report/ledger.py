"""What the report says of elicitation: a sentence, the funnel, a table, and records to look at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stillhouse.report import words
from stillhouse.report.diversity import diversity_words, roots, roots_plot, similarity_plot
from stillhouse.report.figures import Figure
from stillhouse.report.funnel import OTHERS, Flow, colours, flows, funnel_plot, reasons, rounds_plot
from stillhouse.report.kitchen import Kitchen
from stillhouse.report.samples import Text, visible
from stillhouse.report.specimens import Specimen, Spill, specimen, spills
from stillhouse.report.style import STUDENT, UNTRAINED, css

NOTES = 12
GROWN_FROM = 20
"""Grown instructions from which on a picture says something."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table: a step, its cells under the heads of the ledger, and why it dropped what it dropped."""

    step: str
    detail: str
    cells: tuple[str, ...]
    why: str
    sum: bool = False


@dataclass(frozen=True, slots=True)
class Ledger:
    """The section on elicitation; `heads` name the cells of its lines."""

    sentence: str
    funnel: Figure | None
    legend: tuple[tuple[str, str], ...]
    figures: tuple[Figure, ...]
    heads: tuple[str, ...]
    lines: tuple[Line, ...]
    dropped: tuple[Spill, ...]
    more: int
    kept: tuple[Specimen, ...]
    notes: tuple[Text, ...]


def ledger(kitchen: Kitchen) -> Ledger | None:
    """The section of a run; None where nothing was elicited, or nothing of it can be read."""
    steps = flows(kitchen.accounts)
    if not steps and not kitchen.dropped:
        return None
    heads, lines = _table(steps)
    notes = [note for step in steps for note in step.total.notes]
    left = [f"and {len(notes) - NOTES} more"] if len(notes) > NOTES else []
    return Ledger(
        sentence=_sentence(steps),
        funnel=_funnel(steps),
        legend=_legend(steps),
        figures=tuple(_figures(kitchen, steps)),
        heads=heads,
        lines=lines,
        dropped=spills(kitchen.dropped),
        more=kitchen.more,
        kept=tuple(specimen(record) for record in kitchen.kept),
        notes=tuple(visible(note, 300) for note in [*notes[:NOTES], *left]),
    )


def _sentence(steps: Sequence[Flow]) -> str:
    if not steps:
        return ""
    first, last, dropped = steps[0].total, steps[-1].total, reasons(steps)
    count = f"{len(steps)} steps" if len(steps) > 1 else "One step"
    told = f"{count}: the first took {_records(first.took)}, the last kept {last.kept:,}."
    if len(steps) == 1:
        told = f"{count} took {_records(first.took)} and kept {first.kept:,}."
    if dropped:
        reason, n = next(iter(dropped.items()))
        total = sum(dropped.values())
        which = f"all as “{reason}”" if len(dropped) == 1 else f"most often as “{reason}” ({n:,})"
        told += f" {_records(total)} {'was' if total == 1 else 'were'} dropped, {which}."
    return told + _asked(steps)


def _asked(steps: Sequence[Flow]) -> str:
    asked, cached = sum(s.total.asked for s in steps), sum(s.total.cached for s in steps)
    if not asked and not cached:
        return ""
    tokens, seconds = sum(s.total.tokens for s in steps), sum(s.total.seconds for s in steps)
    told = f" {asked:,} {'answer was' if asked == 1 else 'answers were'} asked for"
    told += f" ({tokens:,} tokens in {words.duration(seconds)})" if asked else ""
    return f"{told}, and {cached:,} came from the journal." if cached else f"{told}."


def _funnel(steps: Sequence[Flow]) -> Figure | None:
    if not steps:
        return None
    several = any(len({a.round for a in step.rounds}) > 1 for step in steps)
    made = any(step.out != step.total.took for step in steps)
    parts = ["At the end of a bar: records taken → kept."]
    parts += ["A tick marks what a step took where it put out more or fewer."] if made else []
    parts += ["Rounds are summed."] if several else []
    return Figure("Taken, kept and dropped", funnel_plot(steps), " ".join(parts))


def _legend(steps: Sequence[Flow]) -> tuple[tuple[str, str], ...]:
    """(what, CSS colour) of the parts of the bars; the reasons that share a colour are one."""
    paint, counts = colours(steps), reasons(steps)
    own = [(f"{reason} {counts[reason]:,}", css(c)) for reason, c in paint.items() if c != UNTRAINED]
    rest = sum(counts[reason] for reason, c in paint.items() if c == UNTRAINED)
    others = [(f"{OTHERS} {rest:,}", css(UNTRAINED))] if rest else []
    return (("kept", css(STUDENT)), *own, *others) if counts else ()


def _figures(kitchen: Kitchen, steps: Sequence[Flow]) -> Iterator[Figure]:
    rounds = rounds_plot(steps)
    if rounds is not None:
        yield Figure("Kept, round by round", rounds, "The steps that dropped most.")
    if len(kitchen.grown) < GROWN_FROM:
        return
    yield Figure("How new each instruction was", similarity_plot(kitchen.grown), "Of those that were kept.")
    begun = roots([one.instruction for one in kitchen.grown])
    if begun:
        told = f"{diversity_words(begun)} Told by rule, without a parser."
        yield Figure("What the instructions begin with", roots_plot(begun), told)


def _table(steps: Sequence[Flow]) -> tuple[tuple[str, ...], tuple[Line, ...]]:
    """A row a step and their sum. A column of zeros is left out, but for taken, kept and dropped."""
    columns = {
        "taken": [f"{s.total.took:,}" for s in steps],
        "kept": [f"{s.total.kept:,}" for s in steps],
        "dropped": [f"{sum(s.total.dropped.values()):,}" for s in steps],
        "asked": _summed([s.total.asked for s in steps]),
        "from the journal": _summed([s.total.cached for s in steps]),
        "failed": _summed([s.total.failed for s in steps]),
        "tokens read": _summed([s.total.prompt_tokens for s in steps]),
        "tokens written": _summed([s.total.tokens for s in steps]),
        "time": _durations([s.total.seconds for s in steps]),
        "cost": _costs([s.total.cost for s in steps]),
    }
    columns = {head: cells for head, cells in columns.items() if cells}
    total = len(steps) > 1 and any(len(cells) > len(steps) for cells in columns.values())
    several = len({step.name[0] for step in steps}) > 1
    lines = [
        Line(step.name[1], _detail(step, several), tuple(cells[i] for cells in columns.values()), _why(step))
        for i, step in enumerate(steps)
    ]
    if total:
        sums = tuple(cells[-1] if len(cells) > len(steps) else "" for cells in columns.values())
        lines.append(Line("All steps", "", sums, "", sum=True))
    return tuple(columns), tuple(lines)


def _summed(values: Sequence[int]) -> list[str]:
    return [f"{value:,}" if value else "-" for value in [*values, sum(values)]] if any(values) else []


def _durations(values: Sequence[float]) -> list[str]:
    return [words.duration(v) if v else "-" for v in [*values, sum(values)]] if any(values) else []


def _costs(values: Sequence[float]) -> list[str]:
    return [_cost(v) if v else "-" for v in [*values, sum(values)]] if any(values) else []


def _cost(value: float) -> str:
    return f"{value:,.2f}" if value >= 0.01 else f"{value:.1g}"


def _detail(step: Flow, several_stages: bool) -> str:
    rounds = len({account.round for account in step.rounds})
    parts = [step.name[0] if several_stages else "", step.total.use if step.total.use != step.name[1] else ""]
    asks = step.total.asked or step.total.cached
    parts += [step.total.role if asks else "", f"{rounds} rounds" if rounds > 1 else ""]
    return " · ".join(part for part in parts if part)


def _why(step: Flow) -> str:
    return ", ".join(f"{reason} {n:,}" for reason, n in step.total.dropped.items())


def _records(n: int) -> str:
    return "1 record" if n == 1 else f"{n:,} records"
