"""The compiled rows are the objectives themselves, value and gradient; skipped where there is no C++ compiler."""

import math

import pytest
import torch

from stillhouse.compiled import compiler
from stillhouse.objectives import OBJECTIVES, FromHidden, Head, fused, needs
from stillhouse.objectives.slices import native
from stillhouse.objectives.slices.native import divergence_rows
from stillhouse.objectives.slices.native_forms import form_of
from tests.objectives.cases import PER_TOKEN_CASES, logits

# Not on what was built: a source that does not compile must fail here.
pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")


CASES = [(name, settings) for name, settings in PER_TOKEN_CASES if form_of(OBJECTIVES[name], settings) is not None]


def dense(name, settings, student, teacher):
    """In float64, which the compiled rows are nearer to than the objectives in float32 are."""
    leaf = student.double().requires_grad_()
    given = {"student_logits": leaf, "teacher_logits": teacher.double()}
    values = OBJECTIVES[name](*[given[need] for need in needs(OBJECTIVES[name])], **settings)
    return values.detach().float(), torch.autograd.grad(values.sum(), leaf)[0].float()


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * max(1.0, float(expected.abs().max())))


@pytest.mark.parametrize(("name", "settings"), CASES)
@pytest.mark.parametrize(("rows", "width", "scale"), [(1, 13, 2.0), (40, 2500, 4.0), (3, 16, 30.0)])
def test_float32(name, settings, rows, width, scale):
    student, teacher = (logits(rows, width, seed=seed, scale=scale, dtype=torch.float32) for seed in (1, 2))
    expected, slope = dense(name, settings, student, teacher)
    alone = needs(OBJECTIVES[name]) == ("student_logits",)
    close(divergence_rows(form_of(OBJECTIVES[name], settings), student, None if alone else teacher), expected)
    close(student, slope)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_bfloat16_in_float32_values_out(name, settings):
    student = logits(20, 300, seed=1, dtype=torch.bfloat16)
    distinct = torch.linspace(-8, 8, 300).bfloat16()  # equal ones have no order, which AKL's head depends on
    teacher = torch.stack([distinct.roll(7 * i) for i in range(20)])
    expected, slope = dense(name, settings, student, teacher)
    values = divergence_rows(form_of(OBJECTIVES[name], settings), student, teacher)
    assert values.dtype == torch.float32
    close(values, expected)
    torch.testing.assert_close(student, slope.bfloat16(), rtol=1e-2, atol=1e-7)


def test_equal_logits_have_no_deviation_that_moves_with_them():
    student, teacher = torch.full((1, 40), 0.5), logits(1, 40, seed=2, dtype=torch.float32)
    expected, slope = dense("standardised_kl", {}, student, teacher)
    close(divergence_rows(form_of(OBJECTIVES["standardised_kl"], {}), student, teacher), expected)
    close(student, slope)
    assert float(slope.abs().max()) > 1e5


def test_rows_of_a_larger_tensor_and_many_threads():
    whole = logits(64, 50, seed=1, dtype=torch.float32)
    teacher = logits(64, 50, seed=2, dtype=torch.float32)
    expected, slope = dense("jsd", {}, whole[:, :40], teacher[:, 5:45])
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    values = divergence_rows(form_of(OBJECTIVES["jsd"], {}), whole[:, :40], teacher[:, 5:45])
    torch.set_num_threads(before)
    close(values, expected)
    close(whole[:, :40], slope)


@pytest.mark.parametrize("name", ["forward_kl", "jsd", "akl", "renyi", "standardised_kl", "pt_loss"])
@pytest.mark.parametrize("wrong", [-math.inf, math.nan])
def test_what_is_not_finite_goes_the_plain_way(name, wrong):
    hidden, weight = torch.ones(3, 1, requires_grad=True), logits(13, 1, seed=1, dtype=torch.float32)
    teacher = logits(3, 13, seed=2, dtype=torch.float32)
    teacher[1, 4] = wrong
    loss, rows = fused(
        OBJECTIVES[name], hidden, Head(weight), torch.ones(3), settings={}, given={"teacher_logits": teacher}
    )
    expected = OBJECTIVES[name](hidden @ weight.T, teacher)
    torch.testing.assert_close(rows, expected.detach(), equal_nan=True)
    (gradient,) = torch.autograd.grad(loss, hidden)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected.sum(), hidden)[0], equal_nan=True)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_fused_is_the_same_with_and_without(name, settings, monkeypatch):
    hidden, weight = logits(30, 4, seed=1).float().requires_grad_(), logits(21, 4, seed=2).float().requires_grad_()
    teacher = FromHidden(logits(30, 3, seed=3).float(), Head(logits(19, 3, seed=4).float()))

    def run():
        loss, rows = fused(
            OBJECTIVES[name],
            hidden,
            Head(weight),
            torch.linspace(0, 1, 30),
            settings=settings,
            given={"teacher_logits": teacher},
            slice_rows=8,
        )
        return [loss.detach(), rows, *torch.autograd.grad(loss, [hidden, weight])]

    found = run()
    monkeypatch.setattr(native.ROWS, "_library", None)
    for mine, plain in zip(found, run(), strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-5, atol=1e-5 * max(1.0, float(plain.abs().max())))
