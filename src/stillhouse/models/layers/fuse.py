"""Compiled rows in a model's layers for as long as a `with` block lasts."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from stillhouse.models.layers.fit import epsilon, is_gated_mlp, is_rms_norm, norms_before_linears
from stillhouse.models.layers.gated import computed_again, gated
from stillhouse.models.layers.native import available, takes
from stillhouse.models.layers.norm import rms_norm


@contextmanager
def fused_layers(model: PreTrainedModel) -> Iterator[None]:
    """For a while, the norms and gated MLPs of a model on a CPU run as compiled rows, where there is a compiler.

    They are as they were in names, weights and numbers; only a norm before linear layers rounds, under autocast, what
    those would round. A copy made meanwhile stays fused, with weights of its own.
    """
    fused = _fused(model) if model.device.type == "cpu" and available() else {}
    before = {module: module.__class__ for module in fused}
    try:
        for module, made in fused.items():
            module.__class__ = made  # not its `forward`: a copy of the module would call that of the original
        yield
    finally:
        for module, own in before.items():
            module.__class__ = own


class _Norm(nn.Module):
    weight: nn.Parameter
    before_linears = False

    def forward(self, hidden_states: Float[Tensor, "*N H"]) -> Float[Tensor, "*N H"]:
        eps = epsilon(self)
        if eps is None or not takes(hidden_states, self.weight):
            return super().forward(hidden_states)
        dtype = torch.promote_types(hidden_states.dtype, self.weight.dtype)
        return rms_norm(hidden_states, self.weight, eps, torch.bfloat16 if self._rounds() else dtype)

    def _rounds(self) -> bool:
        within = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        return self.before_linears and within


class _NormBeforeLinears(_Norm):
    before_linears = True


class _GatedMlp(nn.Module):
    gate_proj: nn.Module
    up_proj: nn.Module
    down_proj: nn.Module
    act_fn: nn.Module

    def forward(self, x: Float[Tensor, "*N H"]) -> Float[Tensor, "*N H"]:
        gate, up = self.gate_proj(x), self.up_proj(x)
        if gate.dtype != up.dtype or not takes(gate, up):
            return self.down_proj(self.act_fn(gate) * up)
        y = gated(gate, up)
        with computed_again(y, gate, up):
            return self.down_proj(y)


@torch.no_grad()
def _fused(model: PreTrainedModel) -> dict[nn.Module, type[nn.Module]]:
    """The class that each fitting module is to have."""
    with torch.random.fork_rng(devices=[]), torch.autocast("cpu", enabled=False):
        linears_read = {norm for layer in model.modules() for norm in norms_before_linears(layer)}
        norms = {m: _NormBeforeLinears if m in linears_read else _Norm for m in model.modules() if is_rms_norm(m)}
        kinds = {**norms, **{m: _GatedMlp for m in model.modules() if is_gated_mlp(m)}}
    return {m: _with(kind, type(m)) for m, kind in kinds.items() if not isinstance(m, _Norm | _GatedMlp)}


@lru_cache
def _with(kind: type[nn.Module], own: type[nn.Module]) -> type[nn.Module]:
    """A class with the forward pass of `kind` that is otherwise, and by name, `own`."""
    return type(own.__name__, (kind, own), {})
