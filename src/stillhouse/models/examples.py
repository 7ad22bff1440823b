"""Records to training examples: which tokens of an answer, or of a whole conversation, count, and how much each.

The text is always tokenised as it would be without weights; a token has the weight of the part in which it begins.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile

from transformers import PreTrainedTokenizerBase

from stillhouse.errors import DataError
from stillhouse.models.align import byte_spans
from stillhouse.models.tokenise import (
    Encoded,
    encode_answer,
    encode_prompt,
    end_of_turn,
    has_controls,
    template_frames,
)
from stillhouse.records.types import Message, Record, Response, Span


def first_prompt(record: Record) -> tuple[Message, ...]:
    """The turns before the first one that is learnt."""
    if record.learn == "last":
        return record.messages
    return tuple(takewhile(lambda turn: turn.role != "assistant", record.messages))


def encode_example(
    tokenizer: PreTrainedTokenizerBase, record: Record, response: Response, *, max_tokens: int
) -> Encoded:
    """A response behind its prompt, or the whole conversation where all of its answers are learnt, cut at `max_tokens`.

    Weights are those of the response times those of its spans. The end of turn belongs to no span.

    Raises:
        DataError: a weight is negative or not finite, or the spans are not the parts of the text.
    """
    parts = _parts(response)
    if len(first_prompt(record)) < len(record.messages):
        return _conversation(tokenizer, record.messages, response, parts).cut(max_tokens)
    prompt = encode_prompt(tokenizer, record.messages)
    answer = encode_answer(tokenizer, response.text, finished=response.finish == "stop")
    if not response.spans:
        return _encoded([*prompt, *answer], len(prompt), [response.weight] * len(answer)).cut(max_tokens)
    spelled = answer[:-1] if response.finish == "stop" else answer
    weights = [*_weights(tokenizer, spelled, parts), *[response.weight] * (len(answer) - len(spelled))]
    return _encoded([*prompt, *answer], len(prompt), weights).cut(max_tokens)


def _parts(response: Response) -> tuple[Span, ...]:
    """The response's text in parts, each with its whole weight."""
    spans = response.spans or (Span(response.text),)
    if "".join(span.text for span in spans) != response.text:
        raise DataError(
            f"the spans of a {response.source} response are not its text in parts ({response.text[:40]!r}); "
            "their texts, one behind the other, must be the text itself."
        )
    weights = [response.weight * span.weight for span in spans]
    if wrong := [w for w in weights if not (math.isfinite(w) and w >= 0)]:
        raise DataError(f"a {response.source} response has the weight {wrong[0]}; give it 0 or a positive number.")
    return tuple(Span(span.text, weight) for span, weight in zip(spans, weights, strict=True))


def _encoded(ids: Sequence[int], start: int, weights: Sequence[float]) -> Encoded:
    """`weights` are those of the tokens from `start` on."""
    weights = weights[max(1 - start, 0) :]
    return Encoded(tuple(ids), start, None if all(w == 1 for w in weights) else tuple(float(w) for w in weights))


def _weights(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], parts: Sequence[Span]) -> list[float]:
    """The weight of each token: that of the part in which it begins."""
    ends = list(accumulate(len(part.text.encode()) for part in parts))
    begins = [max(begin, 0) for begin, _ in byte_spans(tokenizer, ids, "".join(part.text for part in parts))]
    return [parts[min(bisect_right(ends, begin), len(parts) - 1)].weight for begin in begins]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text that somebody wrote (`plain`: nothing in it is a control token), or that the template did."""

    parts: tuple[Span, ...]
    plain: bool

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts)

    def stripped(self) -> "_Piece":
        """Without the blanks around it, as some templates write what they are given."""
        first, *rest = self.parts
        *rest, last = Span(first.text.lstrip(), first.weight), *rest
        return _Piece((*rest, Span(last.text.rstrip(), last.weight)), self.plain) if self.plain else self


def _conversation(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], response: Response, parts: tuple[Span, ...]
) -> Encoded:
    """The template's own rendering of all turns, of which the assistant's and their ends count."""
    turns = (*messages, Message("assistant", response.text))
    pieces = _pieces(tokenizer, turns, response.weight, parts)
    rendering = tokenizer.apply_chat_template([{"role": t.role, "content": t.content} for t in turns], tokenize=False)
    if "".join(piece.text for piece in pieces) != rendering:
        stripped = [piece.stripped() for piece in pieces]
        pieces = stripped if "".join(piece.text for piece in stripped) == rendering else pieces
    if response.finish != "stop":
        pieces.pop()
    ids, weights = _tokens(tokenizer, pieces)
    start = next((place for place, weight in enumerate(weights) if weight > 0), len(ids))
    return _encoded(ids, start, weights[start:])


def _pieces(
    tokenizer: PreTrainedTokenizerBase, turns: Sequence[Message], weight: float, last: tuple[Span, ...]
) -> list[_Piece]:
    """What the template wrote and what others did, in turn. A space before an answer belongs to its first word."""
    frames, order = template_frames(tokenizer, turns, answer_next=False)
    end = str(tokenizer.convert_ids_to_tokens(end_of_turn(tokenizer)))
    pieces, before = list[_Piece](), (Span(frames[0], 0.0),)
    for index, frame in zip(order, frames[1:], strict=True):
        learnt = weight if turns[index].role == "assistant" else 0.0
        content = last if index == len(turns) - 1 else (Span(turns[index].content, learnt),)
        head = before[-1].text.rstrip(" ")
        space = before[-1].text[len(head) :]
        opening = (*before[:-1], Span(head, 0.0), Span(space, content[0].weight))
        pieces += [_Piece(opening, plain=False), _Piece(content, plain=True)]
        blank, found, rest = frame.partition(end)
        before = (Span(blank + found, learnt), Span(rest, 0.0)) if found and not blank.strip() else (Span(frame, 0.0),)
    return [*pieces, _Piece(before, plain=False)]


def _tokens(tokenizer: PreTrainedTokenizerBase, pieces: Sequence[_Piece]) -> tuple[list[int], list[float]]:
    """All pieces as one text; one by one only where a control token's name in a message must stay plain text."""
    if not has_controls(tokenizer, [piece.text for piece in pieces if piece.plain]):
        pieces = [_Piece(tuple(part for piece in pieces for part in piece.parts), plain=False)]
    ids: list[int] = []
    weights: list[float] = []
    for piece in pieces:
        found = tokenizer.encode(piece.text, add_special_tokens=False, split_special_tokens=piece.plain)
        ids += found
        weights += _weights(tokenizer, found, piece.parts)
    return ids, weights
