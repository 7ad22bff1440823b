"""All answers ever paid for in a run, by content key: read once from the journal, appended to as they come."""

from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from stillhouse.endpoints.base import Answer
from stillhouse.records.journal import Journal


class Notebook:
    """The journal with its answers in memory. A failed answer is not kept in mind, so it is owed again."""

    def __init__(self, path: Path | str) -> None:
        """Raises RunError when the journal cannot be read, StorageError when it cannot grow."""
        self.path = path
        self._journal = Journal(path)
        self._answers: dict[str, Answer] = {}
        self._values: dict[str, Any] = {}

    def __enter__(self) -> "Notebook":
        self._journal.__enter__()
        for row in self._journal.found.rows:
            self._remember(row)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.__exit__(kind, error, trace)

    @property
    def damage(self) -> list[str]:
        """What was wrong with the journal, a sentence each."""
        found, notes = self._journal.found, []
        if found.torn:
            notes.append(
                f"{self.path}: cut {found.torn} bytes of a line that was never finished; its answer is asked again."
            )
        if found.corrupt:
            lines = ", ".join(map(str, found.corrupt))
            notes.append(f"{self.path}: skipped damaged lines ({lines}); their answers are asked again.")
        return notes

    def answer(self, key: str) -> Answer | None:
        """The answer kept under a key."""
        return self._answers.get(key)

    def value(self, key: str) -> Any:
        """The measurement kept under a key; None where there is none."""
        return self._values.get(key)

    def write(self, row: dict[str, Any]) -> None:
        """Append a row with its `key` and its `answer` or `value`. Raises StorageError when the disk is full."""
        self._journal.append([row], sync=False)
        self._remember(row)

    def sync(self) -> None:
        """Make what was written safe from a power cut."""
        self._journal.sync()

    def _remember(self, row: dict[str, Any]) -> None:
        """Rows of another kind, or of another version, are left alone: what they answer is owed again."""
        key, answer = row.get("key"), row.get("answer")
        if isinstance(answer, dict) and isinstance(key, str):
            if answer.get("finish") != "error" and answer.keys() <= Answer.__dataclass_fields__.keys():
                self._answers[key] = Answer(**answer)
        elif isinstance(key, str) and "value" in row:
            self._values[key] = row["value"]


def row_of(
    key: str, prompt: str, endpoint: str, settings: dict[str, Any], sample: int, answer: Answer
) -> dict[str, Any]:
    """The journal line of an answer."""
    return {
        "key": key,
        "prompt": prompt,
        "endpoint": endpoint,
        "sampling": settings,
        "sample": sample,
        "answer": asdict(answer),
    }
