import json
from pathlib import Path

import pytest

from stillhouse.report.kitchen import GROUPS, KEPT, PER_REASON, Kitchen, read_kitchen
from tests.report.folders import write_kitchen


def test_what_elicitation_left_is_read(tmp_path: Path) -> None:
    kitchen = read_kitchen(write_kitchen(tmp_path))
    rows = json.loads((tmp_path / "elicit" / "steps.json").read_text())
    assert len(kitchen.accounts) == len(rows) == 22 and kitchen.damage == ()
    assert [sum(a.dropped.values()) for a in kitchen.accounts] == [sum(r["dropped"].values()) for r in rows]
    assert kitchen.accounts[3].name == ("grow", "0.7 gate") and kitchen.accounts[3].use == "novel"
    assert len(kitchen.kept) == KEPT and len(kitchen.grown) == 180
    groups = [(d.name, d.reason) for d in kitchen.dropped]
    assert max(map(groups.count, groups)) == PER_REASON
    written = (tmp_path / "elicit" / "dropped.jsonl").read_text().count("\n")
    assert len(kitchen.dropped) + kitchen.more == written


def test_a_run_without_is_empty(tmp_path: Path) -> None:
    assert read_kitchen(tmp_path) == Kitchen()
    write_kitchen(tmp_path)
    (tmp_path / "elicit" / "steps.json").unlink()
    assert read_kitchen(tmp_path) == Kitchen()


def test_the_same_records_are_drawn_every_time(tmp_path: Path) -> None:
    write_kitchen(tmp_path)
    assert read_kitchen(tmp_path).kept == read_kitchen(tmp_path).kept


def test_only_accounts_need_be_there(tmp_path: Path) -> None:
    write_kitchen(tmp_path)
    (tmp_path / "elicit" / "dropped.jsonl").unlink()
    (tmp_path / "records.jsonl").unlink()
    kitchen = read_kitchen(tmp_path)
    assert len(kitchen.accounts) == 22 and kitchen.dropped == kitchen.kept == kitchen.grown == ()


@pytest.mark.parametrize("text", ["", "{", '{"stage": 1}', "[[", "\x00"])
def test_a_damaged_account_is_told_and_the_rest_is_shown(tmp_path: Path, text: str) -> None:
    write_kitchen(tmp_path)
    (tmp_path / "elicit" / "steps.json").write_text(text)
    kitchen = read_kitchen(tmp_path)
    assert kitchen.accounts == () and len(kitchen.dropped) > 0
    assert kitchen.damage == ("elicit/steps.json cannot be read; the account of the steps is left out.",)


def test_values_of_a_wrong_kind_count_nothing(tmp_path: Path) -> None:
    (tmp_path / "elicit").mkdir()
    rows = [
        7,
        None,
        {},
        {"step": 3, "use": "label", "took": -4, "kept": "9", "dropped": [1], "seconds": None},
        {"step": "a\n\x1b b", "dropped": {"x": 2, "y": "z", "w": -1}, "notes": ["n", 3], "tokens": 1e999},
    ]
    (tmp_path / "elicit" / "steps.json").write_text(json.dumps(rows))
    empty, wrong, odd = read_kitchen(tmp_path).accounts
    assert empty.name == ("", "step") and (empty.took, empty.kept, empty.dropped, empty.seconds) == (0, 0, {}, 0.0)
    assert wrong.name == ("", "label") and (wrong.took, wrong.kept, wrong.dropped) == (0, 0, {})
    assert odd.name == ("", "a \x1b b") and odd.dropped == {"x": 2} and odd.notes == ("n",) and odd.tokens == 0


def test_broken_lines_are_counted_and_a_torn_last_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "elicit").mkdir()
    (tmp_path / "elicit" / "steps.json").write_text("[]")
    lines = ['{"step": "a", "reason": "x", "record": {}}', "{broken", '{"record": []}', "[]", "", '{"record": {"fie']
    (tmp_path / "elicit" / "dropped.jsonl").write_bytes("\n".join(lines).encode() + b"\xff")
    kitchen = read_kitchen(tmp_path)
    assert len(kitchen.dropped) == 1
    assert kitchen.damage == ("elicit/dropped.jsonl has 3 lines that cannot be read; they are left out.",)


def test_of_many_reasons_the_first_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    (tmp_path / "elicit").mkdir()
    (tmp_path / "elicit" / "steps.json").write_text("[]")
    rows = [{"step": f"s{i}", "reason": "r", "record": {}} for i in range(3 * GROUPS)]
    (tmp_path / "elicit" / "dropped.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    kitchen = read_kitchen(tmp_path)
    assert len(kitchen.dropped) == GROUPS and kitchen.more == 2 * GROUPS


def test_the_pool_is_what_passed_a_novelty_gate(tmp_path: Path) -> None:
    write_kitchen(tmp_path, pool=0)
    fields = [
        {"instruction": "a", "similarity": 0.5},
        {"instruction": "a"},
        {"instruction": 3, "similarity": 0.5},
        {"instruction": "b", "similarity": True},
        {"instruction": "c" * 9_999, "similarity": 7.0},
        None,
        "x",
    ]
    (tmp_path / "records.jsonl").write_text("".join(json.dumps({"fields": f}) + "\n" for f in fields))
    kitchen = read_kitchen(tmp_path)
    assert [(len(g.instruction), g.similarity) for g in kitchen.grown] == [(1, 0.5), (300, 1.0)] and kitchen.kept == ()
