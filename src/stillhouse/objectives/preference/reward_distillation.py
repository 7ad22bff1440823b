"""A policy that takes over what a reward model thinks of two answers; nobody needs to say which is the better one."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from stillhouse.objectives.distributions import log_ratio, widen
from stillhouse.objectives.settings import NonNegative, Positive


def reward_distillation(
    student_chosen_logp: Float[Tensor, "B"],
    student_rejected_logp: Float[Tensor, "B"],
    reference_chosen_logp: Float[Tensor, "B"],
    reference_rejected_logp: Float[Tensor, "B"],
    chosen_reward: Float[Tensor, "B"],
    rejected_reward: Float[Tensor, "B"],
    *,
    beta: Positive = 0.1,
) -> Float[Tensor, "B"]:
    """(r_w - r_l - beta h)^2, h = log[q/ref](y_w) - log[q/ref](y_l) (arXiv 2405.19316). Sums of log-probabilities.

    The same for a pair and its reverse, so pairs need no label. At its minimum beta log[q/ref] is the reward up to a
    constant of the prompt.
    """
    chosen = log_ratio(student_chosen_logp, reference_chosen_logp)
    rejected = log_ratio(student_rejected_logp, reference_rejected_logp)
    gap = widen(chosen_reward.detach()) - widen(rejected_reward.detach())
    return (gap - beta * (chosen - rejected)).square()


def pessimistic_reward_distillation(
    student_chosen_logp: Float[Tensor, "B"],
    student_rejected_logp: Float[Tensor, "B"],
    reference_chosen_logp: Float[Tensor, "B"],
    reference_rejected_logp: Float[Tensor, "B"],
    chosen_ensemble_rewards: Float[Tensor, "B E"],
    rejected_ensemble_rewards: Float[Tensor, "B E"],
    *,
    beta: Positive = 0.1,
    nearest: Literal["pair", "batch"] = "pair",
    kl_weight: NonNegative = 0.0,
) -> Float[Tensor, "B"]:
    """min_e (r_we - r_le - beta h)^2 + kl_weight k, with h as in `reward_distillation` (arXiv 2405.19316).

    The student need agree with one reward model e of a family only; the pessimism is in the second term, which keeps it
    near the reference. `nearest="pair"` takes the nearest model of each pair, `nearest="batch"` the one that is nearest
    to all pairs given, by their mean. k = 1/2 (log[ref/q](y_w) + log[ref/q](y_l)) estimates KL(ref || q) where the
    reference has sampled both answers; where it has not, leave the weight at 0 and add an `sft` on samples of it.
    """
    chosen = log_ratio(student_chosen_logp, reference_chosen_logp)
    rejected = log_ratio(student_rejected_logp, reference_rejected_logp)
    gaps = widen(chosen_ensemble_rewards.detach()) - widen(rejected_ensemble_rewards.detach())
    errors = (gaps - beta * (chosen - rejected).unsqueeze(-1)).square()
    value = errors.amin(dim=-1) if nearest == "pair" else errors[:, errors.detach().mean(dim=0).argmin()]
    return value - kl_weight * (chosen + rejected) / 2
