import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from stillhouse.report.funnel import REASONS, colours, flows, funnel_plot, reasons, rounds_plot
from stillhouse.report.kitchen import Account
from stillhouse.report.style import UNTRAINED

NONE = Account(("main", "label"), "label", "", 1, 0, 0, {}, 0, 0, 0, 0, 0, 0.0, 0.0)


def account(step: str, took: int, kept: int, round: int = 1, stage: str = "main", **dropped: int) -> Account:
    return replace(
        NONE, name=(stage, step), round=round, took=took, kept=kept, dropped=dropped, asked=took, seconds=0.5
    )


def texts(svg: str) -> list[str]:
    return [e.text or "" for e in ElementTree.fromstring(svg).iter("text")]


def bars(svg: str) -> list[float]:
    """The widths of all filled rectangles, in the order drawn."""
    widths = []
    for path in re.findall(r'<path d="([^"]*)" clip-path[^>]*style="fill: var', svg.replace("\n", " ")):
        x = [float(v) for v in re.findall(r"[ML] (-?[\d.]+) ", path)]
        widths.append(max(x) - min(x))
    return widths


def test_rounds_are_summed_and_steps_keep_their_order() -> None:
    accounts = [account("b", 10, 7, 2, dull=3), account("a", 5, 5), account("b", 20, 15, 1, dull=1, long=4)]
    first, second = flows(accounts)
    assert (first.name, second.name) == (("main", "b"), ("main", "a"))
    assert (first.total.took, first.total.kept, first.total.dropped) == (30, 22, {"dull": 4, "long": 4})
    assert (first.total.asked, first.total.seconds, first.out) == (30, 1.0, 30)
    assert [a.round for a in first.rounds] == [1, 2]


def test_the_same_step_in_two_stages_is_two() -> None:
    assert len(flows([account("a", 1, 1), account("a", 1, 1, stage="later")])) == 2


def test_reasons_have_colours_the_commonest_their_own() -> None:
    step = flows([account("a", 99, 0, **{f"r{i}": 20 - i for i in range(9)})])
    assert list(reasons(step)) == [f"r{i}" for i in range(9)]
    paint = colours(step)
    assert [paint[f"r{i}"] for i in range(6)] == list(REASONS) and {paint[f"r{i}"] for i in (6, 7, 8)} == {UNTRAINED}


def test_bars_are_as_long_as_their_numbers() -> None:
    svg = funnel_plot(flows([account("gate", 100, 60, similar=30, short=10)]))
    kept, similar, short = bars(svg)
    assert kept / similar == pytest.approx(2, rel=0.02) and similar / short == pytest.approx(3, rel=0.05)
    assert {"gate", "kept 60", "similar 30", "100 → 60"} <= set(texts(svg)) and "var(--accent)" in svg


def test_the_rest_of_the_reasons_are_one_part() -> None:
    svg = funnel_plot(flows([account("a", 1300, 0, **{f"r{i}": 200 - i for i in range(9)})]))
    assert len(bars(svg)) == 7 and "other reasons 579" in texts(svg)


def test_a_step_that_makes_more_has_a_tick_at_what_it_took() -> None:
    def lines(svg: str) -> int:
        return svg.count("stroke-width: 1.4")

    assert lines(funnel_plot(flows([account("expand", 10, 100)]))) == 1
    assert lines(funnel_plot(flows([account("rules", 100, 90, short=10)]))) == 0


@pytest.mark.parametrize("steps", [[], [account("nothing", 0, 0)], [account("a", 10**12, 1, x=10**12 - 1)]])
def test_odd_numbers_are_drawn(steps: list[Account]) -> None:
    assert "records" in texts(funnel_plot(flows(steps)))


def test_sixty_steps_with_long_names_stay_small() -> None:
    steps = [account(f"step {i} " + "x" * 100, 1000, 400, dull=300, long=200, odd=100) for i in range(60)]
    svg = funnel_plot(flows(steps))
    assert len(svg) < 250_000 and max(len(t) for t in texts(svg)) <= 30


def test_names_are_data() -> None:
    hostile = '<script>alert(1)</script>{{ 7*7 }} $x^2$ "\x00\u202e 日本'
    svg = funnel_plot(flows([account(hostile, 10, 5, **{hostile: 5})]))
    assert "<script" not in svg and "\x00" not in svg and "\u202e" not in svg
    assert any(t.startswith("<script>") for t in texts(svg))


def test_rounds_are_drawn_where_there_are_some() -> None:
    assert rounds_plot(flows([account("a", 10, 5, x=5)])) is None
    assert rounds_plot(flows([account("a", 10, 10, 1), account("a", 10, 10, 2)])) is None, "nothing was dropped"
    svg = rounds_plot(flows([account("gate", 10, 9, 1, x=1), account("gate", 10, 2, 2, x=8), account("gate", 0, 0, 3)]))
    assert svg is not None and {"gate", "round", "% kept"} <= set(texts(svg))
