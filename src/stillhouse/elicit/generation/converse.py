"""`converse`: a dialogue between simulated roles, a turn at a time (Baize v2, UltraChat, CAMEL, DEBATunE)."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from stillhouse.elicit.ask import Ask, Prompt
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import asked, replies
from stillhouse.elicit.sandboxed import Unfit
from stillhouse.elicit.templates import render
from stillhouse.elicit.view import text, view
from stillhouse.errors import RecipeError
from stillhouse.records.types import Message, Record


class Speaker(BaseModel):
    """One side: who plays it, the system template that binds it, and what it is told before its first words.

    `speaks_as` is the side of the finished conversation on which its words stand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    speaks_as: Literal["user", "assistant"]
    role: str = ""
    system: str = ""
    opening: str = ""
    closing: str = ""


class Ending(BaseModel):
    """A rule that ends a dialogue: a phrase in a turn (of one speaker, or of any), `in_a_row` turns running.

    `without` turns it around: a turn that has none of the phrases. `keep_turn`: whether that turn still belongs to it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str
    phrases: tuple[str, ...]
    speaker: str = ""
    without: bool = False
    in_a_row: Annotated[int, Field(ge=1)] = 1
    keep_turn: bool = True


@dataclass
class _Dialogue:
    record: Record
    limit: int
    turns: list[tuple[Speaker, str]] = field(default_factory=list)
    ended: str = ""
    prompt: Prompt = ()


def converse(
    records: Iterable[Record],
    ask: Ask,
    rng: random.Random,
    *,
    speakers: tuple[Speaker, Speaker],
    rounds: Annotated[tuple[int, int], Field()] = (3, 3),
    first: str = "",
    endings: tuple[Ending, ...] = (),
    into: str = "messages",
    least: Annotated[int, Field(ge=1)] = 2,
) -> Iterator[Result]:
    """Two roles alternate; each sees the other's words as its user's and its own as the assistant's.

    `rounds`: turns of both, drawn between the two bounds for each record. `first`: the field whose text is the first
    speaker's first turn; without it, the first speaker is asked for one after its `opening`. A speaker's `closing` is
    added to the prompt of its last turn. The dialogue becomes the field `into` as {"role", "content"} turns that begin
    with the user's and end with the assistant's, and `ended` says why it ended; a turn that was cut off ends it and is
    left out; with fewer than `least` turns it is dropped under that reason.
    """
    if not 1 <= rounds[0] <= rounds[1]:
        raise RecipeError(f"operator 'converse': rounds is {list(rounds)}; give two rising numbers from 1 on")
    if not first and not speakers[0].opening:
        raise RecipeError("operator 'converse' needs the first speaker's opening, or first, the field with its words")
    held = [_Dialogue(record, rng.randint(*rounds)) for record in records]
    for dialogue in held:
        if first and (opening := text(dialogue.record, first).strip()):
            _take(dialogue, speakers[0], opening, endings)
    for turn in range(2 * max((d.limit for d in held), default=0)):
        speaker = speakers[turn % 2]
        active = [d for d in held if not d.ended and len(d.turns) == turn and turn < 2 * d.limit]
        prompts = [_asked(dialogue, speaker, last=turn >= 2 * dialogue.limit - 2) for dialogue in active]
        for dialogue, (reply,) in zip(active, replies(ask.of(speaker.role), prompts, {}, into="said"), strict=True):
            cut = "cut off" if reply.answer.finish == "length" else ""  # half a turn is none
            if reply.reason or cut:
                dialogue.ended = reply.reason or cut
            else:
                _take(dialogue, speaker, reply.items[0]["said"], endings)
    for dialogue in held:
        yield _finished(dialogue, into, least, ask)


def _asked(dialogue: _Dialogue, speaker: Speaker, *, last: bool) -> Prompt | str:
    """The prompt of the next turn, or why there is none."""
    try:
        dialogue.prompt = _prompt(dialogue, speaker, last=last)
    except Unfit as error:
        return error.reason
    return dialogue.prompt or "no first words"


def _prompt(dialogue: _Dialogue, speaker: Speaker, *, last: bool) -> Prompt:
    values = view(dialogue.record)
    system = render(speaker.system, values) if speaker.system else ""
    turns = [Message("system", system)] if system else []
    if (not dialogue.turns or dialogue.turns[0][0] is speaker) and speaker.opening:
        turns.append(Message("user", render(speaker.opening, values)))
    for other, words in dialogue.turns:
        turns.append(Message("assistant" if other is speaker else "user", words))
    if last and speaker.closing and turns and turns[-1].role == "user":
        turns[-1] = Message("user", f"{turns[-1].content}\n\n{render(speaker.closing, values)}")
    return tuple(turns)


def _take(dialogue: _Dialogue, speaker: Speaker, said: str, endings: Sequence[Ending]) -> None:
    dialogue.turns.append((speaker, said))
    for rule in endings:
        own = [words for other, words in dialogue.turns if not rule.speaker or other.name == rule.speaker]
        ours = not rule.speaker or rule.speaker == speaker.name
        if ours and len(own) >= rule.in_a_row and all(_meets(rule, words) for words in own[-rule.in_a_row :]):
            dialogue.ended = rule.reason
            if not rule.keep_turn:
                dialogue.turns.pop()
            return


def _meets(rule: Ending, words: str) -> bool:
    return any(phrase.lower() in words.lower() for phrase in rule.phrases) is not rule.without


def _finished(dialogue: _Dialogue, into: str, least: int, ask: Ask) -> Result:
    turns = [{"role": speaker.speaks_as, "content": words} for speaker, words in dialogue.turns]
    while turns and turns[0]["role"] != "user":
        turns.pop(0)
    while turns and turns[-1]["role"] != "assistant":
        turns.pop()
    ended = dialogue.ended or "all rounds"
    if len(turns) < least:
        return Dropped(dialogue.record.having(**{into: turns, "ended": ended}), f"too few turns ({ended})")
    return dialogue.record.having(**{into: turns, "ended": ended}).after(asked(ask, "converse", dialogue.prompt))
