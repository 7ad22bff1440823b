import pytest
import torch

from stillhouse.objectives.slices.head import (
    DenseLogits,
    Head,
    HeadGradient,
    HeadLogits,
    block_rows,
    compute_dtype,
    slice_rows_for,
    spans,
    summed_columns,
)
from tests.objectives.cases import logits

HIDDEN, WEIGHT, BIAS = logits(5, 4, seed=1), logits(9, 4, seed=2), logits(9, seed=3)
HEAD = Head(WEIGHT, BIAS, softcap=3.0, scale=0.5)
DENSE = 3.0 * torch.tanh(0.5 * (HIDDEN @ WEIGHT[:7].T + BIAS[:7]) / 3.0)


def test_logits_slice_by_slice():
    source = HeadLogits(HIDDEN, HEAD, 7, 2, torch.float64)
    for span in spans(5, 2):
        source.open(span)
        torch.testing.assert_close(source.block(slice(0, span.stop - span.start)), DENSE[span])


def test_dense_logits_are_cut_and_widened():
    source = DenseLogits(DENSE.bfloat16(), 6)
    source.open(slice(2, 4))
    assert source.block(slice(0, 2)).shape == (2, 6) and source.block(slice(0, 2)).dtype == torch.float32


def test_gradient_of_weight_and_bias():
    weight, bias = WEIGHT.clone().requires_grad_(), BIAS.clone().requires_grad_()
    upstream, rows = logits(5, 7, seed=4), torch.tensor([1.0, 0.5, 0.0, 2.0, 1.0], dtype=torch.float64)
    logits_ = 3.0 * torch.tanh(0.5 * (HIDDEN @ weight[:7].T + bias[:7]) / 3.0)
    expected = torch.autograd.grad((logits_ * upstream * rows[:, None]).sum(), [weight, bias])
    source = HeadLogits(HIDDEN, HEAD, 7, 5, torch.float64)
    gradient = HeadGradient(HEAD, source, True, True)
    source.open(slice(0, 5))
    slope = source.through(upstream.clone(), source.block(slice(0, 5)))
    gradient.add_bias(slope, rows)
    source.buffer[:5] = slope
    source.fold(rows, None, gradient)
    for found, wanted in zip(gradient.sums(weight, bias), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_weight_gradient_of_bfloat16_is_summed_in_float32():
    hidden, head = torch.ones(512, 1, dtype=torch.bfloat16), Head(torch.ones(1, 1, dtype=torch.bfloat16))
    source = HeadLogits(hidden, head, 1, 1, torch.bfloat16)
    gradient = HeadGradient(head, source, True, False)
    for span in spans(512, 1):
        source.open(span)
        source.buffer.fill_(1.0)
        source.fold(torch.ones(1), None, gradient)
    assert float(gradient.weight[0, 0]) == 512.0  # a bfloat16 sum stops at 256


def test_narrowing_in_place_is_a_cast():
    slopes = logits(2, 3, 1500, seed=5, dtype=torch.bfloat16)
    states = logits(2, 3, 1000, seed=6, dtype=torch.bfloat16)
    weight = torch.zeros(1500, 1000, dtype=torch.bfloat16)
    gradient = HeadGradient(
        Head(weight), HeadLogits(states.flatten(0, 1), Head(weight), 1500, 3, torch.bfloat16), True, False
    )
    for slope, state in zip(slopes, states, strict=True):
        gradient.add_weight(slope, state)
    narrow, _ = gradient.sums(weight, None)
    wide = sum((slope.T @ state).float() for slope, state in zip(slopes, states, strict=True))
    assert narrow.dtype == torch.bfloat16 and torch.equal(narrow, wide.bfloat16())


@pytest.mark.parametrize("slice_rows", [1, 5])
def test_no_gradient_outside_a_vocabulary_that_is_cut(slice_rows: int):
    source = HeadLogits(HIDDEN, HEAD, 7, slice_rows, torch.float64)
    gradient = HeadGradient(HEAD, source, True, False)
    gradient.add_weight(DENSE, HIDDEN)
    found, _ = gradient.sums(WEIGHT, None)
    torch.testing.assert_close(found[:7], DENSE.T @ HIDDEN)
    assert not found[7:].any()


def test_no_rows_no_gradient():
    gradient = HeadGradient(HEAD, HeadLogits(HIDDEN[:0], HEAD, 9, 4, torch.float64), True, True)
    assert not any(found.any() for found in gradient.sums(WEIGHT, BIAS))


def test_compute_dtype():
    half, full = torch.zeros(1, dtype=torch.bfloat16), torch.zeros(1)
    assert compute_dtype(half, half) == torch.bfloat16
    assert compute_dtype(half, full) == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert compute_dtype(full, full) == torch.bfloat16


@pytest.mark.parametrize("vocabulary", [11, 49_152, 262_144])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_slices_cover_all_rows_and_are_alike(vocabulary: int, dtype: torch.dtype):
    cpu = torch.device("cpu")
    for rows in (1, 200, 430, 1000, 20_000):
        size = slice_rows_for(rows, vocabulary, dtype, cpu)
        lengths = [s.stop - s.start for s in spans(rows, size)]
        assert sum(lengths) == rows and size <= 1536
        assert size == rows or (size >= 192 and size % 32 == 0 and lengths[-1] > size - 32 * len(lengths))
    assert block_rows(vocabulary, cpu, 512) >= 1


def test_a_single_slice_where_sums_over_slices_would_take_as_much_memory():
    shape = (49_152, torch.bfloat16, torch.device("cpu"))
    assert slice_rows_for(900, *shape, summed=576) == 900
    assert slice_rows_for(1000, *shape, summed=576) == slice_rows_for(1000, *shape) == 352
    half = Head(torch.randn(9, 4).bfloat16().requires_grad_())
    assert summed_columns(half) == 4 and summed_columns(Head(half.weight.detach())) == 0
    assert summed_columns(Head(torch.randn(9, 4).requires_grad_())) == 0


def test_spans():
    assert [s.stop - s.start for s in spans(5, 2)] == [2, 2, 1]
