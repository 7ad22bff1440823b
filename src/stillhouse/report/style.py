"""The look of the figures, and how a figure becomes inline SVG that takes its colours from the page (light or dark)."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from stillhouse.report.printable import printable

# Each colour is a stand-in that becomes the page's CSS variable of that name. METHODS follow Okabe and Ito (2008),
# which readers with colour-blindness tell apart; the page holds one set for light and one for dark.
INK, MUTED, GRID, PAPER = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04"
TEACHER, UNTRAINED, STUDENT, ALERT = "#0a0b05", "#0a0b06", "#0a0b07", "#0a0b08"
METHODS = tuple(f"#0a0c{i:02d}" for i in range(1, 9))
DASHES = ("-", (0, (5.0, 2.0)), (0, (1.5, 1.5)))
_VARIABLES = {
    INK: "ink", MUTED: "muted", GRID: "rule", PAPER: "card",
    TEACHER: "teacher", UNTRAINED: "untrained", STUDENT: "accent", ALERT: "alert",
    **{colour: f"c{i}" for i, colour in enumerate(METHODS, start=1)},
}  # fmt: skip

_RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0,
    "lines.linewidth": 1.7,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def css(colour: str) -> str:
    """The page's own name of a colour."""
    return f"var(--{_VARIABLES[colour]})"


def method_style(index: int) -> tuple[str, str | tuple[int, tuple[float, ...]]]:
    """Colour and dash of the method at `index`: eight colours, then the same eight dashed, then dotted."""
    return METHODS[index % len(METHODS)], DASHES[(index // len(METHODS)) % len(DASHES)]


@contextmanager
def panel(width: float = 5.6, height: float = 3.1) -> Iterator[tuple[Figure, Axes]]:
    """A styled figure with one pair of axes (inches); no pyplot, so nothing global is touched.

    Text is measured in a font that lacks many scripts, and shown in the reader's own, so what it lacks is no matter.
    """
    with matplotlib.rc_context(_RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph ", category=UserWarning)
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def to_svg(figure: Figure, name: str, label: str) -> Markup:
    """The figure as an inline <svg>: the same bytes every time, ids prefixed by `name`, colours from the page.

    `label` is read out by screen readers in place of the picture.
    """
    out = BytesIO()
    with matplotlib.rc_context({**_RC, "svg.hashsalt": name}):
        FigureCanvasSVG(figure).print_svg(out, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = printable(out.getvalue().decode("utf-8"))
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' (xmlns(:\w+)?|version|width|height)="[^"]*"', "", svg[: (end := svg.index(">"))]) + svg[end:]
    svg = re.sub(r"#0a0[bc]\d\d", lambda m: css(m[0]), svg)
    svg = re.sub(
        r"font-family: [^;\"]*;? ?|font: ([\d.]+px)[^;\"]*", lambda m: f"font-size: {m[1]}" if m[1] else "", svg
    )
    prefix = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{prefix}-", svg).replace("xlink:href", "href")
    title = Markup.escape(printable(label))
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{title}"', 1))
