"""An endpoint that replays the answers of a journal: no model, no cost, the same answers again."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.errors import ConfigError, DataError
from stillhouse.records.journal import read_journal
from stillhouse.records.types import Message, content_key


class Recorded:
    """Answers with what the endpoint named `identity` said in a journal (it may be left out when there is only one).

    A prompt asked several times gets its recorded answers in turn, then from the first again.
    Raises ConfigError when the journal holds no answers, or those of several endpoints and none is named.
    """

    gives = frozenset({"text"})

    def __init__(self, path: Path | str, *, identity: str | None = None) -> None:
        rows = [row for row in read_journal(path).rows if row["answer"]["finish"] != "error"]
        found = sorted({row["endpoint"] for row in rows})
        if identity is None and len(found) == 1:
            identity = found[0]
        if identity is None or identity not in found:
            names = ", ".join(found) or "nobody"
            raise ConfigError(f"{path} holds answers of {names}: name one of them as `identity` to replay it.")
        self.identity = identity
        self._path = path
        self._answers: dict[str, list[Answer]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: row["sample"]):
            if row["endpoint"] == identity:
                self._answers[_key(row["prompt"], row["sampling"])].append(Answer(**row["answer"]))

    def refuses(self, prompt: tuple[Message, ...], sampling: Sampling) -> str:
        return "" if self._known(prompt, sampling) else f"{self._path} holds no answer for it with these settings"

    def generate(self, prompts: Sequence[tuple[Message, ...]], sampling: Sampling) -> Iterator[tuple[int, Answer]]:
        """Raises DataError for a prompt that was never answered with these settings."""
        asked: dict[tuple[Message, ...], int] = defaultdict(int)
        for index, prompt in enumerate(prompts):
            answers = self._known(prompt, sampling)
            if not answers:
                start = prompt[-1].content[:60] if prompt else ""
                raise DataError(f"{self._path}: no answer of {self.identity} to {start!r}; ask the endpoint itself.")
            yield index, answers[asked[prompt] % len(answers)]
            asked[prompt] += 1

    def _known(self, prompt: tuple[Message, ...], sampling: Sampling) -> list[Answer]:
        return self._answers.get(_key(content_key([asdict(m) for m in prompt]), sampling.settings()), [])


def _key(prompt: str, settings: dict[str, int | float]) -> str:
    return content_key([prompt, {name: value for name, value in settings.items() if name != "seed"}])
