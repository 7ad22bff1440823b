"""Doors open one way: a room imports only rooms before it, and the torch-free rooms never load torch."""

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.house.source import SOURCES, Source

LAYERS = [
    {"errors", "progress", "machine"},
    {"compiled"},
    {"recipe", "stopping", "ranks", "signature"},
    {"records", "objectives"},
    {"models", "tiny"},
    {"endpoints"},
    {"elicit"},
    {"recipes"},
    {"run"},
    {"train", "evaluate"},
    {"report"},
    {"party"},
    {"probe", "cast", "laps"},
    {"judge", "elicitation"},
    {"stages"},
    {"compare", "chat", "doctor"},
    {"door", "ending"},
    {"cli"},
    {"__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
WITHIN_LAYER = {("tiny", "models")}
"""The one step allowed on a level: tiny models are models."""

TORCH_FREE_ROOMS = {"records", "elicit", "report"}
TORCH_FREE_MODULES = {f"stillhouse.evaluate.{name}" for name in ("scores", "scorers", "intervals")}


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.where)
def test_a_room_imports_only_rooms_before_it(source: Source) -> None:
    assert source.room in LEVEL, f"{source.room} is new: give it a place in LAYERS"
    wrong = [(line, room) for line, room in imported_rooms(source) if not allowed(source, room)]
    assert wrong == [], f"(line, room) that {source.room} must not import"


def allowed(source: Source, room: str) -> bool:
    if room == source.room or (source.room, room) in WITHIN_LAYER:
        return True
    if source.room == "objectives":
        return room in ("errors", "machine", "compiled", "signature")
    return LEVEL[room] < LEVEL[source.room]


def imported_rooms(source: Source) -> Iterator[tuple[int, str]]:
    """(line, room) of every import of ours, at the top of the file or inside a function."""
    for node in source.nodes(ast.Import, ast.ImportFrom):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source.where}:{node.lineno}: write imports in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            assert isinstance(node, ast.Import)
            names = [alias.name for alias in node.names]
        for name in names:
            package, *rest = name.split(".")
            if package == "stillhouse":
                yield node.lineno, rest[0] if rest and rest[0] in LEVEL else "door"


def test_torch_free_rooms_load_no_torch() -> None:
    modules = [s.module for s in SOURCES if s.room in TORCH_FREE_ROOMS or s.module in TORCH_FREE_MODULES]
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules:\n"
        "        sys.exit(f'{name} loads torch')\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
