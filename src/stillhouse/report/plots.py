"""The figures of a report, each one panel of inline SVG: curves, trajectories, bars by length, and the trade-off."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from stillhouse.evaluate.scores import Score
from stillhouse.report.curves import Boundary, Line, Segment, smooth
from stillhouse.report.labels import Pen, label_ends, label_points
from stillhouse.report.style import ALERT, INK, MUTED, PAPER, panel, to_svg

SMOOTH_FROM = 60
MARKERS_UP_TO = 12


@dataclass(frozen=True, slots=True)
class Spot:
    """One model in the trade-off: where it lies, and its size in parameters."""

    label: str
    x: float
    y: float
    parameters: int
    pen: Pen


@dataclass(frozen=True, slots=True)
class Bars:
    """One model's scores by length band; a band without examples is absent."""

    label: str
    bands: dict[str, Score]
    pen: Pen


def curves(
    name: str, lines: Sequence[tuple[Line, Pen]], unit: str, stages: Sequence[Boundary] = (), zero: bool = False
) -> Markup:
    """Lines over training steps, labelled at their ends; long ones are drawn faint with a running mean on top.

    A NaN is a gap with a cross at the foot of the panel. `zero` draws the zero line.
    """
    with panel() as (figure, axes):
        axes.set_xlabel("training step")
        axes.set_ylabel(unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, steps=[1, 2, 5, 10]))
        for line, pen in lines:
            for segment in line.segments:
                _draw(axes, segment, pen)
        if zero:
            axes.axhline(0, color=MUTED, linewidth=0.8, zorder=1)
        _separators(axes, stages)
        _mark_nan(axes, [line for line, _ in lines])
        label_ends(axes, [(line.label, line.last[1], pen) for line, pen in lines if line.last])
        names = ", ".join(line.label for line, _ in lines)
        return to_svg(figure, name, f"{unit} over training steps: {names}")


def trajectory(name: str, paths: Sequence[tuple[str, Line, Line, Pen]], x_label: str, y_label: str) -> Markup:
    """One value against another as training goes on: a dot where it begins, a ring where it ends."""
    with panel() as (figure, axes):
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.grid(True, axis="both")
        ends = []
        for label, across, up, pen in paths:
            x, y = _joined(across, up)
            axes.plot(x, y, color=pen.colour, linestyle=pen.dash, linewidth=1.3, marker=".", markersize=3.5)
            finite = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
            if finite:
                axes.plot(*finite[0], "o", color=pen.colour, markersize=5)
                axes.plot(*finite[-1], "o", color=pen.colour, markersize=7, markerfacecolor=PAPER, markeredgewidth=1.8)
                ends.append((label, *finite[-1], pen))
        label_points(axes, ends, away=8.0)
        return to_svg(figure, name, f"{y_label} against {x_label}: {', '.join(p[0] for p in paths)}")


def bars(name: str, models: Sequence[Bars], counts: dict[str, int], unit: str) -> Markup:
    """Scores by golden-response length, one bar a model, with 95 % intervals; the page has the legend.

    `counts` are the examples in each band.
    """
    bands = sorted({b for m in models for b in m.bands}, key=_band_start)
    width = 0.8 / max(1, len(models))
    with panel() as (figure, axes):
        axes.set_ylabel(unit)
        axes.set_xticks(range(len(bands)), [f"{_band_label(b)}\n{counts.get(b, 0)} examples" for b in bands])
        axes.tick_params(axis="x", length=0)
        for index, model in enumerate(models):
            for place, band in enumerate(bands):
                if band in model.bands:
                    x = place - 0.4 + width * (index + 0.5)
                    _bar(axes, x, width, model.bands[band], model.pen, written=len(models) <= 3)
        axes.set_ylim(bottom=0, top=max(axes.get_ylim()[1], 1e-9) * 1.06)
        axes.set_xlim(-0.55, len(bands) - 0.45)
        return to_svg(figure, name, f"{unit} by length of the reference answer: {', '.join(m.label for m in models)}")


def tradeoff(name: str, spots: Sequence[Spot], x_label: str, y_label: str) -> Markup:
    """Quality against speed (or size), which begins at 0; the area of a spot is proportional to parameters."""
    with panel() as (figure, axes):
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.grid(True, axis="both")
        axes.margins(0.2)
        axes.set_xlim(0, 1.15 * max(s.x for s in spots) or 1)
        largest = max(s.parameters for s in spots) or 1
        for spot in spots:
            area = max(14.0, 420 * spot.parameters / largest)
            axes.scatter([spot.x], [spot.y], s=area, color=spot.pen.colour, alpha=0.3, linewidths=0)
            axes.scatter([spot.x], [spot.y], s=9, color=spot.pen.colour, linewidths=0)
        label_points(axes, [(s.label, s.x, s.y, s.pen) for s in spots], away=13.0)
        return to_svg(figure, name, f"{y_label} against {x_label}: {', '.join(s.label for s in spots)}")


def _draw(axes: Axes, segment: Segment, pen: Pen) -> None:
    x, y = list(segment.x), list(segment.y)
    style = {"color": pen.colour, "linestyle": pen.dash}
    if segment.low:
        axes.fill_between(x, segment.low, segment.high, color=pen.colour, alpha=0.13, linewidth=0)
    if len(x) >= SMOOTH_FROM:
        axes.plot(x, y, **{**style, "linestyle": "-"}, alpha=0.3, linewidth=0.8)
        y = list(smooth(y, max(3, len(x) // 15)))
    few = len(x) <= MARKERS_UP_TO
    axes.plot(x, y, **style, marker="o" if few else "", markersize=3.2)


def _mark_nan(axes: Axes, lines: Sequence[Line]) -> None:
    """A cross at the foot of the panel for every logged value that was not a number."""
    steps = sorted({x for ln in lines for s in ln.segments for x, y in zip(s.x, s.y, strict=True) if math.isnan(y)})
    if not steps:
        return
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.14 * (high - low), high)
    foot = axes.get_xaxis_transform()
    axes.plot(
        steps, [0.04] * len(steps), "x", color=ALERT, markersize=6, markeredgewidth=1.6, transform=foot, clip_on=False
    )
    axes.annotate("NaN", (steps[0], 0.04), xycoords=foot, xytext=(0, 6), textcoords="offset points", ha="center",
                  color=ALERT, fontsize=8)  # fmt: skip


def _separators(axes: Axes, stages: Sequence[Boundary]) -> None:
    if len(stages) < 2:
        return
    for stage in stages:
        if stage.step:
            axes.axvline(stage.step, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
        axes.annotate(stage.stage, (stage.step, 1), xycoords=axes.get_xaxis_transform(), xytext=(3, 2),
                      textcoords="offset points", color=MUTED, fontsize=7.5)  # fmt: skip


def _bar(axes: Axes, x: float, width: float, score: Score, pen: Pen, written: bool) -> None:
    if not math.isfinite(score.value):
        axes.annotate("NaN", (x, 0), xytext=(0, 3), textcoords="offset points", ha="center", color=ALERT, fontsize=7.5)
        return
    axes.bar([x], [score.value], width * 0.9, color=pen.colour)
    top = score.value
    if score.low is not None and score.high is not None:
        axes.plot([x, x], [score.low, score.high], color=INK, linewidth=0.8, alpha=0.6, solid_capstyle="butt")
        top = score.high
    if written:
        axes.annotate(f"{score.value:.1f}", (x, top), xytext=(0, 2), textcoords="offset points", ha="center",
                      color=MUTED, fontsize=7.5)  # fmt: skip


def _joined(across: Line, up: Line) -> tuple[list[float], list[float]]:
    """The values of both lines at the steps that both have."""
    x_at = {x: y for s in across.segments for x, y in zip(s.x, s.y, strict=True)}
    pairs = [(x_at[x], y) for s in up.segments for x, y in zip(s.x, s.y, strict=True) if x in x_at]
    return [p[0] for p in pairs], [p[1] for p in pairs]


def _band_start(band: str) -> float:
    digits = band.strip("([])").split(",")[0]
    return float(digits) if digits.isdigit() else math.inf


def _band_label(band: str) -> str:
    """ "(0,30]" is "up to 30 words", "(30,70]" is "31 to 70", "(70,inf)" is "over 70"."""
    low, _, high = band.strip("([])").partition(",")
    if not low.isdigit():
        return band
    if not high.isdigit():
        return f"over {low} words"
    return f"up to {high} words" if low == "0" else f"{int(low) + 1} to {high} words"
