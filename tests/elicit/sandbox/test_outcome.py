import pytest

from stillhouse.elicit.sandbox.outcome import Outcome, outcome

FINE = {"timeout": False, "overflow": False, "finished": True, "code": 0, "stdout": "1\n", "stderr": "", "seconds": 0.1}


def read(**changes: object) -> Outcome:
    return outcome(ascii(FINE | changes).encode())


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "ok"),
        ({"timeout": True, "code": -9}, "timeout"),
        ({"overflow": True}, "output"),
        ({"finished": False}, "exit"),
        ({"finished": False, "code": 1, "stderr": "MemoryError\n"}, "memory"),
        ({"finished": False, "code": 1, "stderr": "MemoryError: x\nValueError: y\n"}, "error"),
        ({"finished": False, "code": -11}, "error"),
    ],
)
def test_status(changes: dict[str, object], status: str) -> None:
    assert read(**changes).status == status


def test_the_error_is_one_line_that_is_never_empty_for_a_failure() -> None:
    assert read().error == ""
    assert read(stderr="a warning").error == ""
    assert read(finished=False, code=1, stderr="Traceback\nKeyError: 'é'\n").error == "KeyError: 'é'"
    assert read(finished=False, code=-11).error == "error"
    assert read(timeout=True, stderr="x").error == "timeout"


@pytest.mark.parametrize("complaint", [b"", b"unshare: not permitted", b"5", b"\xff\x00"])
def test_a_complaint_is_no_report(complaint: bytes) -> None:
    lost = outcome(complaint)
    assert lost.status == "lost"
    assert lost.error in (complaint.decode(errors="replace").strip(), "lost")
