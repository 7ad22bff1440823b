"""Closed-form repair of a student made of some of its teacher's layers: no gradients, one pass over some text.

Where layers were taken out, the next one gets hidden states that it never saw. So the last projection of each kept
layer is fitted anew, from the bottom up: by least squares, such that the student's hidden state behind it comes as near
as it can to the one that the teacher has before the next kept layer. Related: ReplaceMe (arXiv 2505.02819), which fits
one linear map for a run of removed layers, and for it alone.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from stillhouse.errors import ModelError
from stillhouse.models.collate import Batch
from stillhouse.models.depth import decoder_layers
from stillhouse.models.forward import attention, hidden_of, implementation, packable
from stillhouse.models.importance import Call, hidden_states, recorded
from stillhouse.models.load import LanguageModel
from stillhouse.models.tokenise import Encoded
from stillhouse.progress import Advance

RIDGE = 0.3
"""Pull towards the weights as they are, in units of the mean squared input of the projection."""

Keep = Callable[[Sequence[Encoded], Tensor], None]


@torch.no_grad()
def refit(
    teacher: LanguageModel,
    student: LanguageModel,
    layers: Sequence[int],
    rows: Sequence[Encoded],
    *,
    ridge: float = RIDGE,
    micro_tokens: int = 2048,
    advance: Advance = lambda done, words: None,
    keep: Keep = lambda sequences, states: None,
) -> dict[str, Tensor]:
    """Fit the last projections of the student's layers in place; returns the new weights by their names in the student.

    With m the input of the projection, d what is missing from the hidden state behind it to the teacher's h, and
    s = 1 / |h| (the next norm makes lengths alike), each projection gains
    argmin_D sum s^2 |d - D m|^2 + ridge * mean(s^2 m^2) * tokens * |D|^2.

    Args:
        layers: the teacher's layers that the student has, counted from 0.
        rows: sequences of which every token counts.
        advance: is told the number of layers done, and the share of the squared error that is left.
        keep: is given the teacher's last hidden states of some rows, at the positions that count, one row after the
            other: whoever needs them later is spared a pass.

    Raises:
        ModelError: a layer does not simply add its last projection to the hidden state.
    """
    blocks = list(decoder_layers(teacher.model)[2])
    pairs = list(zip(layers, [*layers[1:], len(blocks)], strict=True))
    intact = next((n for n, pair in enumerate(pairs) if pair != (n, n + 1)), None)
    if intact is None:
        return {}
    states, calls = list[Tensor](), list[list[_Call]]()
    with recorded(blocks) as seen:
        for indices, batch, hidden in hidden_of(teacher.model, rows, micro_tokens=micro_tokens):
            keep([rows[i] for i in indices], hidden)
            states.append(seen[blocks[intact]].before)
            calls.append([_call(seen, blocks[a], blocks[b - 1], batch) for a, b in pairs[intact:]])
    names = {module: name for name, module in student.model.named_modules()}
    fitted: dict[str, Tensor] = {}
    with attention(student.model, implementation(student.model, packed=packable(teacher.model))):
        own = list(decoder_layers(student.model)[2])[intact:]
        last = _last_projection(own[0], states[0], calls[0][0])
        for n, layer in enumerate(own):
            states, left = _fit(layer, last, states, [each[n] for each in calls], ridge)
            projection = layer.get_submodule(last)
            fitted[f"{names[projection]}.weight"] = cast(Tensor, projection.weight)
            advance(intact + n + 1, f"{left:.0%} of the last one's error left")
    return fitted


@dataclass(frozen=True, slots=True)
class _Call:
    """How the teacher called a layer, and the hidden states it had before the next one that the student has."""

    settings: dict[str, Any]
    real: Tensor | None
    target: Float[Tensor, "N H"]
    weight: Float[Tensor, "N"]


def _call(seen: Mapping[nn.Module, Call], layer: nn.Module, end: nn.Module, batch: Batch) -> _Call:
    real, target = batch.attention_mask, _rows(hidden_states(seen[end].output), batch.attention_mask)
    return _Call(seen[layer].settings, real, target, batch.times.sqrt())


def _fit(
    layer: nn.Module, name: str, states: Sequence[Tensor], calls: Sequence[_Call], ridge: float
) -> tuple[list[Tensor], float]:
    """Fits one layer's projection `name`; returns the hidden states behind it, and the share of the error left."""
    working = copy.deepcopy(layer).to(states[0].dtype)
    projection = working.get_submodule(name)
    inputs, outputs, gram, cross, before = [], [], 0.0, 0.0, 0.0
    for state, call in zip(states, calls, strict=True):
        with _input_of(projection) as given:
            output = hidden_states(working(state, **call.settings))
        target, m = call.target.float(), _rows(given[0], call.real)
        scale = call.weight.unsqueeze(-1) / target.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        missing = (target - _rows(output, call.real).float()) * scale
        scaled = m * scale.to(m.dtype)
        gram = gram + (scaled.T @ scaled).float()
        cross = cross + (scaled.T @ missing.to(m.dtype)).float()
        before += float(missing.square().sum())
        inputs.append(given[0])
        outputs.append(output)
    assert isinstance(gram, Tensor) and isinstance(cross, Tensor)  # there is a row
    pull = ridge * float(gram.diagonal().mean())
    gain = torch.linalg.solve(gram + pull * torch.eye(len(gram), device=gram.device), cross)
    after = before - float((2 * cross * gain).sum() - (gain * (gram @ gain)).sum())
    _add(layer.get_submodule(name), gain)
    behind = [o + (m @ gain.to(m.dtype)) for o, m in zip(outputs, inputs, strict=True)]
    return behind, max(after, 0.0) / max(before, 1e-12)


def _rows(states: Float[Tensor, "R T _"], real: Tensor | None) -> Float[Tensor, "N _"]:
    """The real tokens' states; a packed batch has no others."""
    return states.flatten(0, 1) if real is None else states[real]


def _add(projection: nn.Module, gain: Float[Tensor, "M H"]) -> None:
    weight = cast(Tensor, projection.weight)
    weight += (gain if isinstance(projection, Conv1D) else gain.T).to(weight.dtype)


@contextmanager
def _input_of(module: nn.Module) -> Iterator[list[Tensor]]:
    """The input of the module's last call, in a list of one."""
    given: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, args: given.__setitem__(slice(None), [args[0]]))
    try:
        yield given
    finally:
        handle.remove()


def _last_projection(layer: nn.Module, state: Tensor, call: _Call) -> str:
    """The name of the linear map whose output the layer adds last to the hidden state; checked by leaving it out."""
    working, order, added = copy.deepcopy(layer).to(state.dtype), list[str](), list[Tensor]()
    maps = {name: m for name, m in working.named_modules() if isinstance(m, nn.Linear | Conv1D)}
    for name, each in maps.items():
        each.register_forward_hook(lambda *_, name=name: order.append(name))

    def leave_out(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        added.append(output.float().flatten())
        return torch.zeros_like(output)

    whole = hidden_states(working(state, **call.settings)).float().flatten()
    last = order[-1]
    maps[last].register_forward_hook(leave_out)
    rest = hidden_states(working(state, **call.settings)).float().flatten()
    if len(whole) != len(added[-1]) or (whole - rest - added[-1]).norm() > 0.05 * added[-1].norm():
        raise ModelError(
            f"a {type(layer).__name__} does not simply add its '{last}' to the hidden state, so its student cannot be "
            "repaired in closed form; set student.refit_tokens = 0."
        )
    return last
