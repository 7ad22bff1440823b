"""The door to whoever answers: a model in process, a server, a script, a recording."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

from stillhouse.records.types import Finish, Message, content_key


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to answer. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 keep the whole distribution.

    An answer ends before the first of the texts in `stop`. A model in process has at most `batch_size` answers under
    way.
    """

    max_new_tokens: int = 128
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    stop: tuple[str, ...] = ()
    batch_size: int = 64

    def settings(self) -> dict[str, Any]:
        """The settings that are to change an answer: greedy answers know no seed and no truncation.

        They are part of the key under which an answer is kept, so `stop` is among them only where there is any.
        """
        stop = {"stop": list(self.stop)} if self.stop else {}
        if self.temperature == 0:
            return {"max_new_tokens": self.max_new_tokens, "temperature": 0.0} | stop
        how = asdict(self) | {"temperature": float(self.temperature), "top_p": float(self.top_p)}
        del how["stop"], how["batch_size"]
        return how | stop


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
        """The signals it can give: "text", "token_logp", "option_logp", "hidden", "logits".

        "token_logp": of every token of any text given as the answer. "option_logp": of short texts only, each as the
        first token of the answer.
        """
        ...

    def refuses(self, prompt: tuple[Message, ...], sampling: Sampling) -> str:
        """Why this prompt cannot be asked at all, e.g. it is longer than the window; "" when it can. Costs no call."""
        ...

    def generate(
        self,
        prompts: Sequence[tuple[Message, ...]],
        sampling: Sampling,
        *,
        seeds: Sequence[int] = (),
        halt: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, Answer]]:
        """Answer every prompt; yields (index of the prompt, answer) as answers come, in any order.

        `seeds`: one an answer, instead of those that count from the sampling's. Once `halt` says so, nothing new is
        begun, and what is under way is still yielded.
        """
        ...

    def score(
        self, prompts: Sequence[tuple[Message, ...]], texts: Sequence[str]
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        """log p of every token of each text as the answer to its prompt, in nats: (index, values) in any order.

        The tokens are the endpoint's own; an end of turn is none of them. No values where a text has no token, does not
        fit or cannot be scored. Needs the signal "token_logp", or "option_logp" for texts of one token.
        """
        ...


def seeds_from(sampling: Sampling, count: int) -> range:
    """The seeds of answers that were given none: counted from the sampling's."""
    return range(sampling.seed, sampling.seed + count)


def cut(text: str, stop: tuple[str, ...]) -> str:
    """The text up to the first of the texts in `stop`."""
    found = [at for at in (text.find(mark) for mark in stop if mark) if at >= 0]
    return text[: min(found)] if found else text


def score_key(identity: str, prompt: tuple[Message, ...], text: str) -> str:
    """The content key under which a text's score by an endpoint is kept."""
    return content_key(["logp", identity, [[m.role, m.content] for m in prompt], text])
