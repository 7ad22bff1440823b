"""Text to token ids and back: what knows chat templates, end-of-turn tokens and where an answer begins."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import cast

from transformers import PreTrainedTokenizerBase

from stillhouse.records.types import Message

_PROBE = "\x02probe\x03"
_MARK = re.compile("\x02(\\d+)\x03")


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sequence of token ids; the tokens from `start` on are the answer, the targets that count.

    `weights`, one for each of these targets, multiply their losses; a target of weight 0 does not count at all. None
    stands for ones. The first token of a sequence is never a target.
    """

    ids: tuple[int, ...]
    start: int
    weights: tuple[float, ...] | None = None

    @property
    def targets(self) -> Sequence[int]:
        """The places of the tokens that count."""
        places = range(max(self.start, 1), len(self.ids))
        if self.weights is None:
            return places
        return [place for place, weight in zip(places, self.weights, strict=True) if weight > 0]

    @property
    def counted(self) -> int:
        """Number of targets that count."""
        return len(self.targets)

    @property
    def whole(self) -> bool:
        """Whether every token from `start` on counts."""
        return self.weights is None or all(weight > 0 for weight in self.weights)

    def cut(self, tokens: int) -> "Encoded":
        """The first so many tokens."""
        ids = self.ids[:tokens]
        left = None if self.weights is None else self.weights[: max(len(ids) - max(self.start, 1), 0)]
        return Encoded(ids, self.start, left)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """Token ids of the conversation, ending where the assistant's answer begins.

    Control tokens come from the template alone: a message that contains the text of one is spelled out as plain text.
    """
    if not has_controls(tokenizer, [m.content for m in messages]):
        turns = [asdict(m) for m in messages]
        found = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)
        return cast(list[int], found)
    frames, order = template_frames(tokenizer, messages, answer_next=True)
    ids = tokenizer.encode(frames[0], add_special_tokens=False)
    for index, frame in zip(order, frames[1:], strict=True):
        ids += tokenizer.encode(messages[index].content, add_special_tokens=False, split_special_tokens=True)
        ids += tokenizer.encode(frame, add_special_tokens=False)
    return ids


def has_controls(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> bool:
    """Whether a text contains what reads like a control token."""
    return any(token in text for token in tokenizer.all_special_tokens for text in texts)


def template_frames(
    tokenizer: PreTrainedTokenizerBase, turns: Sequence[Message], *, answer_next: bool
) -> tuple[list[str], list[int]]:
    """What the chat template writes around the turns' contents, and which turn stands between two of these."""
    marked = [asdict(turn) | {"content": f"\x02{i}\x03"} for i, turn in enumerate(turns)]
    text = str(tokenizer.apply_chat_template(marked, add_generation_prompt=answer_next, tokenize=False))
    parts = _MARK.split(text)
    return parts[::2], [int(index) for index in parts[1::2]]


def encode_answer(tokenizer: PreTrainedTokenizerBase, text: str, *, finished: bool) -> list[int]:
    """Token ids of an answer; the end-of-turn token belongs to it only if it ended by itself."""
    ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    return [*ids, end_of_turn(tokenizer)] if finished else ids


def encode_pair(prompt: Sequence[int], answer: Sequence[int], *, max_tokens: int) -> Encoded:
    """Prompt and answer as one sequence, the answer cut at `max_tokens` in all."""
    return Encoded(ids=(*prompt, *answer)[:max_tokens], start=len(prompt))


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str, *, max_tokens: int) -> list[Encoded]:
    """Plain text in pieces of at most `max_tokens`, every token but the first of a piece a target."""
    ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    pieces = [tuple(ids[i : i + max_tokens]) for i in range(0, len(ids), max_tokens)]
    return [Encoded(ids=piece, start=1) for piece in pieces if len(piece) > 1]


@lru_cache(maxsize=16)
def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token that the template puts right behind an assistant's answer, else the tokenizer's own end of sequence."""
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": _PROBE}]
    text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    behind = text.partition(_PROBE)[2].lstrip()
    starts = [token for token in tokenizer.all_special_tokens if behind.startswith(token)]
    found = tokenizer.convert_tokens_to_ids(max(starts, key=len)) if starts else tokenizer.eos_token_id
    return cast(int, found)


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of generated ids, as it is but without control tokens."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True))
