"""Depth pruning: a student that begins as a copy of some of its teacher's layers."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from stillhouse.errors import ModelError
from stillhouse.models.depth import arranged, decoder_layers
from stillhouse.models.importance import block_influence
from stillhouse.models.load import LanguageModel
from stillhouse.models.removal import greedy_by_kl
from stillhouse.models.tokenise import Encoded
from stillhouse.recipe import Select


@dataclass(frozen=True)
class Selection:
    """The teacher's layers that the student keeps, counted from 0, and the numbers that spoke for them.

    `scores`: for "importance" the block influence of each teacher layer; for "greedy" the KL to the teacher in nats per
    token after the first, second, ... removal; empty for the other ways.
    """

    layers: tuple[int, ...]
    scores: tuple[float, ...] = ()


def select_layers(
    lm: LanguageModel, select: Select | tuple[int, ...], keep: int | None, rows: Sequence[Encoded] = ()
) -> Selection:
    """Choose the layers of a student.

    Args:
        select: "importance" (the highest block influence), "greedy" (remove by KL, one at a time), "uniform" (evenly
            spaced, first and last included), "last" (those nearest the output), or the layers themselves.
        keep: how many; not needed with explicit layers.
        rows: prompts with answers, for "importance" and "greedy".

    Raises:
        ModelError: the teacher has no such layers, or not as many.
    """
    count = len(decoder_layers(lm.model)[2])
    if isinstance(select, tuple):
        return explicit(lm, select, keep, count)
    if keep is None or not 1 <= keep <= count:
        raise ModelError(f"student.keep_layers = {keep}, but '{lm.name}' has {count} layers; keep 1 to {count}.")
    if select == "uniform":
        return Selection(tuple(round(i * (count - 1) / max(keep - 1, 1)) for i in range(keep)))
    if select == "last":
        return Selection(tuple(range(count - keep, count)))
    if not rows:
        raise ModelError(f"student.select = '{select}' needs prompts with answers, and there are none; add seeds.")
    if select == "greedy":
        return Selection(*greedy_by_kl(lm, few(rows), keep))
    scores = block_influence(lm, rows)
    best = sorted(range(count), key=lambda i: scores[i], reverse=True)[:keep]
    return Selection(tuple(sorted(best)), scores)


def few(rows: Sequence[Encoded], *, count: int = 8, answer_tokens: int = 32) -> list[Encoded]:
    """Short rows that rank removals cheaply: of the half with the shorter prompts, evenly taken, answers cut."""
    shorter = sorted(rows, key=lambda row: row.start)[: max(count, len(rows) // 2)]
    taken = [shorter[i * len(shorter) // count] for i in range(count)] if len(shorter) > count else shorter
    return [row.cut(row.start + answer_tokens) for row in taken]


def explicit(lm: LanguageModel, layers: tuple[int, ...], keep: int | None, count: int) -> Selection:
    if not layers or list(layers) != sorted(set(layers)) or layers[0] < 0 or layers[-1] >= count:
        raise ModelError(
            f"student.select = {list(layers)} must name layers of '{lm.name}', 0 to {count - 1}, "
            "in rising order, each once."
        )
    if keep not in (None, len(layers)):
        raise ModelError(f"student.select names {len(layers)} layers, but keep_layers = {keep}; drop one of the two.")
    return Selection(layers)


def keep_layers(lm: LanguageModel, layers: Sequence[int]) -> LanguageModel:
    """A student of its own: copies of embeddings, these decoder layers, norm and head, as float32 weights to train.

    The weights are exact if the teacher was loaded in the precision that its files hold.
    """
    with arranged(lm.model, layers):
        model = copy.deepcopy(lm.model)
    for index, layer in enumerate(decoder_layers(model)[2]):
        for module in layer.modules():
            if "layer_idx" in vars(module):
                vars(module)["layer_idx"] = index
    torch.nn.Module.to(model.requires_grad_(True).eval(), torch.float32)
    model.config.dtype = torch.float32
    return LanguageModel(model, lm.tokenizer, f"{lm.name}, {len(layers)} layers")
