"""Assembles report.html: one page that opens offline. What a run holds is a value in the template, never its source."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from stillhouse.records.store import write_atomic
from stillhouse.report.content import compare_content, run_content
from stillhouse.report.printable import printable
from stillhouse.report.read import CompareFolder, RunFolder, read_folder
from stillhouse.report.tables import Table, compare_table, run_table, task_title


def write_report(folder: Path) -> Path:
    """Write report.html into a run folder or a compare folder (one with a compare.json), and return its path.

    Raises RunError where the folder is none or cannot be written, DataError where its scores are damaged, StorageError
    where the disk is full.
    """
    target = Path(folder) / "report.html"
    write_atomic(target, render(read_folder(Path(folder))))
    return target


def summary_table(folder: Path) -> Table:
    """The table of a run folder or compare folder, for the terminal and for Markdown."""
    found = read_folder(Path(folder))
    return compare_table(found) if isinstance(found, CompareFolder) else run_table(found)


def render(found: RunFolder | CompareFolder) -> str:
    """The page as HTML text: the same bytes for the same folder."""
    content = compare_content(found) if isinstance(found, CompareFolder) else run_content(found)
    environment = Environment(
        loader=PackageLoader("stillhouse", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"task_heading": _task_heading, "unbroken": _unbroken}
    return environment.get_template("page.html.j2").render(page=content)


def _shown(value: Any) -> Any:
    """What the template prints: text without hidden characters; the figures as they are."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _task_heading(task: str) -> str:
    """A task's own name as it is written; ours with a capital."""
    title = task_title(task)
    return task if title == task else title.capitalize()


def _unbroken(heading: str) -> str:
    """A column's heading that breaks between words only, and never before its arrow."""
    return "\u00a0".join(heading.replace("-", "\u2011").rsplit(" ", 1))
