"""The operator `generate`: a role answers every prompt of the named splits, `samples` times."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.recipe import Step
from stillhouse.records.types import Message, Record, Response, content_key


@dataclass(frozen=True, slots=True)
class Request:
    """One question to an endpoint; `key` is the content key under which its answer is kept and never asked again."""

    key: str
    prompt_key: str
    prompt: tuple[Message, ...]
    sample: int

    @property
    def size(self) -> int:
        """Characters of the prompt, by which batches are sorted."""
        return sum(len(m.content) for m in self.prompt)


def sampling_of(step: Step, seed: int) -> Sampling:
    """How a step wants its answers."""
    return Sampling(
        max_new_tokens=step.max_new_tokens,
        temperature=step.temperature,
        top_p=step.top_p,
        top_k=step.top_k,
        seed=seed,
    )


def plan(records: Sequence[Record], step: Step, sampling: Sampling, identity: str) -> list[list[Request]]:
    """The requests of each record (none outside `step.splits`).

    Samples of one prompt are numbered, through all records that have it; a greedy answer is the same every time, so it
    is requested once, and equal prompts share it.
    """
    asked: Counter[str] = Counter()
    settings = sampling.settings()
    plans = []
    for record in records:
        prompt, requests = record.key, []
        for _ in range(_samples(step) if record.split in step.splits else 0):
            sample = 0 if sampling.temperature == 0 else asked[prompt]
            asked[prompt] += 1
            key = content_key([prompt, identity, settings, sample])
            requests.append(Request(key, prompt, record.messages, sample))
        plans.append(requests)
    return plans


def response(answer: Answer, step: Step) -> Response | str:
    """The response that a raw answer is, or the reason why it is none."""
    if answer.finish == "error":
        return "failed"
    if not answer.text.strip():
        return "empty"
    return Response(source=step.role, text=answer.text, finish=answer.finish, tokens=answer.tokens)


def _samples(step: Step) -> int:
    return 1 if step.temperature == 0 else step.samples
