from dataclasses import replace
from pathlib import Path

from stillhouse.report.kitchen import Kitchen, read_kitchen
from stillhouse.report.ledger import Ledger, ledger
from tests.report.folders import write_kitchen
from tests.report.test_funnel import account


def of(*accounts) -> Ledger:
    found = ledger(Kitchen(tuple(accounts)))
    assert found is not None
    return found


def test_nothing_elicited_is_no_section() -> None:
    assert ledger(Kitchen()) is None


def test_a_run_in_rounds(tmp_path: Path) -> None:
    found = ledger(read_kitchen(write_kitchen(tmp_path)))
    assert found is not None and found.funnel is not None
    assert found.sentence.startswith("7 steps: the first took 175 records, the last kept 173. 421 records were dropped")
    assert "most often as “too similar” (291)" in found.sentence and "90 came from the journal" in found.sentence
    assert [line.step for line in found.lines][-2:] == ["assemble", "All steps"] and found.lines[-1].sum
    assert [f.title for f in found.figures] == [
        "Kept, round by round", "How new each instruction was", "What the instructions begin with",
    ]  # fmt: skip
    gate = next(line for line in found.lines if line.step == "0.7 gate")
    row = dict(zip(found.heads, gate.cells, strict=True))
    assert row == {"taken": "504", "kept": "213", "dropped": "291", "asked": "-", "from the journal": "-",
                   "failed": "-", "tokens read": "-", "tokens written": "-", "time": "-", "cost": "-"}  # fmt: skip
    assert gate.detail == "grow · novel · 6 rounds" and gate.why == "too similar 291"
    assert found.legend[0] == ("kept", "var(--accent)") and found.legend[1][0] == "too similar 291"
    assert found.legend[-1] == ("other reasons 7", "var(--untrained)")
    assert [n.text for n in found.notes] == ["Failed prompt 9ab3f2c1 (Write a poem …): the server said 503."]


def test_one_step_that_asks_nothing_has_a_short_table() -> None:
    found = of(replace(account("rules", 10, 9, short=1), asked=0, seconds=0.0))
    assert found.heads == ("taken", "kept", "dropped") and len(found.lines) == 1
    assert found.sentence == "One step took 10 records and kept 9. 1 record was dropped, all as “short”."
    assert found.figures == ()


def test_where_nothing_is_dropped_there_is_no_legend() -> None:
    found = of(account("label", 3, 3))
    assert found.legend == () and "dropped" not in found.sentence
    assert found.sentence.endswith("3 answers were asked for (0 tokens in 0.5 s).")


def test_small_costs_are_told() -> None:
    found = of(replace(account("a", 1, 1), cost=0.00042), replace(account("b", 1, 1), cost=1234.5), account("c", 1, 1))
    costs = [dict(zip(found.heads, line.cells, strict=True))["cost"] for line in found.lines]
    assert costs == ["0.0004", "1,234.50", "-", "1,234.50"]


def test_many_notes_are_cut() -> None:
    found = of(replace(account("a", 1, 1), notes=tuple(f"note {i} " + "x" * 1000 for i in range(99))))
    assert len(found.notes) == 13 and found.notes[-1].text == "and 87 more"
    assert all(len(note.text) <= 300 for note in found.notes)
