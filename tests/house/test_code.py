"""How code is written here: nothing swallowed, nothing probed, nothing passed on blindly, nothing untested."""

import ast

import pytest

from tests.house.source import ROOT, SOURCES, Source

each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.where)
TESTED_ROOMS = ("objectives", "records", "evaluate")
STRICT_ROOMS = ("objectives", "records", "train")


@each_source
def test_no_broad_except(source: Source) -> None:
    """A handler of everything is allowed only where it ends by raising the same again."""
    broad = []
    for node in source.nodes(ast.ExceptHandler):
        assert isinstance(node, ast.ExceptHandler)
        caught = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else {"BaseException"}
        last = node.body[-1]
        raises_again = isinstance(last, ast.Raise) and last.exc is None
        if caught & {"Exception", "BaseException"} and not raises_again:
            broad.append(node.lineno)
    assert broad == []


@each_source
def test_no_probing_with_hasattr(source: Source) -> None:
    names = [node for node in source.nodes(ast.Name) if isinstance(node, ast.Name) and node.id == "hasattr"]
    assert [node.lineno for node in names] == []


@pytest.mark.parametrize("source", [s for s in SOURCES if s.room in STRICT_ROOMS], ids=lambda s: s.where)
def test_no_open_ended_keywords(source: Source) -> None:
    """But for `**fields`: a record's fields have names that only a recipe knows."""
    given = [node.kwarg for node in source.nodes(ast.arguments) if isinstance(node, ast.arguments) and node.kwarg]
    found = [kwarg for kwarg in given if (source.room, kwarg.arg) != ("records", "fields")]
    assert [f"{keyword.lineno} **{keyword.arg}" for keyword in found] == []


@pytest.mark.parametrize("source", [s for s in SOURCES if s.room in TESTED_ROOMS], ids=lambda s: s.where)
def test_every_file_of_the_tested_rooms_has_its_test(source: Source) -> None:
    if source.path.name == "__init__.py":
        return
    *folders, name = source.parts
    assert (ROOT / "tests").joinpath(*folders, f"test_{name}.py").is_file()
