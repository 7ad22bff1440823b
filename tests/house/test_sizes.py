"""A house that can be read in an evening. The numbers are tripwires: raise one in a commit that says why."""

import ast
from collections import Counter

from tests.house.source import SOURCES, Source, docstring_lines

WINDOW = 6


def test_no_file_is_longer_than_400_lines_and_most_have_at_most_250() -> None:
    lengths = {s.where: len(s.text.splitlines()) for s in SOURCES}
    assert {w: n for w, n in lengths.items() if n > 400} == {}
    longer = {w: n for w, n in lengths.items() if n > 250}
    assert len(longer) <= 0.15 * len(lengths), longer


def test_no_function_is_longer_than_80_lines_without_its_docstring() -> None:
    long = {}
    for source in SOURCES:
        for node in source.nodes(ast.FunctionDef, ast.AsyncFunctionDef):
            assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            lines = (node.end_lineno or node.lineno) - node.lineno + 1 - len(docstring_lines(node))
            if lines > 80:
                long[f"{source.where}:{node.lineno} {node.name}"] = lines
    assert long == {}


def test_at_most_two_percent_of_the_code_is_there_twice() -> None:
    places: dict[tuple[str, ...], list[str]] = {}
    for source in SOURCES:
        code = code_lines(source)
        for start in range(len(code) - WINDOW + 1):
            window = tuple(text for _, text in code[start : start + WINDOW])
            places.setdefault(window, []).append(f"{source.where}:{code[start][0]}")
    count = Counter({window: len(where) for window, where in places.items()})
    repeated = sum(n for n in count.values() if n > 1)
    assert repeated <= 0.02 * count.total(), [where for where in places.values() if len(where) > 1]


def code_lines(source: Source) -> list[tuple[int, str]]:
    """(line number, text without indentation) of every line that is not blank, comment or docstring."""
    skipped = {n for node in ast.walk(source.tree) for n in docstring_lines(node)}
    lines = ((n, line.strip()) for n, line in enumerate(source.text.splitlines(), start=1))
    return [(n, text) for n, text in lines if text and not text.startswith("#") and n not in skipped]
