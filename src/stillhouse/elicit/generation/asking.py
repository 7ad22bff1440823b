"""What all operators that ask have in common: prompts out, parsed replies back, a bounded number of second tries."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from stillhouse.elicit.ask import Ask, Prompt
from stillhouse.elicit.parsers.contract import Unreadable
from stillhouse.elicit.parsers.read import read
from stillhouse.elicit.sandboxed import LACKING, Unfit
from stillhouse.elicit.templates import conversation
from stillhouse.endpoints.base import Answer
from stillhouse.errors import RecipeError
from stillhouse.records.types import Message, Origin, Record, prompt_key

Parse = dict[str, Any]
"""A parser and its settings, as in {use = "fields", kind = "numbered"}; empty: the text as it is."""


TOGETHER = 64
"""Records that a filter or a judge asks about in one go."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A raw answer and what was read in it: the fields of each item, or the reason why there are none."""

    answer: Answer
    items: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""


def batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """So many records at a time as are asked about in one go."""
    source = iter(records)
    while batch := list(islice(source, TOGETHER)):
        yield batch


def prompt_of(template: str, values: Mapping[str, Any], *, system: str = "") -> Prompt | str:
    """The prompt of a template, or the reason why there is none for these values."""
    try:
        return conversation(template, values, system=system)
    except Unfit as error:
        return error.reason


def replies(
    ask: Ask,
    prompts: Sequence[Prompt | str],
    parse: Mapping[str, Any],
    *,
    samples: int = 1,
    retries: int = 0,
    into: str = "output",
) -> list[list[Reply]]:
    """Each prompt's replies; a sampled one that cannot be read is asked again, `retries` times at most.

    Without a parser, an item is the text as the field `into`. What `prompt_of` could not make is not asked; where that
    is all of them for want of values, it is the template that is wrong, and RecipeError is raised.
    """
    askable = [prompt for prompt in prompts if not isinstance(prompt, str)]
    if prompts and all(isinstance(prompt, str) and prompt.startswith(LACKING) for prompt in prompts):
        raise RecipeError(f"the template fits no record ({prompts[0]})")
    rows = iter(ask(askable, samples=samples))
    found = [
        [Reply(Answer("", "error", error=prompt), reason=prompt)]
        if isinstance(prompt, str)
        else [_reply(answer, parse, into) for answer in next(rows)]
        for prompt in prompts
    ]
    tries = 0 if ask.sampling.temperature == 0 else retries
    numbered = samples * max(Counter(askable).values(), default=1)  # equal prompts have numbers of their own
    for attempt in range(tries):
        bad = [(i, j) for i, row in enumerate(found) for j, reply in enumerate(row) if _again(reply)]
        if not bad:
            break
        again = ask([p for i, _ in bad if not isinstance(p := prompts[i], str)], first=numbered * (attempt + 1))
        for (i, j), answers in zip(bad, again, strict=True):
            found[i][j] = _reply(answers[0], parse, into)
    return found


def asked(ask: Ask, operation: str, prompt: Prompt | str, parent: str = "") -> Origin:
    """The event of having asked; of a prompt that could not be made, there is no hash."""
    key = "" if isinstance(prompt, str) else prompt_key(prompt)
    return Origin(operation, role=ask.role, prompt=key, parent=parent)


def said(turns: Sequence[Mapping[str, str]]) -> tuple[Message, ...]:
    """Messages of a conversation given as {"role", "content"} objects."""
    return tuple(Message(turn["role"], turn["content"]) for turn in turns)  # type: ignore[arg-type]


def _again(reply: Reply) -> bool:
    """Whether a second try may help: not where the endpoint refused or failed, which it has tried again itself."""
    return bool(reply.reason) and reply.answer.finish != "error"


def _reply(answer: Answer, parse: Mapping[str, Any], into: str) -> Reply:
    if answer.finish == "error":
        return Reply(answer, reason="refused" if answer.error.startswith("refused") else "failed")
    if not answer.text.strip():
        return Reply(answer, reason="empty")
    if not parse:
        return Reply(answer, [{into: answer.text.strip()}])
    try:
        return Reply(answer, read(answer.text, parse, finished=answer.finish == "stop"))
    except Unreadable as error:
        return Reply(answer, reason=f"unreadable: {error}")
