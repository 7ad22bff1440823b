"""The source of the house as data: what every rule in this folder looks at."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "stillhouse"


@dataclass(frozen=True)
class Source:
    """One Python file of the package."""

    path: Path

    @property
    def where(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def parts(self) -> tuple[str, ...]:
        """The path below the package: ("records", "types") for records/types.py, ("records",) for its __init__.py."""
        parts = self.path.relative_to(PACKAGE).with_suffix("").parts
        return parts[:-1] if parts[-1] == "__init__" else parts

    @property
    def module(self) -> str:
        return ".".join(("stillhouse", *self.parts))

    @property
    def room(self) -> str:
        """A folder of the package, or a single file of the hall; the package's own __init__.py is the "door"."""
        return self.parts[0] if self.parts else "door"

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.where)

    def nodes(self, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
        return (node for node in ast.walk(self.tree) if isinstance(node, kinds))


SOURCES = [Source(path) for path in sorted(PACKAGE.rglob("*.py"))]


def docstring_lines(node: ast.AST) -> range:
    """The lines of a node's docstring, empty when it has none."""
    body = getattr(node, "body", None)
    if not isinstance(body, list) or not body or not isinstance(body[0], ast.Expr):
        return range(0)
    value = body[0].value
    if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
        return range(0)
    return range(body[0].lineno, (body[0].end_lineno or body[0].lineno) + 1)


def project_files() -> list[Path]:
    """Every file that belongs to the project: what git tracks or would track, so no environment and no run."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]
