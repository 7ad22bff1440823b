"""The funnel of elicitation: what every step took, kept and dropped, summed over rounds and drawn."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from stillhouse.report.kitchen import Account, Name
from stillhouse.report.labels import Pen, label_ends
from stillhouse.report.style import DASHES, INK, METHODS, MUTED, PAPER, STUDENT, TEACHER, UNTRAINED, panel, to_svg

KEPT = STUDENT
REASONS = tuple(METHODS[i] for i in (0, 2, 3, 6, 4, 5))
"""Colours of the commonest reasons; without the orange that is next to that of what is kept."""

OTHERS = "other reasons"
WIDTH, ROW, LETTER = 11.4, 0.29, 4.6
"""Of the picture and of a step in inches; of a letter, near enough, in points."""

NAME_LENGTH = 30
STEP_PENS = (Pen(STUDENT), Pen(TEACHER), Pen(UNTRAINED), Pen(STUDENT, DASHES[1]), Pen(TEACHER, DASHES[1]))
"""Of the steps over rounds; in other colours than the reasons have."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One step, all its rounds together."""

    total: Account
    rounds: tuple[Account, ...]

    @property
    def name(self) -> Name:
        return self.total.name

    @property
    def out(self) -> int:
        """All that came out, kept or dropped."""
        return self.total.kept + sum(self.total.dropped.values())


def flows(accounts: Sequence[Account]) -> tuple[Flow, ...]:
    """The steps in their order, each with its rounds."""
    found: dict[Name, list[Account]] = {}
    for account in accounts:
        found.setdefault(account.name, []).append(account)
    return tuple(Flow(_sum(rounds), tuple(sorted(rounds, key=lambda a: a.round))) for rounds in found.values())


def reasons(steps: Sequence[Flow]) -> dict[str, int]:
    """Why records were dropped, the commonest first."""
    counts: Counter[str] = Counter()
    for step in steps:
        counts.update(step.total.dropped)
    return dict(counts.most_common())


def colours(steps: Sequence[Flow]) -> dict[str, str]:
    """Each reason's colour; all but the commonest share one."""
    names = list(reasons(steps))
    return {name: REASONS[i] if i < len(REASONS) else UNTRAINED for i, name in enumerate(names)}


def funnel_plot(steps: Sequence[Flow]) -> Markup:
    """A bar a step: what it kept, then what it dropped by reason; a tick where it took another number of records."""
    several_stages = len({step.name[0] for step in steps}) > 1
    longest = max((max(step.out, step.total.took) for step in steps), default=0) or 1
    paint = colours(steps)
    with panel(WIDTH, 0.75 + ROW * len(steps)) as (figure, axes):
        _frame(axes, steps, longest, several_stages)
        for place, step in enumerate(steps):
            _row(axes, place, step, longest, paint)
        return to_svg(figure, "funnel", f"Records kept and dropped by {len(steps)} steps")


def rounds_plot(steps: Sequence[Flow]) -> Markup | None:
    """The share of its records that a step kept, round by round, of those that dropped most; None without rounds."""
    dropping = [step for step in steps if step.total.dropped and len({a.round for a in step.rounds}) > 1]
    dropping.sort(key=lambda step: -sum(step.total.dropped.values()))
    if not dropping:
        return None
    with panel() as (figure, axes):
        axes.set_xlabel("round")
        axes.set_ylabel("% kept")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 5, 10]))
        ends = []
        for step, pen in zip(dropping, STEP_PENS, strict=False):
            shares = _shares(step.rounds)
            few = len(shares) <= 12
            axes.plot(
                *zip(*shares, strict=True),
                color=pen.colour,
                linestyle=pen.dash,
                marker="o" if few else "",
                markersize=3.2,
            )
            ends.append((_short(step.name[1], 18), shares[-1][1], pen))
        axes.set_ylim(0, 104)
        label_ends(axes, ends)
        names = ", ".join(step.name[1] for step in dropping[: len(STEP_PENS)])
        return to_svg(figure, "rounds", f"% kept by round: {names}")


def _sum(rounds: Sequence[Account]) -> Account:
    first, dropped = rounds[0], Counter[str]()
    for account in rounds:
        dropped.update(account.dropped)
    return replace(
        first,
        took=sum(a.took for a in rounds),
        kept=sum(a.kept for a in rounds),
        dropped=dict(dropped.most_common()),
        asked=sum(a.asked for a in rounds),
        cached=sum(a.cached for a in rounds),
        failed=sum(a.failed for a in rounds),
        prompt_tokens=sum(a.prompt_tokens for a in rounds),
        tokens=sum(a.tokens for a in rounds),
        seconds=sum(a.seconds for a in rounds),
        cost=sum(a.cost for a in rounds),
        notes=tuple(note for a in rounds for note in a.notes),
    )


def _frame(axes: Axes, steps: Sequence[Flow], longest: int, several_stages: bool) -> None:
    axes.grid(False, axis="y")
    axes.grid(True, axis="x")
    axes.set_ylim(len(steps) - 0.4, -0.6)
    axes.set_xlim(0, longest * 1.17)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("records")
    names = [f"{s.name[0]} · {s.name[1]}" if several_stages and s.name[0] else s.name[1] for s in steps]
    axes.set_yticks(range(len(steps)), [_short(name, NAME_LENGTH) for name in names])
    for label in axes.get_yticklabels():
        label.set_color(INK)


def _row(axes: Axes, place: int, step: Flow, longest: int, paint: Mapping[str, str]) -> None:
    begin = 0
    for label, size, colour in _parts(step, paint):
        axes.barh([place], [size], left=begin, height=0.72, color=colour, edgecolor=PAPER, linewidth=0.6)
        _written(axes, begin, place, size, label, longest)
        begin += size
    took = step.total.took
    if took != step.out:
        axes.plot([took, took], [place - 0.44, place + 0.44], color=INK, linewidth=1.4, solid_capstyle="butt")
    words = f"{took:,} → {step.total.kept:,}"
    axes.annotate(words, (max(begin, took), place), xytext=(6, 0), textcoords="offset points", va="center",
                  color=MUTED, fontsize=8)  # fmt: skip


def _parts(step: Flow, paint: Mapping[str, str]) -> list[tuple[str, int, str]]:
    """(label, records, colour) of a bar's parts; what shares the last colour is one part."""
    parts = [("kept", step.total.kept, KEPT)]
    parts += [(r, n, paint[r]) for r, n in step.total.dropped.items() if paint[r] != UNTRAINED]
    rest = [(r, n) for r, n in step.total.dropped.items() if paint[r] == UNTRAINED]
    if rest:
        parts.append((rest[0][0] if len(rest) == 1 else OTHERS, sum(n for _, n in rest), UNTRAINED))
    return [part for part in parts if part[1]]


def _written(axes: Axes, begin: int, place: int, size: int, label: str, longest: int) -> None:
    """The label in its part of the bar, where it fits."""
    room = size / (longest * 1.17) * 72 * WIDTH * 0.78 / LETTER - 1.5
    for words in (f"{label} {size:,}", f"{size:,}"):
        if len(words) <= room:
            axes.annotate(words, (begin + size / 2, place), ha="center", va="center", color=PAPER, fontsize=7.5)
            return


def _shares(rounds: Sequence[Account]) -> list[tuple[int, float]]:
    kept, out = Counter[int](), Counter[int]()
    for account in rounds:
        kept[account.round] += account.kept
        out[account.round] += account.kept + sum(account.dropped.values())
    return [(number, 100 * kept[number] / out[number]) for number in sorted(out) if out[number]]


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
