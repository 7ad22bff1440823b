"""How much each token counts, from what the teacher thinks of its label: weights without gradient, zero outside `mask`.

Every weighting is a function of (teacher_logits, labels, mask). What a masked position holds has no effect.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stillhouse.objectives.distributions import log_probs, log_rest, of_token
from stillhouse.objectives.divergences.kl import forward_kl
from stillhouse.objectives.settings import Positive


def tsld(
    student_logits: Float[Tensor, "B T V"],
    teacher_logits: Float[Tensor, "B T V"],
    labels: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    *,
    scale_temperature: Positive = 10.0,
    temperature: Positive = 1.0,
    tau_squared: bool = False,
) -> Float[Tensor, "B T"]:
    """w_t KL(p_t || q_t), in nats per token, w the `token_scale` (token-scaled logit distillation, arXiv 2308.06744).

    w is N times the softmax of -log p_t(label) / `scale_temperature` over the N tokens of the sequence that count: its
    mean is 1, so that the mean over the sequence is the paper's sum_t softmax_t L_t. There L_t is the cross-entropy of
    p and q: the same gradient. Cross-entropy on the labels, where wanted, is one more objective.
    """
    student, teacher = (
        logits.masked_fill(~mask.unsqueeze(-1), 0.0) for logits in (student_logits, teacher_logits.detach())
    )
    value = forward_kl(student, teacher, temperature=temperature, tau_squared=tau_squared)
    return token_scale(teacher, labels, mask, scale_temperature) * value


def uniform(
    teacher_logits: Float[Tensor, "B T V"], labels: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]
) -> Float[Tensor, "B T"]:
    """1."""
    return mask.float()


def confidence(
    teacher_logits: Float[Tensor, "B T V"], labels: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]
) -> Float[Tensor, "B T"]:
    """p(label): learn what the teacher agrees with."""
    log_p, label = _teacher(teacher_logits, labels, mask)
    return torch.where(mask, of_token(log_p, label).exp(), 0.0)


def uncertainty(
    teacher_logits: Float[Tensor, "B T V"], labels: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]
) -> Float[Tensor, "B T"]:
    """1 - p(label): the coefficient UNC of arXiv 2402.11890, high where a token is hard."""
    log_p, label = _teacher(teacher_logits, labels, mask)
    return torch.where(mask, log_rest(log_p, label).exp(), 0.0)


def token_scale(
    teacher_logits: Float[Tensor, "B T V"],
    labels: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    temperature: float = 10.0,
) -> Float[Tensor, "B T"]:
    """N softmax_t(-log p_t(label) / temperature) over the N tokens of each sequence that count (arXiv 2308.06744)."""
    log_p, label = _teacher(teacher_logits, labels, mask)
    loss = (-of_token(log_p, label)).clamp_max(torch.finfo(log_p.dtype).max)
    scale = torch.softmax((loss / temperature).masked_fill(~mask, -torch.inf), dim=-1)
    return torch.where(mask, scale * mask.sum(dim=-1, keepdim=True), 0.0)


WEIGHTINGS: dict[str, Callable[..., Tensor]] = {
    "uniform": uniform,
    "confidence": confidence,
    "uncertainty": uncertainty,
    "token_scale": token_scale,
}


def _teacher(logits: Tensor, labels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities and labels, with something harmless outside the mask."""
    return log_probs(logits.detach().masked_fill(~mask.unsqueeze(-1), 0.0)), labels.masked_fill(~mask, 0).long()
