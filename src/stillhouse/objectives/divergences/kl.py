"""Divergences between teacher p and student q, per token; both are softmax(logits / temperature).

Every function is a true divergence (zero at q = p, where the released code often gives the cross-entropy), in nats,
computed in float32 or wider, and indifferent to tokens that a logit of -inf rules out. `tau_squared=True` multiplies by
temperature squared (Hinton et al., arXiv 1503.02531), so that the gradient keeps its size when the temperature grows.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stillhouse.objectives.distributions import jensen_shannon, kl, log_probs
from stillhouse.objectives.settings import Fraction, Positive


def forward_kl(
    student_logits: Float[Tensor, "*batch V"],
    teacher_logits: Float[Tensor, "*batch V"],
    *,
    temperature: Positive = 1.0,
    tau_squared: bool = False,
) -> Float[Tensor, "*batch"]:
    """KL(p || q) = sum_v p_v log(p_v / q_v), in nats per token. Mode-covering; unbounded.

    Word-level distillation (arXiv 1503.02531; MiniLLM's `kd`, arXiv 2306.08543, prints the cross-entropy form: same
    gradient).
    """
    value = kl(log_probs(teacher_logits.detach(), temperature), log_probs(student_logits, temperature))
    return value * temperature**2 if tau_squared else value


def reverse_kl(
    student_logits: Float[Tensor, "*batch V"],
    teacher_logits: Float[Tensor, "*batch V"],
    *,
    temperature: Positive = 1.0,
    tau_squared: bool = False,
) -> Float[Tensor, "*batch"]:
    """KL(q || p) = sum_v q_v log(q_v / p_v), in nats per token. Mode-seeking; unbounded (arXiv 2306.08543)."""
    value = kl(log_probs(student_logits, temperature), log_probs(teacher_logits.detach(), temperature))
    return value * temperature**2 if tau_squared else value


def jsd(
    student_logits: Float[Tensor, "*batch V"],
    teacher_logits: Float[Tensor, "*batch V"],
    *,
    beta: Fraction = 0.5,
    temperature: Positive = 1.0,
    tau_squared: bool = False,
) -> Float[Tensor, "*batch"]:
    """beta KL(p || m) + (1 - beta) KL(q || m) with m = beta p + (1 - beta) q, in nats per token (arXiv 2306.13649).

    `beta` belongs to the teacher. Bounded by the entropy of (beta, 1 - beta), log 2 at most; symmetric at 0.5. The
    endpoints are the divergences that GKD names: beta = 0 is KL(p || q), beta = 1 is KL(q || p). They are no limits:
    near beta = 0 the value goes like beta KL(p || q). DistiLLM's `js_distance(lam)` is beta = 1 - lam here.
    """
    log_p, log_q = log_probs(teacher_logits.detach(), temperature), log_probs(student_logits, temperature)
    value = jensen_shannon(log_p, log_q, beta)
    return value * temperature**2 if tau_squared else value


def akl(
    student_logits: Float[Tensor, "*batch V"],
    teacher_logits: Float[Tensor, "*batch V"],
    *,
    mu: Fraction = 0.5,
    head: Literal["official", "paper"] = "official",
    temperature: Positive = 1.0,
    tau_squared: bool = False,
) -> Float[Tensor, "*batch"]:
    """Adaptive KL: g_h / (g_h + g_t) KL(p || q) + g_t / (g_h + g_t) KL(q || p), in nats per token (arXiv 2404.02657).

    g_h and g_t sum |p_v - q_v| over the head and the tail of the teacher's tokens in descending order; no gradient
    flows through them, and where both are zero (q = p) the weights are one half. `mu` is the mass of the head.
    `head="official"` (the released code): the most likely token, and those after it while the mass up to and with each
    stays at or below mu. `head="paper"`: the smallest set with mass of at least mu, so the token that crosses mu is in
    the head too.
    """
    log_p, log_q = log_probs(teacher_logits.detach(), temperature), log_probs(student_logits, temperature)
    share = head_share(log_p, log_q, mu, head)
    value = share * kl(log_p, log_q) + (1 - share) * kl(log_q, log_p)
    return value * temperature**2 if tau_squared else value


@torch.no_grad()
def head_share(
    log_p: Float[Tensor, "*batch V"],
    log_q: Float[Tensor, "*batch V"],
    mu: float,
    head: Literal["official", "paper"],
) -> Float[Tensor, "*batch"]:
    """g_h / (g_h + g_t) of `akl`, without gradient."""
    p = log_p.exp()
    gap = (p - log_q.exp()).abs_()
    total = gap.sum(dim=-1)
    if mu >= 1.0:  # all of it, even where rounding keeps the mass of all tokens from reaching one
        return torch.where(total > 0, 1.0, 0.5).to(total)
    descending, order = _most_likely(p, mu)
    mass = descending.cumsum(dim=-1)
    inside = mass <= mu if head == "official" else mass - descending < mu
    inside[..., 0] = True
    in_head = (gap.gather(-1, order) * inside).sum(dim=-1)
    return torch.where(total > 0, in_head / total.clamp_min(torch.finfo(total.dtype).tiny), 0.5)


def _most_likely(
    p: Float[Tensor, "*batch V"], mass: float
) -> tuple[Float[Tensor, "*batch K"], Int[Tensor, "*batch K"]]:
    """Enough of every row's largest probabilities, in descending order, to pass `mass`: sorting all of V is slow."""
    count = 128
    while count < p.shape[-1]:
        top = p.topk(count, dim=-1)
        if bool((top.values.sum(dim=-1) > mass).all()):
            return top.values, top.indices
        count *= 16
    return p.sort(dim=-1, descending=True)
