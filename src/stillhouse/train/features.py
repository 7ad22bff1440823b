"""Inner states for the objectives that compare them: matched layers of both models, at the positions that count."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from stillhouse.errors import RecipeError
from stillhouse.models.collate import Batch
from stillhouse.models.depth import decoder_layers
from stillhouse.models.forward import hidden_rows
from stillhouse.models.importance import hidden_states, recorded
from stillhouse.models.layer_map import LayerMap, layer_map
from stillhouse.models.project import projector
from stillhouse.objectives import is_per_sequence, needs
from stillhouse.objectives.features.grams import mmd
from stillhouse.objectives.features.states import (
    feature_cross_entropy,
    hidden_cosine,
    hidden_l1,
    hidden_mse,
    pkd,
    ted,
)
from stillhouse.train.terms import Term

ONE_WIDTH = (hidden_mse, hidden_l1, hidden_cosine, feature_cross_entropy, ted, pkd, mmd)
"""Objectives that compare state with state, so that a student of another width needs a projector."""

PROJECTORS = "distillation_projectors"
"""The student's submodule while it trains: optimised and checkpointed with it, and gone when it is done."""

States = Mapping[int, Float[Tensor, "N _"]]
"""Hidden states at the positions that count, by layer as transformers counts them: 0 is the embedding, k the output of
the k-th layer, the last one's after the final norm."""


def matched(terms: Sequence[Term], student: PreTrainedModel, teacher: PreTrainedModel | None) -> tuple[Term, ...]:
    """The terms, with the numbers of the layers that they compare. Raises RecipeError for layers that are not there."""
    if teacher is None:
        return tuple(terms)
    depths = [len(decoder_layers(model)[2]) for model in (student, teacher)]
    return tuple(_matched(term, *depths) if term.layers is not None else term for term in terms)


def _matched(term: Term, student_layers: int, teacher_layers: int) -> Term:
    layers = term.layers
    pairs = layer_map(layers, student_layers, teacher_layers) if isinstance(layers, str) else layers or ()
    wrong = [(s, t) for s, t in pairs if not (0 <= s <= student_layers and 0 <= t <= teacher_layers)]
    if wrong or not pairs:
        raise RecipeError(
            f"objective '{term.name}' cannot compare layers {list(wrong[0]) if wrong else []}; the student has "
            f"{student_layers}, the teacher {teacher_layers}, and 0 is the embedding"
        )
    return replace(term, layers=pairs)


def pairs_of(term: Term) -> LayerMap:
    """The layers of a term that is `matched`; none for one that compares no states."""
    return term.layers if isinstance(term.layers, tuple) else ()


def attach_projectors(terms: Sequence[Term], student: PreTrainedModel, teacher: PreTrainedModel | None) -> None:
    """Give the student a projector for each of its layers that is compared, where the widths differ."""
    if teacher is None:
        return
    mine, theirs = (model.config.get_text_config().hidden_size for model in (student, teacher))
    compared = [(term.name, pair) for term in terms if term.objective in ONE_WIDTH for pair in pairs_of(term)]
    if mine != theirs and compared:
        made = {_name(name, pair): projector(mine, theirs, seed=pair[0]) for name, pair in compared}
        student.add_module(PROJECTORS, nn.ModuleDict(made).to(student.device))


def _name(term: str, pair: tuple[int, int]) -> str:
    return f"{term}-{pair[0]}-{pair[1]}"


def detach_projectors(student: PreTrainedModel) -> None:
    """Take them away again."""
    if PROJECTORS in dict(student.named_children()):
        delattr(student, PROJECTORS)


def rows_and_states(
    model: PreTrainedModel, batch: Batch, layers: Sequence[int]
) -> tuple[Float[Tensor, "N H"], dict[int, Float[Tensor, "N H"]]]:
    """The last hidden states as `hidden_rows` gives them, and those of some layers."""
    blocks = list(decoder_layers(model)[2])
    with recorded(blocks) as seen:
        rows = hidden_rows(model, batch)
    inner = {k: hidden_states(seen[blocks[k - 1]].output) if k else seen[blocks[0]].before for k in layers}
    states = {k: state.flatten(0, 1).index_select(0, batch.rows) for k, state in inner.items()}
    return rows, states | ({len(blocks): rows} if len(blocks) in layers else {})


def feature_values(
    term: Term,
    student: PreTrainedModel,
    states: tuple[States, States],
    chosen: Int[Tensor, "M"],
    segment: Int[Tensor, "M"],
) -> Tensor:
    """The term's values, mean over the matched layers: one a row, or one a sequence."""
    mask = tokens_of(segment)
    projectors = cast(Mapping[str, nn.Module], dict(student.named_children()).get(PROJECTORS, {}))

    def both(pair: tuple[int, int]) -> list[Float[Tensor, "B T _"]]:
        mine, theirs = (of[k][chosen].float() for of, k in zip(states, pair, strict=True))
        name = _name(term.name, pair)
        with torch.autocast(mine.device.type, enabled=False):
            return [_padded(projectors[name](mine) if name in projectors else mine, mask), _padded(theirs, mask)]

    pairs, later = pairs_of(term), "student_later_hidden" in needs(term.objective)
    steps = list(pairwise(pairs)) if later else [(pair, pair) for pair in pairs]
    values = [_value(term, both(pair), both(after), mask) for pair, after in steps]
    return torch.stack(values).mean(dim=0)


def tokens_of(segment: Int[Tensor, "M"]) -> Bool[Tensor, "B T"]:
    """Which tokens there are, sequence by sequence, where `segment` says to which one each row belongs."""
    _, counts = segment.unique_consecutive(return_counts=True)
    return torch.arange(int(counts.max()), device=counts.device) < counts.unsqueeze(-1)


def _value(term: Term, here: list[Tensor], after: list[Tensor], mask: Bool[Tensor, "B T"]) -> Tensor:
    last = mask.sum(1) - 1  # a causal model has seen the whole answer there
    pooled = [state[torch.arange(len(last), device=last.device), last] for state in here]
    given = dict(zip(("student_hidden", "teacher_hidden"), here, strict=True))
    given |= dict(zip(("student_later_hidden", "teacher_later_hidden"), after, strict=True))
    given |= dict(zip(("student_pooled", "teacher_pooled"), pooled, strict=True)) | {"mask": mask}
    value = term.objective(*(given[name] for name in needs(term.objective)), **term.settings)
    return value if is_per_sequence(term.objective) else value[mask]


def _padded(rows: Float[Tensor, "M H"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T H"]:
    return rows.new_zeros(*mask.shape, rows.shape[-1]).masked_scatter(mask.unsqueeze(-1), rows)
