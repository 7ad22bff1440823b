"""Which token comes next, and whether the answer ends with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase, TopKLogitsWarper, TopPLogitsWarper

from stillhouse.models.tokenise import decode
from stillhouse.records.types import Finish


@dataclass(frozen=True, slots=True)
class Choice:
    """How a token is drawn. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 keep the whole distribution.

    `vocabulary` cuts off the rows by which a published head exceeds its tokenizer.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    vocabulary: int | None = None

    def __call__(self, logits: Float[Tensor, "B V"], uniform: Float[Tensor, "B 1"]) -> Int[Tensor, "B"]:
        """The token at which the cumulative distribution of each row passes its one number in [0, 1).

        Drawing as transformers does needs a random number for every entry of the vocabulary, which on a CPU takes as
        long as the model itself.
        """
        logits = logits[:, : self.vocabulary]
        if self.temperature == 0:
            return logits.argmax(-1)
        scores = self._narrowed(logits.float() / self.temperature)
        cumulative = scores.softmax(-1).cumsum_(-1)
        drawn = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
        return drawn.clamp_(max=scores.shape[-1] - 1).squeeze(-1)

    def _narrowed(self, scores: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:
        unread = cast(torch.LongTensor, None)  # the ids so far, at which neither looks
        if self.top_k:
            scores = TopKLogitsWarper(self.top_k)(unread, scores)
        return TopPLogitsWarper(self.top_p)(unread, scores) if self.top_p < 1 else scores


@dataclass(frozen=True, slots=True)
class Ending:
    """When an answer ends: at a stop token, with a text of `stop` (which `tokenizer` reads), or at its longest."""

    max_new_tokens: int
    stop_ids: Sequence[int] = ()
    stop: Sequence[str] = ()
    tokenizer: PreTrainedTokenizerBase | None = None

    def __call__(self, ids: Sequence[int]) -> tuple[int, Finish] | None:
        """How many of the ids are the answer, and how it ended; None while it goes on.

        A stop token is no part of the answer, the token that completes a stop text is.
        """
        if ids[-1] in self.stop_ids:
            return len(ids) - 1, "stop"
        if self._has_stop_text(ids):
            return len(ids), "stop"
        return (len(ids), "length") if len(ids) >= self.max_new_tokens else None

    def _has_stop_text(self, ids: Sequence[int]) -> bool:
        if not self.stop or self.tokenizer is None:
            return False
        # every token adds a byte or more; a few tokens before, since the first one decoded may be half a character
        tail = max(len(text.encode()) for text in self.stop) + 4
        end = decode(self.tokenizer, ids[-tail:])
        return any(text in end for text in self.stop)
