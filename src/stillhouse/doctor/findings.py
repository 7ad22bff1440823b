"""What the doctor found, and how it is shown."""

from dataclasses import dataclass
from typing import Literal

from rich.table import Table
from rich.text import Text

Level = Literal["fine", "warning", "error"]
MARKS = {"fine": ("ok", "green"), "warning": ("look", "yellow"), "error": ("no", "red")}


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence on one topic; an error means that the run cannot work."""

    topic: str
    text: str
    level: Level = "fine"


@dataclass(frozen=True, slots=True)
class Report:
    """All findings on a recipe, in the order of a run."""

    recipe: str
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        return all(finding.level != "error" for finding in self.findings)

    def of(self, topic: str) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.topic == topic)

    def to_rich(self) -> Table:
        table = Table(title=Text(self.recipe), show_header=False, box=None, padding=(0, 1))
        for column in ("topic", "level", "text"):
            table.add_column(column, overflow="fold")
        last = ""
        for finding in self.findings:
            mark, style = MARKS[finding.level]
            topic = "" if finding.topic == last else finding.topic
            table.add_row(Text(topic, style="bold"), Text(mark, style=style), Text(finding.text))
            last = finding.topic
        return table


def size(number: int | float, unit: str = "B") -> str:
    """1234567 as "1.2 MB"."""
    for prefix in ("", "k", "M", "G"):
        if abs(number) < 1000:
            return f"{number:.3g} {prefix}{unit}"
        number /= 1000
    return f"{number:.3g} T{unit}"


def duration(seconds: float) -> str:
    """Seconds as "40 s", "12 min" or "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
