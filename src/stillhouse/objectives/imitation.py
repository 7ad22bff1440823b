"""Learning from text alone: what the labels say, without a teacher's probabilities."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stillhouse.objectives.distributions import log_probs, log_rest, of_token, widen
from stillhouse.objectives.settings import Fraction


def sft(
    student_logits: Float[Tensor, "*batch V"],
    labels: Int[Tensor, "*batch"],
    token_weights: Float[Tensor, "#*batch"] | None = None,
    *,
    label_smoothing: Fraction = 0.0,
) -> Float[Tensor, "*batch"]:
    """w [-(1 - e) log q(label) - e mean_v log q_v] with e = `label_smoothing`, in nats per token.

    Supervised fine-tuning on a data set's answers; sequence-level distillation when the answers are the teacher's
    (arXiv 1606.07947). The mean is over the tokens that the student's logits do not rule out by -inf. w is 1, or
    `token_weights`, without gradient; [B, 1] of them weigh examples.
    """
    log_q = log_probs(student_logits)
    value = -of_token(log_q, labels)
    if label_smoothing != 0.0:
        possible = ~log_q.isneginf()
        uniform = -torch.where(possible, log_q, 0.0).sum(dim=-1) / possible.sum(dim=-1)
        value = (1 - label_smoothing) * value + label_smoothing * uniform
    return value if token_weights is None else value * widen(token_weights.detach())


def unlikelihood(
    student_logits: Float[Tensor, "*batch V"],
    labels: Int[Tensor, "*batch"],
) -> Float[Tensor, "*batch"]:
    """-log(1 - q(label)), in nats per token (unlikelihood training, arXiv 1908.04319): the label is one to avoid.

    The paper avoids, at each position, the tokens that came before; here every position has one, such as a token of an
    answer that was judged bad. log(1 - q) is summed over the other tokens, and so exact where q rounds to one. Zero
    where the label is the only token that the logits do not rule out by -inf: nothing can be done about it.
    """
    rest = log_rest(log_probs(student_logits), labels)
    return -rest.masked_fill(rest.isneginf(), 0.0)
