"""The two parts of KL(p || q) apart: how uncertain a distribution is, and how well the student codes the teacher."""

from jaxtyping import Float
from torch import Tensor

from stillhouse.objectives.distributions import cross_entropy, log_probs
from stillhouse.objectives.settings import Positive


def entropy(
    student_logits: Float[Tensor, "*batch V"],
    *,
    temperature: Positive = 1.0,
) -> Float[Tensor, "*batch"]:
    """H(q) = -sum_v q_v log q_v of the student, in nats per token (Shannon, 1948). As a loss: be certain."""
    log_q = log_probs(student_logits, temperature)
    return cross_entropy(log_q, log_q)


def cross_entropy_soft(
    student_logits: Float[Tensor, "*batch V"],
    teacher_logits: Float[Tensor, "*batch V"],
    *,
    temperature: Positive = 1.0,
    tau_squared: bool = False,
) -> Float[Tensor, "*batch"]:
    """-sum_v p_v log q_v = KL(p || q) + H(p), in nats per token (arXiv 1503.02531).

    What MiniLLM, DistiLLM and TAID call forward KL: the same gradient for the student, but not zero at q = p, so the
    curves of two teachers cannot be compared. A token that the student rules out by -inf counts zero.
    """
    log_p, log_q = log_probs(teacher_logits.detach(), temperature), log_probs(student_logits, temperature)
    value = cross_entropy(log_p, log_q)
    return value * temperature**2 if tau_squared else value
