"""An endpoint that replays the answers and scores of a journal: no model, no cost, the same answers again."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stillhouse.endpoints.base import Answer, Sampling, score_key
from stillhouse.errors import ConfigError, DataError
from stillhouse.records.journal import read_journal
from stillhouse.records.types import Message, content_key


class Recorded:
    """Answers with what the endpoint named `identity` said in a journal (it may be left out when there is only one).

    A prompt asked several times gets its recorded answers in turn, then from the first again.
    It gives log-probabilities where the journal holds any.
    Raises ConfigError when the journal holds no answers, or those of several endpoints and none is named.
    """

    def __init__(self, path: Path | str, *, identity: str | None = None) -> None:
        journal = read_journal(path).rows
        rows = [row for row in journal if row.get("answer", {}).get("finish", "error") != "error"]
        scored = [row for row in journal if row.get("value")]
        found = sorted({row["endpoint"] for row in (*rows, *scored) if "endpoint" in row})
        if identity is None and len(found) == 1:
            identity = found[0]
        if identity is None or identity not in found:
            names = ", ".join(found) or "nobody"
            raise ConfigError(f"{path} holds answers of {names}: name one of them as `identity` to replay it.")
        self.identity = identity
        self._path = path
        self._scores = {row["key"]: tuple(row["value"]) for row in scored}
        self.gives = frozenset({"text", "token_logp"} if self._scores else {"text"})
        self._answers: dict[str, list[Answer]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: row["sample"]):
            if row["endpoint"] == identity:
                self._answers[_key(row["prompt"], row["sampling"])].append(Answer(**row["answer"]))

    def refuses(self, prompt: tuple[Message, ...], sampling: Sampling) -> str:
        return "" if self._known(prompt, sampling) else f"{self._path} holds no answer for it with these settings"

    def generate(
        self,
        prompts: Sequence[tuple[Message, ...]],
        sampling: Sampling,
        *,
        seeds: Sequence[int] = (),
        halt: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, Answer]]:
        """Raises DataError for a prompt that was never answered with these settings."""
        asked: dict[tuple[Message, ...], int] = defaultdict(int)
        for index, prompt in enumerate(prompts):
            if halt():
                return
            answers = self._known(prompt, sampling)
            if not answers:
                start = prompt[-1].content[:60] if prompt else ""
                raise DataError(f"{self._path}: no answer of {self.identity} to {start!r}; ask the endpoint itself.")
            yield index, answers[asked[prompt] % len(answers)]
            asked[prompt] += 1

    def score(
        self, prompts: Sequence[tuple[Message, ...]], texts: Sequence[str]
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        """Raises DataError for a text that was never scored as the answer to its prompt."""
        for index, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
            found = self._scores.get(score_key(self.identity, prompt, text))
            if found is None:
                raise DataError(f"{self._path}: no score by {self.identity} of {text[:60]!r}; ask the endpoint itself.")
            yield index, found

    def _known(self, prompt: tuple[Message, ...], sampling: Sampling) -> list[Answer]:
        return self._answers.get(_key(content_key([asdict(m) for m in prompt]), sampling.settings()), [])


def _key(prompt: str, settings: dict[str, Any]) -> str:
    return content_key([prompt, {name: value for name, value in settings.items() if name != "seed"}])
