"""Pairs that nobody judged: the chosen answer is the teacher's or a human's, the rejected one the student's own.

Inputs as in `pairs`: log-probabilities in nats summed over an answer's tokens, and the token counts. One number a
pair.
"""

from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from stillhouse.errors import RecipeError
from stillhouse.objectives.distributions import widen
from stillhouse.objectives.preference.pairs import dpo, hinge_dpo
from stillhouse.objectives.settings import NonNegative, Positive


def spin(
    student_chosen_logp: Float[Tensor, "B"],
    student_rejected_logp: Float[Tensor, "B"],
    reference_chosen_logp: Float[Tensor, "B"],
    reference_rejected_logp: Float[Tensor, "B"],
    *,
    beta: Positive = 0.1,
    form: Literal["sigmoid", "hinge"] = "sigmoid",
) -> Float[Tensor, "B"]:
    """-log sigma(beta h), or max(0, 1 - beta h) with `form="hinge"`, h = log[q/ref](y_w) - log[q/ref](y_l).

    Self-play fine-tuning (arXiv 2401.01335): y_w is the data's answer, y_l a sample of the student as the round began,
    and that same student is the reference; log 2 (or 1) at the start of a round. Sums of log-probabilities. The code
    raises beta to 5 in its last round.
    """
    loss = dpo if form == "sigmoid" else hinge_dpo
    return loss(student_chosen_logp, student_rejected_logp, reference_chosen_logp, reference_rejected_logp, beta=beta)


def plad(
    student_chosen_logp: Float[Tensor, "B"],
    student_rejected_logp: Float[Tensor, "B"],
    chosen_length: Int[Tensor, "B"],
    rejected_length: Int[Tensor, "B"],
    chosen_reward: Float[Tensor, "B"] | None = None,
    rejected_reward: Float[Tensor, "B"] | None = None,
    *,
    form: Literal["rank", "margin"] = "rank",
    margin: NonNegative = 1.0,
    reward_scale: Positive = 1.0,
) -> Float[Tensor, "B"]:
    """max(0, m - s(y_w) + s(y_l)), s(y) = log q(y) / |y| (PLaD, arXiv 2406.02886).

    `form="rank"`: m = `margin`. `form="margin"`: m = reward_scale (r_w - r_l), how much nearer the chosen answer is to
    the target; without gradient. y_w is the teacher's answer and y_l the student's: no internals of the teacher are
    needed. No gradient once the margin is met. The paper fine-tunes on y_w first: an `sft` of the recipe.

    Raises RecipeError where `form="margin"` is asked of pairs without rewards.
    """
    if form == "rank":
        wanted = margin
    elif chosen_reward is None or rejected_reward is None:
        raise RecipeError("plad: form = 'margin' needs pairs with rewards; score both answers, or use form = 'rank'")
    else:
        wanted = reward_scale * (widen(chosen_reward.detach()) - widen(rejected_reward.detach()))
    chosen, rejected = widen(student_chosen_logp) / chosen_length, widen(student_rejected_logp) / rejected_length
    return (wanted - chosen + rejected).relu()
