"""Direct labels: names beside lines and points, pushed apart until none covers another."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

Dash = str | tuple[int, tuple[float, ...]]
LINE_HEIGHT = 0.068
"""Of a label, as a fraction of the height of the axes."""
AXES_WIDTH = 340.0
"""Of the axes in a panel, in points, near enough for the end of a thin line."""


@dataclass(frozen=True, slots=True)
class Pen:
    """How one model or method looks in every figure of a page."""

    colour: str
    dash: Dash = "-"


def label_ends(axes: Axes, ends: Sequence[tuple[str, float, Pen]]) -> None:
    """Names right of the axes at the height where their lines end, pushed apart until none covers another."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    named = [e for e in ends if e[0]]
    heights = spread([(y - low) / (high - low) for _, y, _ in named], LINE_HEIGHT)
    for (label, _, pen), height in zip(named, heights, strict=True):
        axes.annotate(label, (1, height), xycoords="axes fraction", xytext=(5, 0), textcoords="offset points",
                      va="center", color=pen.colour, fontsize=8.5)  # fmt: skip


def label_points(axes: Axes, points: Sequence[tuple[str, float, float, Pen]], away: float) -> None:
    """Names `away` points beside their places; of near neighbours in one column, led to their places by thin lines."""
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    axes.set_xlim(x0, x1)
    axes.set_ylim(y0, y1)
    placed = sorted(((x - x0) / (x1 - x0), (y - y0) / (y1 - y0), label, pen) for label, x, y, pen in points if label)
    while placed:
        size = next((i for i in range(1, len(placed)) if placed[i][0] - placed[i - 1][0] > 0.2), len(placed))
        near, placed = placed[:size], placed[size:]
        right = near[-1][0] < 0.7
        edge = near[-1][0] if right else near[0][0]
        for (across, up, label, pen), height in zip(near, spread([p[1] for p in near], LINE_HEIGHT), strict=True):
            axes.annotate(label, (edge, height), xycoords="axes fraction", xytext=(away if right else -away, 0),
                          textcoords="offset points", va="center", ha="left" if right else "right",
                          color=pen.colour, fontsize=8.5)  # fmt: skip
            if abs(height - up) > LINE_HEIGHT / 3 or across != edge:
                tip = edge + (away - 2 if right else 2 - away) / AXES_WIDTH
                leader = ([across, tip], [up, height])
                axes.plot(*leader, color=pen.colour, linewidth=0.6, alpha=0.7, transform=axes.transAxes)


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Heights as near to those wanted as a distance of `gap` allows, within 0 to 1 as far as they fit."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    up, down = [wanted[i] for i in order], [wanted[i] for i in order]
    for i in range(1, len(order)):
        up[i] = max(up[i], up[i - 1] + gap)
        down[-1 - i] = min(down[-1 - i], down[-i] - gap)
    found = [0.0] * len(order)
    for i, place in enumerate(order):
        highest = 1 - (len(order) - 1 - i) * gap
        found[place] = max(i * gap, min(highest, (up[i] + down[i]) / 2))
    return found
