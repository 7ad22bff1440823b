import itertools
import math
import re
from xml.etree import ElementTree

import pytest

from stillhouse.evaluate.scores import Score
from stillhouse.report.curves import Boundary, Line, Segment
from stillhouse.report.labels import Pen, spread
from stillhouse.report.plots import Bars, Spot, bars, curves, tradeoff, trajectory
from stillhouse.report.style import METHODS, STUDENT, method_style

PEN = Pen(STUDENT)


def one(*y: float, label: str = "loss") -> Line:
    return Line(label, (Segment(tuple(float(i + 1) for i in range(len(y))), y),))


def texts(svg: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(svg).iter("text")]


@pytest.mark.parametrize("y", [(2.0,), (2.0, 2.0), (2.0, math.nan, 1.0), (math.nan,), (1e-9, 1e9), (0.0,) * 200])
def test_curves_of_every_kind_are_drawn(y: tuple[float, ...]) -> None:
    svg = curves("loss", [(one(*y), PEN)], "nats")
    assert "training step" in texts(svg) and "nats" in texts(svg)
    assert ("NaN" in texts(svg)) == any(math.isnan(v) for v in y), "a NaN is marked, and nothing else is"


def test_colours_come_from_the_page_and_ids_are_its_own() -> None:
    svg = curves("a b/c", [(one(2.0, 1.0), PEN)], "nats", (Boundary(0, "warm-up"), Boundary(1, "dpkd")))
    assert "var(--accent)" in svg and "#0a0" not in svg
    ids = re.findall(r' id="([^"]*)"', svg)
    assert ids and all(i.startswith("a-b-c-") for i in ids)
    assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', svg)) <= set(ids)
    assert {"warm-up", "dpkd"} <= set(texts(svg))
    assert "http" not in svg and "font-family" not in svg


def test_the_same_figure_is_the_same_bytes() -> None:
    assert curves("x", [(one(2.0, 1.0), PEN)], "nats") == curves("x", [(one(2.0, 1.0), PEN)], "nats")


def test_labels_are_data() -> None:
    svg = curves("x", [(one(2.0, 1.0, label='<b>$x^2$ & "q"'), PEN)], 'u"<i>')
    assert '<b>$x^2$ & "q"' in texts(svg), "no markup and no mathematics is made of a name"


def test_trajectories_skip_what_is_no_number() -> None:
    svg = trajectory("t", [("dpkd", one(1.0, math.nan, 3.0), one(-1.0, -2.0, -3.0), PEN)], "rKLD", "reward")
    assert "dpkd" in texts(svg)
    assert "svg" in trajectory("t", [("dpkd", one(math.nan), one(1.0), PEN)], "rKLD", "reward")


def test_bars_tell_the_bands_in_words() -> None:
    bands = {"(70,inf)": Score(3.0), "(0,30]": Score(21.5, 20.0, 23.0, 9), "(30,70]": Score(math.nan)}
    svg = bars("b", [Bars("trained", bands, PEN), Bars("other", {"(0,30]": Score(0.0)}, PEN)], {"(0,30]": 9}, "ROUGE-L")
    found = texts(svg)
    assert [t for t in found if "words" in t] == ["up to 30 words", "31 to 70 words", "over 70 words"]
    assert {"9 examples", "21.5", "NaN"} <= set(found)


def test_the_tradeoff_begins_at_zero_speed() -> None:
    spots = [Spot("teacher", 40.0, 27.0, 135_000_000, PEN), Spot("trained", 57.0, 22.0, 99_000_000, PEN)]
    found = texts(tradeoff("s", spots, "tokens per second", "ROUGE-L"))
    assert {"teacher", "trained", "tokens per second", "0"} <= set(found)
    assert "svg" in tradeoff("s", [Spot("a", 0.0, 0.0, 0, PEN)], "x", "y")


@pytest.mark.parametrize("wanted", [[0.5], [0.5, 0.5, 0.5], [0.0, 0.0], [1.0, 0.99, 1.2], [-0.3, 0.4], []])
def test_labels_are_spread_and_stay_inside(wanted: list[float]) -> None:
    found = spread(wanted, 0.1)
    ordered = sorted(found)
    assert all(b - a >= 0.1 - 1e-9 for a, b in itertools.pairwise(ordered))
    assert all(0 <= h <= 1 for h in found)


def test_lonely_labels_stay_where_their_lines_end() -> None:
    assert spread([0.9, 0.2], 0.1) == [0.9, 0.2]
    assert spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])


def test_twenty_methods_have_twenty_styles() -> None:
    assert len({method_style(i) for i in range(20)}) == 20 and len(set(METHODS)) == 8
