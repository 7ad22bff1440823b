import math

import numpy as np
import pytest
import torch

from stillhouse.objectives import OBJECTIVES, needs
from stillhouse.objectives.preference import cpo, dpkd, dpo, ipo, simpo

STUDENT = torch.tensor([-9.0, -12.0]).double(), torch.tensor([-11.0, -10.5]).double()
OTHER = torch.tensor([-8.0, -12.5]).double(), torch.tensor([-15.0, -9.0]).double()
LENGTHS = torch.tensor([4, 6]), torch.tensor([5, 3])
GIVEN = dict(
    zip(
        ["student_chosen_logp", "student_rejected_logp", "chosen_length", "rejected_length"],
        [*STUDENT, *LENGTHS],
        strict=True,
    )
) | {
    f"{who}_{which}_logp": OTHER[i]
    for who in ("teacher", "reference")
    for i, which in enumerate(["chosen", "rejected"])
}
PREFERENCE = ["dpkd", "dpo", "ipo", "cpo", "simpo"]


def run(name, given=None, **settings):
    return OBJECTIVES[name](*[(GIVEN | (given or {}))[need] for need in needs(OBJECTIVES[name])], **settings)


def log_sigmoid(x):
    return -np.logaddexp(0.0, -x)


def numbers():
    return [t.numpy().astype(np.float64) for t in (*STUDENT, *OTHER, *LENGTHS)]


def test_oracles():
    qw, ql, pw, pl, nw, nl = numbers()
    ratio = (qw - ql) - (pw - pl)
    mean_ratio = (qw - pw) / nw - (ql - pl) / nl
    margin = 2.0 * (qw / nw - ql / nl) - 0.5
    cases = [
        (run("dpkd"), -log_sigmoid(0.1 * mean_ratio)),
        (run("dpkd", beta=0.7, length_normalised=False), -log_sigmoid(0.7 * ratio)),
        (run("dpo", beta=0.3), -log_sigmoid(0.3 * ratio)),
        (run("dpo", label_smoothing=0.2), -0.8 * log_sigmoid(0.1 * ratio) - 0.2 * log_sigmoid(-0.1 * ratio)),
        (run("ipo", tau=0.2), (ratio - 2.5) ** 2),
        (run("ipo", length_normalised=True), (mean_ratio - 5.0) ** 2),
        (run("cpo"), -log_sigmoid(0.1 * (qw - ql)) - qw / nw),
        (run("cpo", nll="sum", nll_weight=0.5), -log_sigmoid(0.1 * (qw - ql)) - 0.5 * qw),
        (run("simpo"), -log_sigmoid(margin)),
        (run("simpo", label_smoothing=0.1), -0.9 * log_sigmoid(margin) - 0.1 * log_sigmoid(-margin)),
    ]
    for value, oracle in cases:
        torch.testing.assert_close(value, torch.from_numpy(oracle))


@pytest.mark.parametrize("name", PREFERENCE)
def test_shape_dtype_and_gradient(name):
    narrow = {k: v.bfloat16() if v.is_floating_point() else v for k, v in GIVEN.items()}
    value = run(name, narrow)
    assert value.shape == (2,) and value.dtype == torch.float32
    wanted = needs(OBJECTIVES[name])
    tensors = [GIVEN[n].clone().requires_grad_(GIVEN[n].is_floating_point()) for n in wanted]
    assert torch.autograd.gradcheck(OBJECTIVES[name], tensors)


def slopes(value, *tensors):
    return torch.autograd.grad(value.sum(), tensors)


def test_dpkd_at_the_teacher_is_log_two_with_half_the_slope():
    chosen, rejected = (t.clone().requires_grad_() for t in STUDENT)
    value = dpkd(chosen, rejected, chosen.detach(), rejected.detach(), *LENGTHS, beta=0.4)
    torch.testing.assert_close(value.detach(), torch.full((2,), math.log(2.0), dtype=torch.float64))
    up, down = slopes(value, chosen, rejected)
    torch.testing.assert_close(up, -0.2 / LENGTHS[0].double())
    torch.testing.assert_close(down, 0.2 / LENGTHS[1].double())


def test_dpkd_of_an_answer_against_itself_is_log_two_without_slope():
    logp = STUDENT[0].clone().requires_grad_()
    value = dpkd(logp, logp, OTHER[0], OTHER[0], LENGTHS[0], LENGTHS[0])
    torch.testing.assert_close(value.detach(), torch.full((2,), math.log(2.0), dtype=torch.float64))
    assert (slopes(value, logp)[0] == 0).all()


def test_dpkd_with_equal_lengths_is_equation_8_at_a_smaller_beta():
    seven = torch.tensor([7, 7])
    with_lengths = dpkd(*STUDENT, *OTHER, seven, seven, beta=0.7)
    torch.testing.assert_close(with_lengths, dpkd(*STUDENT, *OTHER, seven, seven, beta=0.1, length_normalised=False))


def test_dpkd_without_lengths_is_dpo_with_the_teacher_as_reference():
    torch.testing.assert_close(dpkd(*STUDENT, *OTHER, *LENGTHS, length_normalised=False), dpo(*STUDENT, *OTHER))


def test_dpkd_swapped_differs_by_the_margin():
    margin = (STUDENT[0] - OTHER[0]) / LENGTHS[0] - (STUDENT[1] - OTHER[1]) / LENGTHS[1]
    forth = dpkd(*STUDENT, *OTHER, *LENGTHS, beta=0.9)
    back = dpkd(*STUDENT[::-1], *OTHER[::-1], *LENGTHS[::-1], beta=0.9)
    torch.testing.assert_close(forth - back, -0.9 * margin)


def test_dpkd_slope_is_weighted_by_how_wrong_the_reward_is():
    chosen = STUDENT[0].clone().requires_grad_()
    margin = 0.9 * ((STUDENT[0] - OTHER[0]) / LENGTHS[0] - (STUDENT[1] - OTHER[1]) / LENGTHS[1])
    (slope,) = slopes(dpkd(chosen, STUDENT[1], *OTHER, *LENGTHS, beta=0.9), chosen)
    torch.testing.assert_close(slope, -0.9 * torch.sigmoid(-margin) / LENGTHS[0])


def test_dpo_sees_only_the_difference_of_the_reference():
    torch.testing.assert_close(dpo(*STUDENT, *(r + 5.0 for r in OTHER)), dpo(*STUDENT, *OTHER))


def test_ipo_is_zero_at_its_optimum():
    value = ipo(OTHER[0] + 5.0, OTHER[1], *OTHER, *LENGTHS, tau=0.1)
    torch.testing.assert_close(value, torch.zeros(2, dtype=torch.float64))


def test_simpo_without_gamma_and_with_equal_lengths_is_cpo_preference():
    five = torch.tensor([5, 5])
    torch.testing.assert_close(
        simpo(*STUDENT, five, five, beta=0.5, gamma=0.0), cpo(*STUDENT, five, beta=0.1, nll_weight=0.0)
    )
    equal = torch.tensor([-5.0, -5.0])
    torch.testing.assert_close(simpo(equal, equal, five, five, gamma=0.5), torch.full((2,), math.log1p(math.exp(0.5))))
