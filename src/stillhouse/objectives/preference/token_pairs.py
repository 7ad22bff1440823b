"""Preference at every position: what the code released with DPKD trains, which is not the objective of its paper."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stillhouse.objectives.distributions import log_probs, of_token, widen
from stillhouse.objectives.preference.pairs import smoothed_log_loss
from stillhouse.objectives.settings import Fraction, NonNegative, Positive


def dpkd_token(
    student_logits: Float[Tensor, "*batch V"],
    teacher_logits: Float[Tensor, "*batch V"],
    *,
    beta: Positive = 0.1,
    form: Literal["sigmoid", "ipo"] = "sigmoid",
    dpop: NonNegative = 0.0,
    reference_free: bool = False,
    label_smoothing: Fraction = 0.0,
) -> Float[Tensor, "*batch"]:
    """Per token, with y_t = argmax p, y_s = argmax q and h = log q(y_t) - log q(y_s) - [log p(y_t) - log p(y_s)]:

    - `form="sigmoid"`: -(1 - e) log sigma(beta h) - e log sigma(-beta h), e = `label_smoothing`;
    - `form="ipo"`: (h - 1 / (2 beta))^2;
    - `dpop` > 0 adds dpop max(0, log p(y_t) - log q(y_t)), which the code multiplies by 50 and not by beta;
    - `reference_free` leaves the bracket out of h.

    This is what the code released with DPKD trains (arXiv 2406.19774); the paper's objective is `dpkd`, on whole
    answers. Where the two argmaxes agree the value is log 2 and the gradient zero. The code's `--simpo` division by the
    length of the student's non-repeating text is not offered: it belongs to a sequence, not to a token. Argmaxes are
    taken over the tokens that neither side rules out by -inf.
    """
    teacher_logits = teacher_logits.detach()
    ruled_out = student_logits.isneginf() | teacher_logits.isneginf()
    chosen = teacher_logits.masked_fill(ruled_out, -torch.inf).argmax(dim=-1)
    rejected = student_logits.masked_fill(ruled_out, -torch.inf).argmax(dim=-1)
    margin = _difference(student_logits, chosen, rejected)
    if not reference_free:
        margin = margin - _difference(teacher_logits, chosen, rejected)
    value = (margin - 1 / (2 * beta)).square() if form == "ipo" else smoothed_log_loss(beta * margin, label_smoothing)
    if dpop == 0.0:
        return value
    log_p, log_q = (of_token(log_probs(z), chosen) for z in (teacher_logits, student_logits))
    return value + dpop * (log_p - log_q).clamp_min(0.0)


def _difference(
    logits: Float[Tensor, "*batch V"], a: Int[Tensor, "*batch"], b: Int[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    return widen(of_token(logits, a)) - widen(of_token(logits, b))  # the normalisers of the two cancel
