import pytest

from stillhouse.elicit.contract import Dropped, needs, settings_of
from stillhouse.elicit.sandbox.box import Box
from stillhouse.elicit.sandbox.execute import BATCH, execute
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record


def records(*programs: object, **fields: object) -> list[Record]:
    return [Record(fields={"program": program, **fields}) for program in programs]


def test_results_are_written_into_the_fields(box: Box) -> None:
    (record,) = execute(records("def solution():\n    return 5 * 5", gold="25"))
    assert isinstance(record, Record)
    assert record.fields == {
        "program": "def solution():\n    return 5 * 5",
        "gold": "25",
        "result": "25",
        "status": "ok",
        "error": "",
    }


def test_failures_are_dropped_with_how_they_ended(box: Box) -> None:
    sources = [
        "1/0",
        "print(1)",
        "",
        "while True: pass",
        "import os; os._exit(0)",
        "x = bytearray(10**12)",
        None,
        ["x"],
    ]
    ended = list(execute(records(*sources), seconds=1.5, memory_mb=256))
    reasons = [e.reason if isinstance(e, Dropped) else "" for e in ended]
    expected = ["error", "", "empty", "timeout", "exit", "memory", "empty", ""]
    assert reasons == [f"program: {how}" if how else "" for how in expected]


def test_all_are_kept_for_a_step_that_asks_again(box: Box) -> None:
    first, second, third = execute(records("1/0", "", "print(2)"), keep="all", into="a", status="b", error="c")
    assert isinstance(first, Record) and isinstance(second, Record) and isinstance(third, Record)
    fields = [(r.fields["a"], r.fields["b"], r.fields["c"]) for r in (first, second, third)]
    assert fields == [("", "error", "ZeroDivisionError: division by zero"), ("", "empty", "empty"), ("2", "ok", "")]


def test_tests_decide(box: Box) -> None:
    tried = records("def f(x): return x * 2", "def f(x): return x ** 2", "def f(x): exit()", tests="assert f(3) == 6")
    tried += [Record(fields={"program": "def f(x): return x * 2"})]
    ended = list(execute(tried, tests="tests"))
    reasons = [e.reason if isinstance(e, Dropped) else "" for e in ended]
    assert reasons == ["", "program: error", "program: exit", "program: empty"]


def test_standard_input_and_messages_can_be_read(box: Box) -> None:
    (record,) = execute(records("print(int(input()) + 1)", question="41\n"), stdin="question")
    assert isinstance(record, Record)
    assert record.fields["result"] == "42"


def test_records_stream_in_order(box: Box) -> None:
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield Record(fields={"program": "" if taken > 2 else f"print({taken})"})

    stream = execute(endless(), keep="all")
    assert [next(stream).fields["result"] for _ in range(3)] == ["1", "2", ""]  # pyright: ignore
    assert taken == BATCH


@pytest.mark.parametrize(
    "wrong", [{"seconds": 0}, {"memory_mb": 0}, {"keep": "passing"}, {"processes": -1}, {"lang": "c"}]
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(RecipeError):
        settings_of(execute, wrong)


def test_contract() -> None:
    assert needs(execute) == ("records",)
