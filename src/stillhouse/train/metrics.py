"""metrics.jsonl: one line a step, everything that was measured, NaN included."""

import json
from pathlib import Path
from typing import Any


class MetricsLog:
    """An append-only log that a resumed run cuts back to the step it resumes from."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, line: dict[str, Any]) -> None:
        """Append one line at once, so that it is there when the process dies in the next step."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def cut_after(self, step: int) -> None:
        """Remove the lines of later steps (and a torn last line): they will be written again."""
        if not self._path.exists():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
        self._path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
