"""silu(gate) up, compiled, is torch's, value and gradients; skipped where there is no C++ compiler."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from stillhouse.compiled import compiler
from stillhouse.models.layers.gated import computed_again, gated
from tests.models.layers.test_norm import SHAPES, normal, slopes

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")


def plain(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    return nn.functional.silu(gate) * up


def pair(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    return (normal(*shape) * 4).requires_grad_(), normal(*shape, seed=1).requires_grad_()


@pytest.mark.parametrize("shape", SHAPES)
def test_float32(shape):
    gate, up = pair(*shape)
    torch.testing.assert_close(
        slopes(gated(gate, up), gate, up), slopes(plain(gate, up), gate, up), rtol=2e-6, atol=2e-6
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_bfloat16_is_rounded_once(shape):
    gate, up = (t.detach().bfloat16().requires_grad_() for t in pair(*shape))
    found, wide = slopes(gated(gate, up), gate, up), slopes(plain(gate.float(), up.float()).bfloat16(), gate, up)
    for mine, expected in zip(found, wide, strict=True):
        assert mine.dtype == torch.bfloat16
        torch.testing.assert_close(mine, expected, rtol=8e-3, atol=1e-6)  # half of it: a unit in the last place


def test_far_from_zero():
    gate = torch.tensor([-1e4, -200.0, -89.0, -40.0, 40.0, 200.0, 1e4, torch.inf, torch.nan]).requires_grad_()
    up = torch.full_like(gate, 0.5).requires_grad_()
    found, expected = slopes(gated(gate, up), gate, up), slopes(plain(gate, up), gate, up)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine[:-2], theirs[:-2], rtol=2e-6, atol=1e-30)
    torch.testing.assert_close(found[0], expected[0], equal_nan=True)
    assert found[1][-1].isnan()


def test_what_is_not_contiguous():
    gate, up = pair(6, 8)
    torch.testing.assert_close(
        slopes(gated(gate.T, up.T), gate, up), slopes(plain(gate.T, up.T), gate, up), rtol=2e-6, atol=2e-6
    )


def test_keeps_gate_and_up_alone():
    (gate, up), kept = pair(8, 64), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        gated(gate, up)
    assert [t.data_ptr() for t in kept] == [gate.data_ptr(), up.data_ptr()]


@pytest.mark.parametrize("again", [True, False])
def test_what_goes_into_a_linear_layer_is_computed_again(again):
    (gate, up), down = pair(2, 8, 64), nn.Linear(64, 16)

    def run(anew: bool) -> tuple[torch.Tensor, ...]:
        y = gated(gate, up)
        with computed_again(y, gate, up) if anew else nullcontext():
            out = down(y)
        found = torch.autograd.grad(out.pow(2).sum(), [gate, up, down.weight], create_graph=again)
        return torch.autograd.grad(found[0].pow(2).sum(), [gate, up, down.weight]) if again else found

    for mine, plainly in zip(run(True), run(False), strict=True):
        assert torch.equal(mine, plainly)
    y = gated(gate, up)
    keep = computed_again(y, gate, up).pack_hook
    assert keep(y) == y.shape and keep(y.view(16, 64)) == (16, 64)
    assert all(keep(other) is other for other in (gate, up, down.weight, y.mT, y[:1], y.view(torch.int32)))


def test_gradients_of_gradients():
    gate, up = pair(5, 12)

    def twice(y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        slope = torch.autograd.grad(y.pow(2).sum(), gate, create_graph=True)[0]
        return torch.autograd.grad(slope.pow(2).sum(), [gate, up])

    torch.testing.assert_close(twice(gated(gate, up)), twice(plain(gate, up)))
