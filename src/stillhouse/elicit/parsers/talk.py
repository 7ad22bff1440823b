"""Turns of a conversation, and what makes them one that can be learned from."""

from collections.abc import Iterable
from dataclasses import dataclass

from stillhouse.elicit.parsers.contract import Unreadable


@dataclass(frozen=True, slots=True)
class Turn:
    """Who says what: a role ("user", "assistant", "system") and the words."""

    role: str
    content: str

    @property
    def message(self) -> dict[str, str]:
        return {"role": self.role, "content": self.content}


def ordered(turns: Iterable[Turn], merge: bool, at_least: int, at_most: int) -> list[Turn]:
    """The turns as a conversation: perhaps a system message, then user and assistant in turns, ending with an answer.

    A conversation begins with the user, so what the assistant says before is left out, as is a question at the end
    that has no answer. Two turns of one side are joined if `merge`, otherwise unreadable, as is an empty turn within.
    One with fewer than `at_least` turns is unreadable; only the first `at_most` are kept (0: all).
    """
    spoken = list(turns)
    system = [turn for turn in spoken[:1] if turn.role == "system"]
    kept: list[Turn] = []
    for turn in spoken[len(system) :]:
        if turn.role == "system":
            raise Unreadable("a system message within")
        if not kept and turn.role != "user":
            continue
        if kept and kept[-1].role == turn.role:
            if not merge:
                raise Unreadable("two turns of one side")
            kept[-1] = Turn(turn.role, f"{kept[-1].content}\n\n{turn.content}".strip())
        else:
            kept.append(turn)
    kept = kept[:at_most] if at_most else kept
    while kept and (kept[-1].role == "user" or not kept[-1].content):
        kept.pop()
    if any(not turn.content for turn in kept):
        raise Unreadable("an empty turn")
    if len(kept) < max(at_least, 1):
        raise Unreadable("too few turns")
    return system + kept


def chunks(turns: list[Turn], max_chars: int) -> list[list[Turn]]:
    """The conversation in pieces of at most `max_chars` characters (0: whole), each of whole rounds.

    A round that is longer alone is a piece of its own, whatever its length; the system message begins each.
    Vicuna splits so by 2048 tokens, which are about 8,000 characters of English.
    """
    system = [turn for turn in turns[:1] if turn.role == "system"]
    taken = sum(len(turn.content) for turn in system)
    pieces: list[list[Turn]] = []
    room = 0
    for user, assistant in zip(turns[len(system) :: 2], turns[len(system) + 1 :: 2], strict=True):
        size = len(user.content) + len(assistant.content)
        if not pieces or (max_chars and size > room):
            pieces.append([*system])
            room = max_chars - taken
        pieces[-1] += [user, assistant]
        room -= size
    return pieces
