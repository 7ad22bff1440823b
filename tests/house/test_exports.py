"""What a module lists is what it has, and what one takes from another is there: read from the source, nothing imported.

Loading every room takes longer than all other rules together, and would pass over imports inside functions.
"""

import ast
from collections.abc import Iterator

import pytest

import stillhouse
from stillhouse.records.types import Message
from tests.house.source import SOURCES, Source

MODULES = {source.module: source for source in SOURCES}
each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.where)


@each_source
def test_all_is_what_is_exported(source: Source) -> None:
    """A package lists exactly the names it binds; any other module that has `__all__` can keep its word."""
    listed = listed_names(source)
    if source.path.name == "__init__.py":
        public = {name for name in bound_names(source.tree, foreign=False) if not name.startswith("_")}
        assert public <= set(listed or ()), f"not in __all__: {sorted(public - set(listed or ()))}"
    if listed is not None:
        assert len(set(listed)) == len(listed)
        assert set(listed) - set(bound_names(source.tree)) == set()


@each_source
def test_every_name_that_is_taken_from_a_room_is_there(source: Source) -> None:
    missing = []
    for node in source.nodes(ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            missing += [a.name for a in node.names if is_ours(a.name) and a.name not in MODULES]
        elif isinstance(node, ast.ImportFrom) and is_ours(node.module or ""):
            home = MODULES.get(node.module or "")
            there = set(bound_names(home.tree)) if home else set()
            taken = [alias.name for alias in node.names if f"{node.module}.{alias.name}" not in MODULES]
            missing += [f"{node.module}.{name}" for name in taken if name not in there]
    assert missing == []


def test_the_door_leads_to_the_homes_that_type_checkers_see() -> None:
    """Public names are imported when first used: the table of where from has every one, and no other."""
    door = MODULES["stillhouse"]
    homes = {
        alias.name if alias.asname is None else alias.asname: f"{node.module}:{alias.name}"
        for node in door.nodes(ast.ImportFrom)
        if isinstance(node, ast.ImportFrom) and is_ours(node.module or "")
        for alias in node.names
    }
    assert {name: f"stillhouse.{home}" for name, home in stillhouse._HOMES.items()} == homes
    assert set(stillhouse.__all__) == {*homes, "__version__"} <= set(dir(stillhouse))
    assert stillhouse.Message is Message
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = stillhouse.nothing


def is_ours(module: str) -> bool:
    return module.split(".")[0] == "stillhouse"


def listed_names(source: Source) -> list[str] | None:
    """`__all__`, which is to be a literal; None without one."""
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and "__all__" in bound_names(node):
            return ast.literal_eval(node.value)
    return None


def bound_names(node: ast.AST, *, foreign: bool = True) -> Iterator[str]:
    """What the top level binds, `if` and `try` included; without `foreign`, not what it imports from elsewhere."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Import():
            yield from (a.asname or a.name.split(".")[0] for a in node.names if foreign or is_ours(a.name))
        case ast.ImportFrom():
            yield from (a.asname or a.name for a in node.names if foreign or is_ours(node.module or ""))
        case ast.Name(ctx=ast.Store()):
            yield node.id
        case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return
        case _:
            for child in ast.iter_child_nodes(node):
                yield from bound_names(child, foreign=foreign)
