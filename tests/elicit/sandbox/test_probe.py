"""A sandbox that lets one attempt out is none, and without one nothing runs."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from stillhouse.elicit.sandbox import box as boxes
from stillhouse.elicit.sandbox import kinds, run_python
from stillhouse.elicit.sandbox import probe as probes
from stillhouse.elicit.sandbox.box import Box
from stillhouse.elicit.sandbox.execute import execute
from stillhouse.elicit.sandbox.kinds import Kind, visible
from stillhouse.elicit.sandbox.outcome import Limits, Outcome, Program
from stillhouse.elicit.sandbox.probe import probe, working_box
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record


@pytest.fixture
def unknown() -> Iterator[None]:
    """What this process found out is forgotten before and after."""
    working_box.cache_clear()
    yield
    working_box.cache_clear()


def test_a_sandbox_that_shows_the_machines_files_is_none(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [*(path for path in visible() if not path.startswith("/etc")), "/etc"]
    monkeypatch.setattr(boxes, "visible", lambda: shown)
    monkeypatch.setattr(kinds, "visible", lambda: shown)
    assert probe(box) == "a program in it sees files outside"


def test_a_sandbox_without_its_filter_is_none(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    allow_all = bytes.fromhex("060000000000ff7f")
    monkeypatch.setattr(boxes, "call_filter", lambda: allow_all)
    assert probe(box).startswith("a program in it makes a user namespace")


@pytest.mark.parametrize(
    ("limit", "fault"),
    [
        ("processes", "a program in it starts too many processes"),
        ("memory_mb", "a program in it takes too much memory (ok)"),
    ],
)
def test_a_sandbox_without_a_limit_is_none(box: Box, limit: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Box.run

    def forgetful(self: Box, program: Program, given: Limits) -> Outcome:
        return kept(self, program, replace(given, **{limit: 9 * getattr(given, limit)}))

    monkeypatch.setattr(Box, "run", forgetful)
    assert probe(box) == fault


def test_a_sandbox_that_does_not_end_a_program_is_none(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Box.run

    def patient(self: Box, program: Program, given: Limits) -> Outcome:
        return Outcome("ok") if "while" in program.code and given.seconds < 1 else kept(self, program, given)

    monkeypatch.setattr(Box, "run", patient)
    assert probe(box) == "a program in it runs too long (ok)"


def test_without_a_sandbox_nothing_runs(unknown: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(binary: str, uid: int | None, files_mb: int) -> list[str]:
        return ["/bin/false"]

    bad = (Kind("no-such-program", none, True, 0), Kind("false", none, True, 0))
    monkeypatch.setattr(probes, "KINDS", bad)
    with pytest.raises(RecipeError, match="no-such-program: not installed; false: a program did not run") as refusal:
        run_python("print(1)")
    assert "install util-linux or bubblewrap" in str(refusal.value)
    with pytest.raises(RecipeError, match="only in a sandbox"):
        next(execute([Record(fields={"program": "print(1)"})]))


def test_it_is_probed_once(box: Box, unknown: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Box] = []

    def counted(box: Box) -> str:
        asked.append(box)
        return ""

    monkeypatch.setattr(probes, "probe", counted)
    assert working_box() is working_box()
    assert len(asked) == 1
