"""Learning from text alone: what the labels say, without a teacher's probabilities."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stillhouse.objectives.distributions import log_probs
from stillhouse.objectives.settings import Fraction


def sft(
    student_logits: Float[Tensor, "*batch V"],
    labels: Int[Tensor, "*batch"],
    *,
    label_smoothing: Fraction = 0.0,
) -> Float[Tensor, "*batch"]:
    """-(1 - e) log q(label) - e mean_v log q_v with e = `label_smoothing`, in nats per token.

    Supervised fine-tuning on a data set's answers; sequence-level distillation when the answers are the teacher's
    (arXiv 1606.07947). The mean is over the tokens that the student's logits do not rule out by -inf.
    """
    log_q = log_probs(student_logits)
    value = -log_q.gather(-1, labels.unsqueeze(-1).long()).squeeze(-1)
    if label_smoothing == 0.0:
        return value
    possible = ~log_q.isneginf()
    uniform = -torch.where(possible, log_q, 0.0).sum(dim=-1) / possible.sum(dim=-1)
    return (1 - label_smoothing) * value + label_smoothing * uniform
