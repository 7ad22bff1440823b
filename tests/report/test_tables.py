from pathlib import Path

import pytest

from stillhouse.evaluate.scores import Score
from stillhouse.report import summary_table
from stillhouse.report.tables import Cell, Column, Row, Table, mark_best, number
from tests.report.folders import write_compare, write_run, write_unfinished

HIGHER = Column("ROUGE-L", "held_out", "0 to 100", "higher", 1)
LOWER = Column("KL per token", "Against the teacher", "nats", "lower")


def rows(*scores: Score | None, rival: bool = True) -> list[Row]:
    return [Row(f"m{i}", "", (Cell(s, 1),), rival) for i, s in enumerate(scores)]


def best(column: Column, *scores: Score | None) -> list[bool]:
    return [row.cells[0].best for row in mark_best((column,), rows(*scores))]


def test_a_best_value_needs_an_interval_apart_from_all_others() -> None:
    low, middle, high = Score(1.0, 0.5, 1.5, 3), Score(2.0, 1.6, 2.4, 3), Score(3.0, 2.5, 3.5, 3)
    assert best(HIGHER, low, high, middle) == [False, True, False]
    assert best(LOWER, low, high, middle) == [True, False, False]
    assert best(HIGHER, high, Score(2.4, 2.0, 2.6, 3)) == [False, False], "they overlap"
    assert best(HIGHER, high, Score(1.5, 0.5, 2.5, 3)) == [False, False], "to touch is to overlap"


def test_without_intervals_or_rivals_nothing_is_best() -> None:
    high = Score(3.0, 2.5, 3.5, 3)
    assert best(HIGHER, high, Score(1.0)) == [False, False], "one seed cannot be told apart"
    assert best(HIGHER, high) == [False] and best(HIGHER, high, None) == [False, False]
    assert not mark_best((HIGHER,), rows(high, Score(1.0, 0.0, 2.0, 3), rival=False))[0].cells[0].best


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(1234.5, 1, "1,234.5"), (-0.001, 2, "0.00"), (-0.25, 1, "-0.2"), (float("nan"), 2, "NaN"), (7.0, 0, "7")],
)
def test_numbers(value: float, digits: int, text: str) -> None:
    assert number(value, digits) == text


def test_a_run_has_three_rows(tmp_path: Path) -> None:
    table = summary_table(write_run(tmp_path / "small"))
    assert [r.label for r in table.rows] == ["Teacher", "Untrained student", "Trained student"]
    assert [c.title for c in table.columns[:4]] == ["ROUGE-L", "Exact match", "KL per token", "Top-1 agreement"]
    kl = [row.cells[2].value for row in table.rows]
    assert kl[0] == "-" and float(kl[1]) > float(kl[2]), "the teacher's own divergence is not measured"
    assert table.groups == (("held_out", 2), ("Against the teacher", 6), ("Size and speed", 2))


def test_a_run_without_scores_has_no_rows(tmp_path: Path) -> None:
    table = summary_table(write_unfinished(tmp_path / "half"))
    assert table.rows == () and "half" in table.to_text()


def test_a_comparison_takes_means_and_intervals_over_seeds(tmp_path: Path) -> None:
    table = summary_table(write_compare(tmp_path / "methods", {"dpkd": 2.0, "sft": 0.5}))
    assert [r.label for r in table.rows] == ["Teacher", "Untrained student", "dpkd", "sft"]
    dpkd = table.rows[2]
    assert dpkd.detail == "3 seeds" and dpkd.cells[0].score is not None and dpkd.cells[0].score.n == 3
    assert dpkd.cells[0].best and not table.rows[3].cells[0].best
    parameters = dpkd.cells[[c.title for c in table.columns].index("Parameters")]
    assert parameters.interval == "", "what is counted has no interval"


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    table = summary_table(write_compare(tmp_path / "methods", {"dpkd": 2.0, "sft": 0.5}, (1,)))
    assert {c.interval for row in table.rows[2:] for c in row.cells} == {""}
    assert not any(c.best for row in table.rows for c in row.cells)


def test_text_has_every_value_and_no_colour_codes(tmp_path: Path) -> None:
    table = summary_table(write_run(tmp_path / "small"))
    text = table.to_text(width=120)
    assert "\x1b" not in text
    assert all(str(cell) in text for row in table.rows for cell in row.cells)
    assert "KL per token ↓, nats" in text and "held-out prompts: ROUGE-L ↑, 0 to 100" in text


def test_five_methods_fit_a_terminal_of_120(tmp_path: Path) -> None:
    table = summary_table(write_compare(tmp_path / "methods"))
    assert all(cell.value in table.to_text(120) for row in table.rows for cell in row.cells)


def test_markdown_escapes_and_has_equal_rows() -> None:
    row = Row("a|b\nc", "", (Cell(Score(1.25, 1.0, 1.5), 1, best=True), Cell()))
    lines = Table("t", (HIGHER, LOWER), (row,), ("A note.",)).to_markdown().splitlines()
    assert lines[2] == r"| a\|b c | **1.2** [1.0, 1.5] | - |"
    assert lines[0].count("|") == lines[1].count("|") == 4 and lines[-1] == "A note."


def test_names_cannot_steer_a_terminal() -> None:
    table = Table("t\x1b[2J", (HIGHER,), (Row("m\x1b[31m", "", (Cell(),)),))
    assert "\x1b" not in table.to_text() + table.to_markdown() and "␛" in table.to_text()


def test_several_tasks_are_apart_from_the_other_measures() -> None:
    columns = (
        HIGHER,
        Column("ROUGE-L", "b", "0 to 100", "higher"),
        Column("ROUGE-L", "c", "0 to 100", "higher"),
        LOWER,
    )
    parts = Table("t", columns, (Row("m", "", tuple(Cell(digits=i) for i in range(4))),)).parts
    assert [p.columns for p in parts] == [columns[:3], columns[3:]]
    assert [c.digits for p in parts for c in p.rows[0].cells] == [0, 1, 2, 3]
