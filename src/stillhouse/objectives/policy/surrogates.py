"""Policy gradient: what moves the student towards sampled tokens that turned out well, and its value head with it.

`advantages.py` makes advantages and returns out of rewards. Everything but the student's log-probability (or the value)
is held: sampling is never differentiated through.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from stillhouse.objectives.distributions import log_ratio, widen
from stillhouse.objectives.settings import Positive

LARGEST_LOG_RATIO = 80.0
"""exp of it is still a float32. Beyond, infinity times an advantage of zero would be no number."""


def ppo_clip(
    student_logp: Float[Tensor, "*batch"],
    old_logp: Float[Tensor, "*batch"],
    advantages: Float[Tensor, "*batch"],
    importance: Float[Tensor, "*batch"] | None = None,
    *,
    clip: Positive = 0.2,
) -> Float[Tensor, "*batch"]:
    """-min(rho A, clip(rho, 1 - c, 1 + c) A) per token, rho = w exp(log q - log q_old), c = `clip` (arXiv 1707.06347).

    w = `importance` is 1 where it is missing; otherwise it corrects for text that q_old did not sample alone, and it is
    inside the clip, as in MiniLLM's code (arXiv 2306.08543). At q = q_old and w = 1 the gradient is `reinforce`'s. A
    `clip` of 1e9 clips nothing.
    """
    ratio = probability_ratio(student_logp, old_logp)
    if importance is not None:
        ratio = ratio * widen(importance.detach())
    return -clipped_surrogate(ratio, widen(advantages.detach()), clip)


def value_loss(
    values: Float[Tensor, "*batch"],
    old_values: Float[Tensor, "*batch"],
    returns: Float[Tensor, "*batch"],
    *,
    clip: Positive = 0.2,
) -> Float[Tensor, "*batch"]:
    """1/2 max((V - G)^2, (V_c - G)^2) per token, V_c = clip(V, V_old - c, V_old + c), c = `clip`: PPO's value loss.

    G = `returns`. The gradient flows into `values`, and stops where V has gone beyond the clip on the way towards G.
    Released PPO code has it (TRL, OpenRLHF, the code of Fine-Grained RLHF, arXiv 2306.01693); the paper does not. A
    usual weight beside `ppo_clip` is 0.1. A `clip` of 1e9 leaves 1/2 (V - G)^2.
    """
    value, old, goal = widen(values), widen(old_values.detach()), widen(returns.detach())
    clipped = value.clamp(old - clip, old + clip)
    return torch.maximum((value - goal).square(), (clipped - goal).square()) / 2


def reinforce(
    student_logp: Float[Tensor, "*batch"],
    advantages: Float[Tensor, "*batch"],
) -> Float[Tensor, "*batch"]:
    """-A log q per token, the advantage A held: the policy gradient of (Williams, 1992).

    Only the gradient means something; the value does not. With A = R - V it is the update of d-RLAIF (arXiv
    2309.00267).
    """
    return -widen(advantages.detach()) * widen(student_logp)


def probability_ratio(
    student_logp: Float[Tensor, "*batch"], old_logp: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """q(y_t) / q_old(y_t), with a gradient through q."""
    return log_ratio(student_logp, old_logp).clamp_max(LARGEST_LOG_RATIO).exp()


def clipped_surrogate(
    ratio: Float[Tensor, "*batch"], advantages: Float[Tensor, "*batch"], clip: float
) -> Float[Tensor, "*batch"]:
    """min(rho A, clip(rho, 1 - c, 1 + c) A): what is gained by a ratio beyond the clip is not counted."""
    return torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
