"""The documents keep their word: what they show runs, what they link to is there, and no machine shines through.

A Python block runs in an empty folder. One that cannot run here stands below a line `<!-- not run: why -->`.
"""

import inspect
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.elicit.catalogue import OPERATORS
from stillhouse.elicit.parsers import PARSERS
from stillhouse.objectives import OBJECTIVES
from tests.house.source import ROOT, project_files

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^(?P<mark><!-- not run: .+ -->\n)?```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)|(?:src|href)=\"(?!https?://|#)([^\"#]+)\"")
MACHINE = ["/wo" + "rk/", "/tm" + "p/", "/ro" + "ot/", "/ho" + "me/", ".lib" + "rary/"]


@dataclass(frozen=True)
class Block:
    path: Path
    line: int
    language: str
    code: str
    marked: bool

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}"


def blocks() -> list[Block]:
    found = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(path, line, match["language"], match["code"], bool(match["mark"])))
    return found


PYTHON = [b for b in blocks() if b.language == "python" and not b.marked]
RECIPES = [b for b in blocks() if b.language == "toml" and not b.marked]


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_block_runs(block: Block, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", block.code], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("block", RECIPES, ids=str)
def test_toml_block_is_a_recipe(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(block.code, encoding="utf-8")
    recipes.load(path)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path) -> None:
    targets = [a or b for a, b in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8")))]
    assert [t for t in targets if not (path.parent / t).exists()] == []


def test_no_file_names_the_machine_it_was_written_on() -> None:
    found = []
    for path in project_files():
        content = path.read_bytes()
        found += [f"{path.relative_to(ROOT)}: {name}" for name in MACHINE if name.encode() in content]
    assert found == []


def test_readme_names_the_test_command_that_ci_runs() -> None:
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().endswith("make test")


def test_the_page_of_objectives_is_what_the_docstrings_say() -> None:
    page = (ROOT / "docs/objectives.md").read_text(encoding="utf-8")
    for name, objective in OBJECTIVES.items():
        entry = page.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
        assert f"```text\n{inspect.getdoc(objective)}\n```" in entry, f"{name} has changed: make docs"


def test_the_page_of_operators_is_what_the_docstrings_say() -> None:
    page = (ROOT / "docs/operators.md").read_text(encoding="utf-8")
    for name, part in (OPERATORS | PARSERS).items():
        entry = page.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
        assert (inspect.getdoc(part) or "no docstring") in entry, f"{name} has changed: make docs"
