"""y_s: answers sampled from the student while it learns, for the prompts of the next steps at once."""

import copy
from collections.abc import Sequence
from functools import cached_property
from typing import cast

import torch
from torch import nn
from transformers import PreTrainedModel

from stillhouse.models.sample import sample_answers
from stillhouse.models.tokenise import Encoded, encode_pair
from stillhouse.recipe import Rollout
from stillhouse.train.material import Material, Visit


class Sampler:
    """A copy of the student in the compute dtype that answers prompts; its weights are refreshed before it does."""

    def __init__(
        self, student: PreTrainedModel, dtype: torch.dtype, stop_ids: Sequence[int], pad_id: int, vocabulary: int
    ) -> None:
        self._student, self._dtype = student, dtype
        self._stop_ids, self._pad_id, self._vocabulary = tuple(stop_ids), pad_id, vocabulary

    @cached_property
    def _copy(self) -> PreTrainedModel:
        copied = cast(nn.Module, copy.deepcopy(self._student)).to(dtype=self._dtype)
        made = cast(PreTrainedModel, copied.requires_grad_(False).eval())
        made.set_attn_implementation("sdpa")
        return made

    @torch.no_grad()
    def refresh(self) -> PreTrainedModel:
        """The copy, with the student's present weights."""
        for mine, theirs in zip(self._copy.parameters(), self._student.parameters(), strict=True):
            mine.copy_(theirs)
        return self._copy

    def answers(self, prompts: Sequence[Sequence[int]], how: Rollout, seed: int) -> list[list[int]]:
        """One answer per prompt from the student as it is now."""
        model = self.refresh()
        where = {"stop_ids": self._stop_ids, "pad_id": self._pad_id, "vocabulary": self._vocabulary}
        return sample_answers(model, prompts, how, seed=seed, **where)


class Rollouts:
    """The samples of the present window of steps; part of a checkpoint, so that a resumed run sees the same ones."""

    def __init__(self, sampler: Sampler, material: Material, how: Rollout, seed: int) -> None:
        self._sampler, self._material, self._how, self._seed = sampler, material, how, seed
        self.samples: dict[str, list[int]] = {}

    def renew(self, step: int, window: Sequence[Visit]) -> None:
        """At the first step of a window: sample an answer to each prompt of all its steps."""
        if step % self._how.refresh == 0:
            prompts = [self._material.prompts[v.index] for v in window]
            ids = self._sampler.answers(prompts, self._how, seed=(self._seed * 1_000_003 + step) % 2**31)
            self.samples = {_name(v): answer for v, answer in zip(window, ids, strict=True)}

    def sampled(self, visit: Visit) -> Encoded:
        """The window's sample for a visit, behind its prompt."""
        answer = self.samples[_name(visit)]
        return encode_pair(self._material.prompts[visit.index], answer, max_tokens=self._material.max_tokens)


def _name(visit: Visit) -> str:
    return f"{visit.index}:{visit.number}"
