import pytest

from stillhouse.elicit.sandbox import Limits, Outcome, Program, run, run_many, run_python
from stillhouse.elicit.sandbox.box import Box
from stillhouse.errors import StillhouseError


def test_one_program(box: Box) -> None:
    assert run_python("print(input())", stdin="é\n").stdout == "é\n"
    assert run_python("def f(x): return x + 1", tests="assert f(1) == 2").status == "ok"
    assert run_python("def f(x): return x", tests="assert f(1) == 2").error == "AssertionError"


def test_outcomes_come_in_the_order_of_the_programs(box: Box) -> None:
    programs = [Program(f"import time; time.sleep({0.2 if n == 0 else 0.0}); print({n})") for n in range(6)]
    assert [o.stdout for o in run_many(programs, workers=3)] == [f"{n}\n" for n in range(6)]
    assert run_many([]) == []


def test_nothing_to_run_is_empty(box: Box) -> None:
    programs = [Program(" \n"), Program("x = 1", tests=""), Program("x = 1")]
    assert [o.status for o in run_many(programs)] == ["empty", "empty", "ok"]


def test_a_sandbox_that_stops_working_ends_the_run(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Box, program: Program, limits: Limits) -> Outcome:
        return Outcome("lost", stderr="fork: out of memory")

    run_python("1")
    monkeypatch.setattr(Box, "run", broken)
    with pytest.raises(StillhouseError, match=r"stopped working.*out of memory"):
        run_python("1")
    monkeypatch.setattr(run, "probe", lambda box: "")
    assert run_python("1").status == "lost"  # the program's own doing
