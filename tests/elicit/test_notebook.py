import json
from dataclasses import asdict
from pathlib import Path

from stillhouse.elicit.notebook import Notebook, row_of
from stillhouse.endpoints.base import Answer
from stillhouse.records.journal import Journal

GOOD, BAD = Answer("text", "stop", 3, 1), Answer("", "error", error="no")


def row(key: str, answer: Answer) -> dict[str, object]:
    return row_of(key, "prompt", "endpoint", {"temperature": 0.0}, 0, answer)


def test_what_is_written_is_there_at_once_and_after_opening_again(tmp_path: Path) -> None:
    for written in (True, False):
        with Notebook(tmp_path / "j") as notebook:
            if written:
                notebook.write(row("a", GOOD))
                notebook.write({"key": "v", "value": [-1.5]})
                notebook.sync()
            assert notebook.answer("a") == GOOD and notebook.value("v") == [-1.5]
            assert notebook.answer("v") is None and notebook.value("a") is None and notebook.answer("x") is None
            assert notebook.damage == []


def test_a_failed_answer_is_owed_and_a_later_one_counts(tmp_path: Path) -> None:
    with Notebook(tmp_path / "j") as notebook:
        notebook.write(row("a", BAD))
        assert notebook.answer("a") is None
        notebook.write(row("a", GOOD))
        notebook.write(row("a", BAD))
    with Notebook(tmp_path / "j") as notebook:
        assert notebook.answer("a") == GOOD


def test_rows_of_other_kinds_are_left_alone(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.append(
            [{"key": "a", "answer": "text"}, {"key": "b", "other": 1}, {"answer": asdict(GOOD)}, {"value": 1}]
        )
        journal.append([{"key": "c", "answer": asdict(GOOD) | {"of_a_later_version": 1}}, row("d", GOOD)])
    with Notebook(tmp_path / "j") as notebook:
        assert [notebook.answer(key) for key in "abcd"] == [None, None, None, GOOD]


def test_damage_is_told(tmp_path: Path) -> None:
    with Notebook(tmp_path / "j") as notebook:
        for key in "abc":
            notebook.write(row(key, GOOD))
    lines = (tmp_path / "j").read_bytes().splitlines(keepends=True)
    (tmp_path / "j").write_bytes(lines[0] + lines[1].replace(b"text", b"tixt") + lines[2][:-9])
    with Notebook(tmp_path / "j") as notebook:
        assert [bool(notebook.answer(key)) for key in "abc"] == [True, False, False]
        assert len(notebook.damage) == 2 and "skipped damaged lines (2)" in " ".join(notebook.damage)
    assert json.loads(lines[0])["row"]["answer"]["text"] == "text"
