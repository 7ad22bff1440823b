"""Ending answers at given texts while they are sampled."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase, StoppingCriteria


class StopStrings(StoppingCriteria):
    """Ends each row whose new text holds one of `stop`; `lengths` has the new tokens of the rows that it ended.

    transformers' own criterion sees the prompt too, so that it would end an answer at a text that begins in there.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str], prompt_width: int) -> None:
        self.lengths: dict[int, int] = {}
        self._tokenizer = tokenizer
        self._stop = stop
        self._begin = prompt_width
        # every token adds a byte or more; a few tokens before, since the first one decoded may be half a character
        self._tail = max(len(text.encode()) for text in stop) + 4

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, input_ids: Int[Tensor, "B T"], scores: object, **_: object
    ) -> Bool[Tensor, "B"]:
        new = input_ids[:, self._begin :]
        tails = self._tokenizer.batch_decode(new[:, -self._tail :], skip_special_tokens=True)
        for row, tail in enumerate(tails):
            if any(text in tail for text in self._stop):
                self.lengths.setdefault(row, new.shape[1])
        return torch.tensor([row in self.lengths for row in range(len(tails))], device=input_ids.device)
