import math

import torch

from stillhouse.objectives.distributions import (
    cross_entropy,
    jensen_shannon,
    kl,
    log_mixture,
    log_probs,
    log_ratio,
    log_rest,
    log_sum,
    of_token,
    widen,
)


def test_widen_keeps_float64_and_lifts_the_rest():
    assert widen(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64
    assert widen(torch.zeros(1, dtype=torch.float16)).dtype == torch.float32


def test_log_probs_by_hand():
    value = log_probs(torch.tensor([2 * math.log(3.0), 0.0, -math.inf]), temperature=2.0)
    torch.testing.assert_close(value, torch.tensor([math.log(0.75), math.log(0.25), -math.inf]))


def test_kl_drops_a_token_that_either_side_rules_out():
    a, b = torch.tensor([0.5, 0.5, 0.0]).log(), torch.tensor([0.25, 0.0, 0.75]).log()
    torch.testing.assert_close(kl(a, b), torch.tensor(0.5 * math.log(2.0)))


def test_log_mixture_of_impossible_tokens():
    a, b = torch.tensor([1.0, 0.0, 0.0]).log(), torch.tensor([0.5, 0.5, 0.0]).log()
    torch.testing.assert_close(log_mixture(a, b, 0.2).exp(), torch.tensor([0.6, 0.4, 0.0]))


def test_log_sum_of_nothing_is_safe():
    log_p = torch.tensor([[0.25, 0.5], [0.0, 0.0]]).log().requires_grad_()
    value = log_sum(log_p)
    torch.testing.assert_close(value, torch.tensor([0.75, 0.0]).log())
    (slope,) = torch.autograd.grad(value[0] + torch.where(value[1].isneginf(), 0.0, value[1]), log_p)
    torch.testing.assert_close(slope, torch.tensor([[1 / 3, 2 / 3], [0.0, 0.0]]))


def test_log_rest_by_hand():
    log_p = torch.tensor([[0.25, 0.5, 0.25], [1.0, 0.0, 0.0]]).log()
    torch.testing.assert_close(log_rest(log_p, torch.tensor([1, 0])), torch.tensor([0.5, 0.0]).log())
    tiny = log_probs(torch.tensor([[50.0, 0.0]]))
    torch.testing.assert_close(log_rest(tiny, torch.tensor([0])), torch.tensor([-50.0]))


def test_cross_entropy_leaves_out_what_the_second_rules_out():
    a, b = torch.tensor([0.5, 0.25, 0.25]).log(), torch.tensor([0.25, 0.75, 0.0]).log()
    torch.testing.assert_close(cross_entropy(a, b), torch.tensor(0.5 * math.log(4.0) - 0.25 * math.log(0.75)))
    torch.testing.assert_close(cross_entropy(a, b) - cross_entropy(a, a) + 0.25 * math.log(4.0), kl(a, b))


def test_jensen_shannon_by_hand_and_at_its_ends():
    a, b = torch.tensor([0.5, 0.5]).log(), torch.tensor([1.0, 0.0]).log()
    m = torch.tensor([0.9, 0.1])
    expected = 0.2 * (0.5 * torch.log(0.5 / m)).sum() - 0.8 * torch.log(m[0])
    torch.testing.assert_close(jensen_shannon(a, b, 0.2), expected)
    assert torch.equal(jensen_shannon(a, b, 0.0), kl(a, b)) and torch.equal(jensen_shannon(a, b, 1.0), kl(b, a))


def test_log_mixture_with_a_share_for_each_row():
    a, b = (log_probs(torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(seed))) for seed in (1, 2))
    share = torch.tensor([0.3, 0.7]).view(2, 1, 1)
    expected = torch.stack([log_mixture(a[0], b[0], 0.3), log_mixture(a[1], b[1], 0.7)])
    torch.testing.assert_close(log_mixture(a, b, share), expected)
    ends = log_mixture(a, b, torch.tensor([0.0, 1.0]).view(2, 1, 1))
    torch.testing.assert_close(ends, torch.stack([b[0], a[1]]))


def test_log_ratio_holds_the_reference_and_widens():
    q, reference = (torch.tensor([-1.5, -2.0], dtype=torch.bfloat16, requires_grad=True) for _ in range(2))
    value = log_ratio(q, 2 * reference)
    assert value.dtype == torch.float32 and value.tolist() == [1.5, 2.0]
    value.sum().backward()
    assert q.grad is not None and q.grad.tolist() == [1.0, 1.0] and reference.grad is None


def test_of_token_with_axes_in_front():
    values = torch.arange(24.0).view(2, 3, 4)
    token = torch.tensor([0, 3, 1], dtype=torch.int32)
    assert of_token(values, token).tolist() == [[0.0, 7.0, 9.0], [12.0, 19.0, 21.0]]
    assert of_token(values[0], token).tolist() == [0.0, 7.0, 9.0]
