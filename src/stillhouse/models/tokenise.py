"""Text to token ids and back: what knows chat templates, end-of-turn tokens and where an answer begins."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import cast

from transformers import PreTrainedTokenizerBase

from stillhouse.records.types import Message

_PROBE = "\x02probe\x03"


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sequence of token ids; the tokens from `start` on are the answer, the targets that count."""

    ids: tuple[int, ...]
    start: int

    @property
    def counted(self) -> int:
        """Number of targets that count (the first token of a sequence is never a target)."""
        return len(self.ids) - max(self.start, 1)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """Token ids of the conversation, ending where the assistant's answer begins.

    Control tokens come from the template alone: a message that contains the text of one is spelled out as plain text.
    """
    turns = [asdict(m) for m in messages]
    controls = [token for token in tokenizer.all_special_tokens if any(token in t["content"] for t in turns)]
    if not controls:
        found = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)
        return cast(list[int], found)
    marks = [f"\x02{i}\x03" for i in range(len(turns))]
    marked = [turn | {"content": mark} for turn, mark in zip(turns, marks, strict=True)]
    rest = str(tokenizer.apply_chat_template(marked, add_generation_prompt=True, tokenize=False))
    ids: list[int] = []
    for turn, mark in zip(turns, marks, strict=True):
        frame, _, rest = rest.partition(mark)
        ids += tokenizer.encode(frame, add_special_tokens=False)
        ids += tokenizer.encode(turn["content"], add_special_tokens=False, split_special_tokens=True)
    return ids + tokenizer.encode(rest, add_special_tokens=False)


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
    """The text of generated ids, without control tokens."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True)).strip()
