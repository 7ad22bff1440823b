"""The door to whoever answers: a model in process, a server, a script, a recording."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, runtime_checkable

from stillhouse.records.types import Finish, Message


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to answer. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 keep the whole distribution."""

    max_new_tokens: int = 128
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0

    def settings(self) -> dict[str, int | float]:
        """The settings that can change an answer: greedy answers know no seed and no truncation."""
        if self.temperature == 0:
            return {"max_new_tokens": self.max_new_tokens, "temperature": 0.0}
        return asdict(self) | {"temperature": float(self.temperature), "top_p": float(self.top_p)}


@dataclass(frozen=True, slots=True)
class Answer:
    """One raw answer, as it came. `error` says in one sentence why there is none (finish = "error")."""

    text: str
    finish: Finish
    prompt_tokens: int = 0
    tokens: int = 0
    error: str = ""


@runtime_checkable
class Endpoint(Protocol):
    """Anything that answers prompts."""

    @property
    def identity(self) -> str:
        """Names the weights or the service behind this endpoint; part of the key under which answers are kept."""
        ...

    @property
    def gives(self) -> frozenset[str]:
        """The signals it can give: "text", "token_logp", "hidden", "logits"."""
        ...

    def refuses(self, prompt: tuple[Message, ...], sampling: Sampling) -> str:
        """Why this prompt cannot be asked at all, e.g. it is longer than the window; "" when it can. Costs no call."""
        ...

    def generate(self, prompts: Sequence[tuple[Message, ...]], sampling: Sampling) -> Iterator[tuple[int, Answer]]:
        """Answer every prompt; yields (index of the prompt, answer) as answers come, in any order."""
        ...
