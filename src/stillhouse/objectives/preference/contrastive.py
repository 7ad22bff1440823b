"""Two divergences at once: one on the teacher's answer, the other on the student's own. One number a pair."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stillhouse.errors import RecipeError
from stillhouse.objectives.distributions import kl, log_mixture, log_probs, of_token
from stillhouse.objectives.reduce import token_mean
from stillhouse.objectives.settings import Fraction, Real

SMALLEST_ALPHA = 0.01
"""Below this, DistiLLM-2's code does not let an adaptive share fall."""


def distillm2(
    student_chosen_logits: Float[Tensor, "B T V"],
    student_rejected_logits: Float[Tensor, "B T V"],
    teacher_chosen_logits: Float[Tensor, "B T V"],
    teacher_rejected_logits: Float[Tensor, "B T V"],
    chosen_mask: Bool[Tensor, "B T"],
    rejected_mask: Bool[Tensor, "B T"],
    chosen_labels: Int[Tensor, "B T"] | None = None,
    rejected_labels: Int[Tensor, "B T"] | None = None,
    *,
    beta: Fraction = 1.0,
    alpha: Fraction = 0.1,
    form: Literal["released", "paper"] = "released",
    chosen_anchor: Real | None = None,
    rejected_anchor: Real | None = None,
) -> Float[Tensor, "B"]:
    """(2 - beta) SKL(y_t) + beta SRKL(y_s), means over the tokens of each answer, in nats.

    DistiLLM-2 (arXiv 2503.07067): SKL = KL(p || alpha p + (1 - alpha) q) on the teacher's answer y_t (chosen), SRKL =
    KL(q || alpha q + (1 - alpha) p) on the student's y_s (rejected), where no gradient flows through the q of the
    mixture. That is the released code; `form="paper"` has the weights (1 - beta) / 2 and beta / 2. The paper raises
    beta over the epochs, the code keeps 1.

    An anchor m makes that answer's alpha adaptive: 1 - (1 - alpha) m / (D + 1e-5) within [0.01, alpha] for each
    sequence, with D = e^(mean log p) - e^(mean log q) over the labels of y_t, and the other way round for y_s. m is the
    average D at the start, which the code logs itself (and leaves unused by default). Alpha is held without gradient;
    the code forgets to. Raises RecipeError for an anchor without labels. Masked positions have no effect.
    """
    log_q, log_p = _log_probs(student_chosen_logits, teacher_chosen_logits, chosen_mask)
    share = _share(log_p, log_q, chosen_mask, chosen_labels, alpha, chosen_anchor)
    chosen = token_mean(kl(log_p, log_mixture(log_p, log_q, share)), chosen_mask)
    log_q, log_p = _log_probs(student_rejected_logits, teacher_rejected_logits, rejected_mask)
    share = _share(log_q, log_p, rejected_mask, rejected_labels, alpha, rejected_anchor)
    rejected = token_mean(kl(log_q, log_mixture(log_q.detach(), log_p, share)), rejected_mask)
    if form == "paper":
        return ((1 - beta) * chosen + beta * rejected) / 2
    return (2 - beta) * chosen + beta * rejected


def _log_probs(
    student: Float[Tensor, "B T V"], teacher: Float[Tensor, "B T V"], mask: Bool[Tensor, "B T"]
) -> tuple[Float[Tensor, "B T V"], Float[Tensor, "B T V"]]:
    masked = ~mask.unsqueeze(-1)
    return log_probs(student.masked_fill(masked, 0.0)), log_probs(teacher.detach().masked_fill(masked, 0.0))


@torch.no_grad()
def _share(
    log_a: Float[Tensor, "B T V"],
    log_b: Float[Tensor, "B T V"],
    mask: Bool[Tensor, "B T"],
    labels: Int[Tensor, "B T"] | None,
    alpha: float,
    anchor: float | None,
) -> Float[Tensor, "B 1 1"]:
    """The share of a in the mixture: alpha, or less where a and b are nearer to each other than the anchor."""
    if anchor is None:
        return torch.full_like(log_a[:, :1, :1], alpha)
    if labels is None:
        raise RecipeError("distillm2: an adaptive alpha needs the labels of the answers; give them, or no anchor")
    taken = labels.masked_fill(~mask, 0)
    a, b = (token_mean(of_token(log, taken), mask).exp() for log in (log_a, log_b))
    adapted = 1 - (1 - alpha) * anchor / (a - b + 1e-5)
    return adapted.clamp(SMALLEST_ALPHA, alpha).unsqueeze(-1).unsqueeze(-1)
