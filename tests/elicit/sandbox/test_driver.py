"""The driver in the sandbox: what counts as the result of a program that prints, returns or sets it."""

import pytest

from stillhouse.elicit.sandbox import run_python
from stillhouse.elicit.sandbox.box import Box
from stillhouse.elicit.sandbox.driver import answer_of


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("print(3)\nanswer = 4", "3\n"),
        ("def solution():\n    return 6 * 7", "42\n"),
        ("def solution():\n    print('worked')", "worked\n"),
        ("def solution():\n    return 1\nprint(solution() + 1)", "2\n"),
        ("ans = 0", "0\n"),
        ("result = 2.5", "2.5\n"),
        ("x = 1", ""),
        ("if __name__ == '__main__':\n    print('main')", "main\n"),
        ("import sys\nprint(sys.argv)\nsys.exit(0)", "['program.py']\n"),
        ("from dataclasses import dataclass\n@dataclass\nclass A:\n    x: 'int'\nprint(A(1))", "A(x=1)\n"),
    ],
)
def test_result(box: Box, code: str, printed: str) -> None:
    ran = run_python(code)
    assert (ran.status, ran.stdout) == ("ok", printed)


def test_solution_is_not_called_where_there_are_tests(box: Box) -> None:
    ran = run_python("def solution():\n    raise ValueError", tests="assert callable(solution)")
    assert (ran.status, ran.stdout) == ("ok", "")


def test_the_function_comes_before_the_variable() -> None:
    assert answer_of({"solution": lambda: 1, "answer": 2}) == 1
    assert answer_of({"solution": 5, "ans": 3, "result": 4}) == 3
    assert answer_of({}) is None
