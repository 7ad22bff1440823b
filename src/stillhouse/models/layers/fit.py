"""What a module is, proved by trying it: names say where to look, and random numbers whether it is so."""

import copy
from collections.abc import Callable, Iterator
from inspect import signature

import torch
from torch import Tensor, nn

from stillhouse.models.layers.norm import plain_rms_norm

_MISFITS = (AttributeError, KeyError, RuntimeError, TypeError, ValueError)
"""What a module raises that is called in another way than the one looked for."""


def epsilon(norm: nn.Module) -> float | None:
    """What a norm adds to the mean square, under either of its usual names."""
    return getattr(norm, "variance_epsilon", getattr(norm, "eps", None))


def is_rms_norm(module: nn.Module) -> bool:
    """Whether a module is RMSNorm and has nothing but a weight: not Gemma's (1 + weight), no LayerNorm."""
    weight, eps = getattr(module, "weight", None), epsilon(module)
    alone = [name for name, _ in module.named_parameters()] == ["weight"] and not any(True for _ in module.buffers())
    if not (isinstance(weight, Tensor) and isinstance(eps, float) and alone and weight.dim() == 1 and _unary(module)):
        return False
    own, x = _random(len(weight)), _random(2, 3, len(weight)) * 3
    norm = _altered(module, weight=nn.Parameter(own))
    return _holds(lambda: all(_equal(norm.forward(t), plain_rms_norm(t, own, eps)) for t in (x, x.bfloat16())))


def is_gated_mlp(module: nn.Module) -> bool:
    """Whether a module is down(silu(gate(x)) up(x)), whatever its three projections are."""
    names = {name for name, _ in module.named_children()}
    if not ({"gate_proj", "up_proj", "down_proj", "act_fn"} <= names and _unary(module)):
        return False
    x, gate, up = _random(2, 5), _random(2, 5) * 10, _random(2, 5)
    gates, ups = _StandIn(gate), _StandIn(up)
    mlp = _altered(module, gate_proj=gates, up_proj=ups, down_proj=nn.Identity())
    right = nn.functional.silu(gate) * up
    return _holds(lambda: _equal(mlp.forward(x), right) and gates.saw_only(x) and ups.saw_only(x))


def norms_before_linears(layer: nn.Module) -> Iterator[nn.Module]:
    """The norms of a decoder layer that only linear layers read, which under autocast round what they are given."""
    parts = dict(layer.named_children())
    if not {"input_layernorm", "self_attn", "post_attention_layernorm", "mlp"} <= parts.keys():
        return
    if not _holds(lambda: _reads_norms_through_parts(layer)):
        return
    if _linear(parts["self_attn"], "q_proj", "k_proj", "v_proj"):
        yield parts["input_layernorm"]
    if is_gated_mlp(parts["mlp"]) and _linear(parts["mlp"], "gate_proj", "up_proj"):
        yield parts["post_attention_layernorm"]


def _reads_norms_through_parts(layer: nn.Module) -> bool:
    """Whether each norm goes to attention and MLP alone: nothing else shows that the norms have put out NaN."""
    x, first, second = _random(1, 2, 8), torch.full((1, 2, 8), torch.nan), torch.full((1, 2, 8), torch.nan)
    attention, mlp = _StandIn((_random(1, 2, 8), None)), _StandIn(_random(1, 2, 8))
    norms = {"input_layernorm": _StandIn(first), "post_attention_layernorm": _StandIn(second)}
    out = _altered(layer, self_attn=attention, mlp=mlp, **norms).forward(x)
    out = out[0] if isinstance(out, tuple) else out
    return bool(out.isfinite().all()) and attention.saw_only(first) and mlp.saw_only(second)


def _unary(module: nn.Module) -> bool:
    """Whether a module is called with one thing only; some norms take a gate, too."""
    return len(signature(module.forward).parameters) == 1


def _linear(module: nn.Module, *names: str) -> bool:
    return all(type(getattr(module, name, None)) is nn.Linear for name in names)


class _StandIn(nn.Module):
    """Puts out what it was given at first, and keeps the tensors that it is called with."""

    def __init__(self, out: object) -> None:
        super().__init__()
        self.out = out
        self.seen: list[Tensor] = []

    def forward(self, *given: object, **named: object) -> object:
        self.seen += [value for value in (*given, *named.values()) if isinstance(value, Tensor)]
        return self.out

    def saw_only(self, x: Tensor) -> bool:
        return len(self.seen) == 1 and self.seen[0] is x


def _altered(module: nn.Module, **parts: nn.Module | nn.Parameter) -> nn.Module:
    """A shallow copy in evaluation with other parts; the module itself stays as it is."""
    other = copy.copy(module)
    other._modules, other._parameters, other.training = dict(module._modules), dict(module._parameters), False
    for name, part in parts.items():
        setattr(other, name, part)
    return other


def _random(*shape: int) -> Tensor:
    """Normal numbers, the same for a shape each time, that leave the global random state alone."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def _equal(found: Tensor, expected: Tensor) -> bool:
    return found.dtype == expected.dtype and torch.allclose(found, expected, rtol=1e-5, atol=1e-6)


def _holds(claim: Callable[[], bool]) -> bool:
    try:
        return claim()
    except _MISFITS:
        return False
