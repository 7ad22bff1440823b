"""How code is written here: nothing swallowed, nothing probed, nothing passed on blindly, nothing untested."""

import ast
import importlib

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
    assert [node.lineno for node in source.nodes(ast.arguments) if isinstance(node, ast.arguments) and node.kwarg] == []


@pytest.mark.parametrize("source", [s for s in SOURCES if s.room in TESTED_ROOMS], ids=lambda s: s.where)
def test_every_file_of_the_tested_rooms_has_its_test(source: Source) -> None:
    if source.path.name == "__init__.py":
        return
    *folders, name = source.parts
    assert (ROOT / "tests").joinpath(*folders, f"test_{name}.py").is_file()


@each_source
def test_all_is_what_is_exported(source: Source) -> None:
    """A package lists exactly the names it binds; any other module that has `__all__` can keep its word."""
    module = importlib.import_module(source.module)
    listed = vars(module).get("__all__")
    bound = public_names(source.tree) if source.path.name == "__init__.py" else set()
    if listed is None:
        assert not bound, f"{source.where} exports {sorted(bound)} but has no __all__"
        return
    assert len(set(listed)) == len(listed)
    assert bound <= set(listed), f"not in __all__: {sorted(bound - set(listed))}"
    for name in listed:
        getattr(module, name)


def public_names(tree: ast.Module) -> set[str]:
    """What the top level of a package binds on purpose: names of ours that it imports, and its own definitions."""
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.ImportFrom(module=str(package)) if package.split(".")[0] == "stillhouse":
                names.update(alias.asname or alias.name for alias in node.names)
            case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
                names.add(node.name)
            case ast.Assign(targets=[ast.Name() as target]) | ast.AnnAssign(target=ast.Name() as target):
                names.add(target.id)
    return {name for name in names if not name.startswith("_")}
