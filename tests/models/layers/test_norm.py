"""The compiled norm is the models' own, value and gradients; skipped where there is no C++ compiler."""

import pytest
import torch
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from stillhouse.compiled import compiler
from stillhouse.models.layers.norm import rms_norm

# Not on what was built: a source that does not compile must fail here.
pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")

SHAPES = [(1, 1), (3, 13), (2, 5, 64), (4, 2, 3, 37), (0, 8), (300, 576)]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def own(width: int, dtype: torch.dtype = torch.float32) -> LlamaRMSNorm:
    norm = LlamaRMSNorm(width, eps=1e-5)
    norm.weight = nn.Parameter((1 + normal(width, seed=1)).to(dtype))
    return norm


def slopes(y: torch.Tensor, *inputs: torch.Tensor) -> list[torch.Tensor]:
    return [y.detach(), *torch.autograd.grad(y, inputs, normal(*y.shape, seed=2).to(y.dtype))]


@pytest.mark.parametrize("shape", SHAPES)
def test_float32(shape):
    norm, x = own(shape[-1]), (normal(*shape) * 3).requires_grad_()
    expected = slopes(norm(x), x, norm.weight)
    for mine, plain in zip(slopes(rms_norm(x, norm.weight, 1e-5, x.dtype), x, norm.weight), expected, strict=True):
        torch.testing.assert_close(mine, plain, rtol=2e-6, atol=1e-5)


@pytest.mark.parametrize("weights", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
def test_bfloat16_in_is_computed_in_float32(shape, weights):
    norm, x = own(shape[-1], weights), (normal(*shape) * 3).bfloat16().requires_grad_()
    y = rms_norm(x, norm.weight, 1e-5, weights)
    wide = own(shape[-1], weights).float()
    expected = slopes(wide(x.float()).to(weights), x, wide.weight)
    assert y.dtype == norm(x).dtype
    for mine, plain in zip(slopes(y, x, norm.weight), expected, strict=True):
        torch.testing.assert_close(mine, plain.to(mine.dtype), rtol=8e-3, atol=1e-5)


def test_float32_in_bfloat16_out_is_rounded_once():
    norm, x = own(37), normal(9, 37).requires_grad_()
    y = rms_norm(x, norm.weight, 1e-5, torch.bfloat16)
    torch.testing.assert_close(y, norm(x).bfloat16(), rtol=0, atol=0)
    (of_x,) = torch.autograd.grad(y, x, normal(9, 37, seed=2).bfloat16())
    (expected,) = torch.autograd.grad(norm(x).bfloat16(), x, normal(9, 37, seed=2).bfloat16())
    torch.testing.assert_close(of_x, expected, rtol=1e-5, atol=1e-6)


def test_what_is_not_contiguous():
    norm, x = own(6), normal(6, 8).requires_grad_()
    y = rms_norm(x.T, norm.weight, 1e-5, torch.float32)
    torch.testing.assert_close(y, norm(x.T))
    of_y = normal(6, seed=3)  # for all rows: expanded
    expected = torch.autograd.grad(norm(x.T), [x, norm.weight], of_y.expand(8, 6))
    torch.testing.assert_close(torch.autograd.grad(y, [x, norm.weight], of_y.expand(8, 6)), expected)


def test_many_threads_give_the_same_each_time():
    norm, x = own(576), normal(200, 576).requires_grad_()
    expected = slopes(norm(x), x, norm.weight)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    first, second = (slopes(rms_norm(x, norm.weight, 1e-5, x.dtype), x, norm.weight) for _ in range(2))
    torch.set_num_threads(before)
    for one, other, plain in zip(first, second, expected, strict=True):
        assert torch.equal(one, other)
        torch.testing.assert_close(one, plain, rtol=1e-5, atol=1e-5)


def test_a_frozen_weight_gets_no_gradient():
    norm, x = own(16), normal(4, 16).requires_grad_()
    norm.requires_grad_(False)
    rms_norm(x, norm.weight, 1e-5, x.dtype).sum().backward()
    assert norm.weight.grad is None
    assert x.grad is not None


def test_keeps_the_input_and_a_number_a_row():
    norm, x, kept = own(64), normal(8, 64).requires_grad_(), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        rms_norm(x, norm.weight, 1e-5, torch.bfloat16)
    assert [t.data_ptr() for t in kept[:2]] == [x.data_ptr(), norm.weight.data_ptr()]
    assert [t.numel() for t in kept[2:]] == [8]


def test_what_is_not_finite_stays_in_its_row():
    norm, x = own(16), normal(3, 16)
    x[1, 5] = torch.nan
    assert rms_norm(x, norm.weight, 1e-5, torch.bfloat16).isnan().all(-1).tolist() == [False, True, False]


def test_gradients_of_gradients():
    norm, x = own(12), normal(5, 12).requires_grad_()

    def twice(y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        slope = torch.autograd.grad(y.pow(2).sum(), x, create_graph=True)[0]
        return torch.autograd.grad(slope.pow(2).sum(), [x, norm.weight])

    torch.testing.assert_close(twice(rms_norm(x, norm.weight, 1e-5, x.dtype)), twice(norm(x)), rtol=1e-4, atol=1e-4)
