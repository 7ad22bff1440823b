"""The one loop that asks: what is in the journal is taken from there, the rest is asked and kept as it comes."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from stillhouse.elicit.funnel import Funnel
from stillhouse.elicit.notebook import Notebook, row_of
from stillhouse.endpoints.base import Answer, Endpoint, Sampling, score_key
from stillhouse.endpoints.price import Price
from stillhouse.errors import Interrupted, RecipeError
from stillhouse.records.types import Message, content_key, prompt_key

Prompt = tuple[Message, ...]


@runtime_checkable
class Roles(Protocol):
    """Who plays which role: a dict will do."""

    def __getitem__(self, role: str, /) -> Endpoint: ...


@dataclass(frozen=True, slots=True)
class Request:
    """One question to an endpoint; `key` is the content key under which its answer is kept and never asked again."""

    key: str
    prompt_key: str
    prompt: Prompt
    sample: int

    @property
    def size(self) -> int:
        """Characters of the prompt: the longest are asked first."""
        return sum(len(m.content) for m in self.prompt)


@dataclass(frozen=True)
class Ask:
    """How one step asks its role. Whatever ends the run, answers that came are in the journal.

    take: 0, or the round that wants answers of its own (sampled ones; a greedy answer is the same every time). prices:
    what a million tokens of a role cost, read and written; a role that has none here is played by the teacher.
    progress hears of every answer; once `stop` says so, nothing new is begun, and the run ends.
    """

    role: str
    endpoints: Roles
    sampling: Sampling
    notebook: Notebook
    funnel: Funnel = field(default_factory=Funnel)
    take: int = 0
    prices: Mapping[str, Price] = field(default_factory=dict)
    progress: Callable[[Funnel], None] | None = None
    stop: Callable[[], bool] | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Whoever answers. Raises RecipeError for a role that nobody plays."""
        try:
            return self.endpoints[self.role]
        except KeyError:
            raise RecipeError(f"nobody plays the role '{self.role}': add [roles.{self.role}]") from None

    @property
    def gives(self) -> frozenset[str]:
        """The signals that the role can give."""
        return self.endpoint.gives

    def of(self, role: str) -> "Ask":
        """The same for another role; "" is this one."""
        return replace(self, role=role) if role else self

    def how(self, **settings: Any) -> "Ask":
        """The same with other settings of `Sampling`, as in `ask.how(temperature=0.0)`."""
        return replace(self, sampling=replace(self.sampling, **settings))

    def __call__(self, prompts: Sequence[Prompt], *, samples: int = 1, first: int = 0) -> list[list[Answer]]:
        """Answers to each prompt, numbered from `first`; greedy, there is one.

        An answer that did not come has finish = "error" and says why. Samples of equal prompts are numbered through, so
        they differ; equal greedy questions are asked once.
        Raises StorageError when the journal cannot grow, Interrupted on `stop`, and what the endpoint raises.
        """
        plans = self._plan(prompts, 1 if self.sampling.temperature == 0 else samples, first)
        requests = {request.key: request for requests in plans for request in requests}
        answers = self._known(requests)
        self.funnel.requests += len(requests)
        self.funnel.cached += len(answers)
        self._ask_all(requests, answers)
        return [[answers[request.key] for request in requests] for requests in plans]

    def logp(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[tuple[float, ...]]:
        """The log-probability of every token of each text as the answer to its prompt; an empty one where it failed.

        Raises RecipeError when the role's endpoint gives no log-probabilities.
        """
        if not self.gives & {"token_logp", "option_logp"}:
            given = ", ".join(sorted(self.gives))
            raise RecipeError(f"role '{self.role}' must give token_logp, but its endpoint gives {given}")
        identity = self.endpoint.identity
        keys = [score_key(identity, prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
        owed = [i for i, key in enumerate(keys) if self.notebook.value(key) is None]
        self.funnel.requests += len(keys)
        self.funnel.cached += len(keys) - len(owed)
        for begin in range(0, len(owed), self.sampling.batch_size):
            self._pause()
            batch = owed[begin : begin + self.sampling.batch_size]
            for index, values in self.endpoint.score([prompts[i] for i in batch], [texts[i] for i in batch]):
                if values:
                    scored = {"key": keys[batch[index]], "endpoint": identity, "value": [float(v) for v in values]}
                    self.notebook.write(scored)
                self.funnel.asked += 1
                self._tell()
        self.notebook.sync()
        return [tuple(self.notebook.value(key) or ()) for key in keys]

    def _plan(self, prompts: Sequence[Prompt], samples: int, first: int) -> list[list[Request]]:
        asked: Counter[str] = Counter()
        settings, identity = self.sampling.settings(), self.endpoint.identity
        greedy = self.sampling.temperature == 0
        plans = []
        for prompt in prompts:
            hashed, requests = prompt_key(prompt), []
            for _ in range(samples):
                sample = 0 if greedy else first + asked[hashed]
                asked[hashed] += 1
                parts = [hashed, identity, settings, sample]
                key = content_key(parts if greedy or not self.take else [*parts, self.take])
                requests.append(Request(key, hashed, prompt, sample))
            plans.append(requests)
        return plans

    def _known(self, requests: Mapping[str, Request]) -> dict[str, Answer]:
        found = {key: self.notebook.answer(key) for key in requests}
        return {key: answer for key, answer in found.items() if answer is not None}

    def _ask_all(self, requests: Mapping[str, Request], answers: dict[str, Answer]) -> None:
        identity, settings, begun = self.endpoint.identity, self.sampling.settings(), time.monotonic()
        before = self.funnel.seconds
        owed = self._askable(requests, answers)
        if owed:
            self._tell()  # before the first batch, which may take minutes
        try:
            for request, answer in self._asking(requests, owed):
                row = row_of(request.key, request.prompt_key, identity, settings, request.sample, answer)
                self.notebook.write(row)
                answers[request.key] = answer
                self.funnel.seconds = before + time.monotonic() - begun
                self._count(request, answer)
        finally:
            self.notebook.sync()
        for key in owed - answers.keys():
            answers[key] = Answer("", "error", error="the endpoint gave no answer")

    def _askable(self, requests: Mapping[str, Request], answers: dict[str, Answer]) -> set[str]:
        """Keys of the requests still to ask; those that the endpoint refuses are noted, before any call."""
        owed = set()
        for key, request in requests.items():
            if key in answers:
                continue
            reason = self.endpoint.refuses(request.prompt, self.sampling)
            if reason:
                self.funnel.refused += 1
                self.funnel.notes.append(f"Left out {_name(request)}: {reason}.")
                answers[key] = Answer("", "error", error=f"refused: {reason}")
            else:
                owed.add(key)
        return owed

    def _asking(self, requests: Mapping[str, Request], owed: set[str]) -> Iterator[tuple[Request, Answer]]:
        """Every request has a seed of its own: a resumed run draws what an unbroken one would have drawn."""
        asked = sorted((requests[key] for key in owed), key=lambda r: (-r.size, r.key))
        self._pause()
        seeds, halt = [int(request.key[:8], 16) for request in asked], self.stop or (lambda: False)
        prompts = [request.prompt for request in asked]
        for index, answer in self.endpoint.generate(prompts, self.sampling, seeds=seeds, halt=halt):
            yield asked[index], answer
        self._pause()

    def _count(self, request: Request, answer: Answer) -> None:
        self.funnel.asked += 1
        self.funnel.prompt_tokens += answer.prompt_tokens
        self.funnel.tokens += answer.tokens
        self.funnel.cost += self._price(answer)
        if answer.finish == "error":
            self.funnel.failed += 1
            self.funnel.notes.append(f"Failed {_name(request)}: {answer.error}.")
        self._tell()

    def _price(self, answer: Answer) -> float:
        price = self.prices.get(self.role) or self.prices.get("teacher")
        return price.cost(answer.prompt_tokens, answer.tokens) if price else 0.0

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.funnel)

    def _pause(self) -> None:
        if self.stop is not None and self.stop():
            raise Interrupted("Stopped between two answers: run the same command again to go on.")


def _name(request: Request) -> str:
    text = " ".join(request.prompt[-1].content[:200].split())
    return f"prompt {request.prompt_key[:8]} ({text[:50]}{'…' if len(text) > 50 else ''})"
