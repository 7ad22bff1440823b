"""An endpoint that a Python function answers: for tests, examples, and rule-based teachers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from stillhouse.endpoints.base import Answer, Sampling, cut, seeds_from
from stillhouse.records.types import Message


class Scripted:
    """Answers by calling `script(prompt, sampling)`, which returns a text or an Answer; `calls` is the ledger.

    With `scores(prompt, text)`, which returns the log-probabilities of the text's tokens, it gives those too.
    """

    def __init__(
        self,
        script: Callable[[tuple[Message, ...], Sampling], str | Answer],
        *,
        scores: Callable[[tuple[Message, ...], str], Sequence[float]] | None = None,
        identity: str = "scripted",
        window: int | None = None,
    ) -> None:
        """`window`: most characters that a prompt may have."""
        self.identity = identity
        self.gives = frozenset({"text"} if scores is None else {"text", "token_logp"})
        self.calls: list[tuple[Message, ...]] = []
        self.scored: list[tuple[tuple[Message, ...], str]] = []
        self._script = script
        self._scores = scores
        self._window = window

    def refuses(self, prompt: tuple[Message, ...], sampling: Sampling) -> str:
        length = sum(len(m.content) for m in prompt)
        if self._window is None or length <= self._window:
            return ""
        return f"the prompt has {length} characters, more than the window of {self._window}"

    def generate(
        self,
        prompts: Sequence[tuple[Message, ...]],
        sampling: Sampling,
        *,
        seeds: Sequence[int] = (),
        halt: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, Answer]]:
        for index, (prompt, seed) in enumerate(zip(prompts, seeds or seeds_from(sampling, len(prompts)), strict=True)):
            if halt():
                return
            self.calls.append(prompt)
            said = self._script(prompt, replace(sampling, seed=seed))
            if isinstance(said, str):
                text = cut(said, sampling.stop)
                said = Answer(text, "stop", tokens=len(text.split()))
            yield index, said

    def score(
        self, prompts: Sequence[tuple[Message, ...]], texts: Sequence[str]
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        """What `scores` says, noted in `scored`; nothing where it was not given."""
        for index, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
            self.scored.append((prompt, text))
            yield index, () if self._scores is None else tuple(self._scores(prompt, text))
