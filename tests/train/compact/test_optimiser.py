"""Compact AdamW is AdamW: exact weights, moments right on average. The oracle is torch's own, in float32."""

import pytest
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from stillhouse.compiled import compiler
from stillhouse.train.compact.native import BLOCK
from stillhouse.train.compact.optimiser import SMALLEST, CompactAdamW

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")

LR, BETAS, DECAY = 1e-2, (0.9, 0.99), 0.1
SIZE = SMALLEST + 100  # the last block is not whole


def parameters() -> list[nn.Parameter]:
    made = torch.Generator().manual_seed(1)
    return [nn.Parameter(torch.randn(size, generator=made)) for size in (SIZE, 2 * SIZE, 10)]


def gradients(step: int, like: list[nn.Parameter]) -> list[Tensor]:
    """With a mean of its own for each weight, and sizes that differ by the ten thousands within a block."""
    made, noise = torch.Generator().manual_seed(2), torch.Generator().manual_seed(100 + step)
    found = []
    for p in like:
        mean, size = torch.randn(len(p), generator=made), 10 ** (4 * torch.rand(len(p), generator=made) - 6)
        found.append((size * (mean + torch.randn(len(p), generator=noise))).bfloat16())
    return found


def compact(mine: list[nn.Parameter]) -> CompactAdamW:
    groups = [{"params": mine, "weight_decay": DECAY}]
    return CompactAdamW(groups, lr=LR, betas=BETAS, halved=mine[:1])


def run(steps: int, limit: float = float("inf")) -> tuple[list[Tensor], list[Tensor], list[float], list[float]]:
    """The weights of both after some steps, and the norms that both found."""
    mine, theirs = parameters(), parameters()
    one, other = compact(mine), AdamW(theirs, lr=LR, betas=BETAS, weight_decay=DECAY)
    norms: tuple[list[float], list[float]] = ([], [])
    with one.working():
        assert [p.dtype for p in mine] == [torch.bfloat16, torch.float32, torch.float32]
        for step in range(steps):
            for p, q, gradient in zip(mine, theirs, gradients(step, mine), strict=True):
                p.grad, q.grad = gradient.to(p.dtype), gradient.float()
            norms[0].append(one.clip(limit))
            norms[1].append(float(nn.utils.clip_grad_norm_(theirs, limit)))
            one.step()
            other.step()
            assert all(p.grad is None for p in mine[:2])
    return [p.detach() for p in mine], [p.detach() for p in theirs], norms[0], norms[1]


@pytest.mark.parametrize("limit", [float("inf"), 1e-3])
def test_the_first_step_is_adamws(limit: float) -> None:
    """Nothing has been rounded by then."""
    mine, theirs, norms, expected = run(1, limit)
    assert norms == pytest.approx(expected, rel=1e-5)
    for found, right in zip(mine, theirs, strict=True):
        torch.testing.assert_close(found, right, rtol=3e-7, atol=1e-7)


def test_many_steps_go_where_adamw_goes() -> None:
    """Each weight by its own luck a little further or less far, and on average as far."""
    begin = parameters()
    mine, theirs, _, _ = run(60)
    for start, found, right in zip(begin, mine, theirs, strict=True):
        path, further = (right - start).abs(), (found - start).abs() - (right - start).abs()
        assert (found - right).abs().mean() < 0.06 * path.mean()
        assert further.mean().abs() < 0.005 * path.mean()


def test_moments_are_right_on_average() -> None:
    """A weight whose gradient is a thousandth of its neighbours' keeps its moments, in the mean over many."""
    mine = [nn.Parameter(torch.zeros(400 * BLOCK))]
    optimiser = compact(mine)
    gradient = torch.full((400, BLOCK), 1e-3)
    gradient[:, 0] = 1.0
    with optimiser.working():
        for _ in range(40):
            mine[0].grad = gradient.flatten().bfloat16()
            optimiser.step()
        state = optimiser.state[mine[0]]
        first = (state["codes"].view(400, BLOCK).float() ** 4 * state["scales"].unsqueeze(1))[:, 1:]
        second = state["second"].view(400, BLOCK)[:, 1:].float()
    told = float(gradient[0, 1].bfloat16())
    assert float(first.mean()) == pytest.approx(told * (1 - BETAS[0] ** 40), rel=0.01)
    assert float(second.mean()) == pytest.approx(told**2 * (1 - BETAS[1] ** 40), rel=0.01)
    assert float(second.std() / second.mean()) < 0.05


def test_a_moment_without_gradients_dies_out() -> None:
    mine = [nn.Parameter(torch.zeros(SIZE))]
    optimiser = compact(mine)
    with optimiser.working():
        mine[0].grad = torch.ones(SIZE, dtype=torch.bfloat16)
        optimiser.step()
        for _ in range(100):
            mine[0].grad = torch.zeros(SIZE, dtype=torch.bfloat16)
            mine[0].grad[0] = 1.0
            optimiser.step()
        assert (optimiser.state[mine[0]]["codes"][1:BLOCK].float() / 127).pow(4).mean() < 1e-4


def test_the_weights_are_whole_again_after_an_error() -> None:
    mine, before = parameters(), parameters()
    optimiser = compact(mine)
    with pytest.raises(RuntimeError, match="stop"), optimiser.working():
        raise RuntimeError("stop")
    assert all(torch.equal(p, q) and p.dtype == torch.float32 for p, q in zip(mine, before, strict=True))
    assert not any("lower" in state for state in optimiser.state.values())


def test_the_same_steps_are_the_same_to_the_last_bit() -> None:
    assert all(torch.equal(a, b) for a, b in zip(run(5)[0], run(5)[0], strict=True))
