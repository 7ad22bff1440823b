"""An endpoint that a Python function answers: for tests, examples, and rule-based teachers."""

from collections.abc import Callable, Iterator, Sequence

from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.records.types import Message


class Scripted:
    """Answers by calling `script(prompt, sampling)`, which returns a text or an Answer; `calls` is the ledger."""

    gives = frozenset({"text"})

    def __init__(
        self,
        script: Callable[[tuple[Message, ...], Sampling], str | Answer],
        *,
        identity: str = "scripted",
        window: int | None = None,
    ) -> None:
        """`window`: most characters that a prompt may have."""
        self.identity = identity
        self.calls: list[tuple[Message, ...]] = []
        self._script = script
        self._window = window

    def refuses(self, prompt: tuple[Message, ...], sampling: Sampling) -> str:
        length = sum(len(m.content) for m in prompt)
        if self._window is None or length <= self._window:
            return ""
        return f"the prompt has {length} characters, more than the window of {self._window}"

    def generate(self, prompts: Sequence[tuple[Message, ...]], sampling: Sampling) -> Iterator[tuple[int, Answer]]:
        for index, prompt in enumerate(prompts):
            self.calls.append(prompt)
            said = self._script(prompt, sampling)
            yield index, said if isinstance(said, Answer) else Answer(said, "stop", tokens=len(said.split()))
