"""One answer by itself, without a rival: a thumb up or down, or an advantage. One number an answer."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stillhouse.objectives.distributions import log_ratio, widen
from stillhouse.objectives.settings import NonNegative, Positive


def kto(
    student_answer_logp: Float[Tensor, "B"],
    reference_answer_logp: Float[Tensor, "B"],
    desirable: Bool[Tensor, "B"],
    student_mismatched_logp: Float[Tensor, "B"],
    reference_mismatched_logp: Float[Tensor, "B"],
    *,
    beta: Positive = 0.1,
    desirable_weight: NonNegative = 1.0,
    undesirable_weight: NonNegative = 1.0,
) -> Float[Tensor, "B"]:
    """desirable_weight sigma(-beta (h - z)), or for an undesirable answer undesirable_weight sigma(-beta (z - h)), with
    h = log[q/ref](y) (KTO, arXiv 2402.01306). Sums of log-probabilities.

    z = max(0, mean log[q/ref](y')) estimates KL(q || ref) over the answers y' to other prompts ("mismatched") that are
    given; no gradient flows through it. The larger the micro-batch, the better the estimate. Between 0 and the weight;
    half the weight where h = z.
    """
    ratio = log_ratio(student_answer_logp, reference_answer_logp)
    mismatched = log_ratio(student_mismatched_logp.detach(), reference_mismatched_logp)
    gain = beta * (ratio - mismatched.mean().clamp_min(0.0))
    return torch.where(desirable, desirable_weight * torch.sigmoid(-gain), undesirable_weight * torch.sigmoid(gain))


def apa(
    student_answer_logp: Float[Tensor, "B"],
    reference_answer_logp: Float[Tensor, "B"],
    answer_reward: Float[Tensor, "B"],
    *,
    kl_weight: Positive = 0.1,
) -> Float[Tensor, "B"]:
    """(log q(y) - log ref(y) - A / lambda)^2, lambda = `kl_weight` (advantage-induced policy alignment,
    arXiv 2306.02231).

    The squared distance to ref(y) e^(A / lambda), which maximises E[A] - lambda KL(q || ref) but for its normaliser,
    taken to be 1. A is the advantage of the whole answer, `answer_reward` less a baseline: the paper's loss with an
    answer as the action, where its experiments have tokens.
    """
    ratio = log_ratio(student_answer_logp, reference_answer_logp)
    return (ratio - widen(answer_reward.detach()) / kl_weight).square()
