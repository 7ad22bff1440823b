"""Distilling preference alignment: from a teacher after it (p) and the same teacher before it (arXiv 2502.17927)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stillhouse.objectives.distributions import log_probs, widen
from stillhouse.objectives.divergences.kl import forward_kl
from stillhouse.objectives.reduce import token_mean
from stillhouse.objectives.settings import NonNegative


def adpa(
    student_logits: Float[Tensor, "*batch V"],
    teacher_logits: Float[Tensor, "*batch V"],
    reference_logits: Float[Tensor, "*batch V"],
) -> Float[Tensor, "*batch"]:
    """-sum_v q_v A_v per token, A_v = log p_v - log p_ref,v: what aligning the teacher added (ADPA, arXiv 2502.17927).

    p is the teacher after alignment, p_ref before. On text of the student, beside `sft` on the chosen answers. The
    gradient with respect to the logits is -q (A - E_q A): none where A is the same for all tokens, or q is certain.
    It is bounded below by -max_v A_v only, so a student trained on it alone collapses onto one token.

    A token that p or p_ref rules out by -inf has no advantage, 0. The released code stores the largest probabilities
    alone and replaces a missing p_ref,v by the smallest stored p_v; here both teachers speak in full. Its optional
    weight q(y) / q_sampled(y) of a whole answer is left to the recipe.
    """
    log_p, log_ref = log_probs(teacher_logits.detach()), log_probs(reference_logits.detach())
    ruled_out = log_p.isneginf() | log_ref.isneginf()
    advantage = torch.where(ruled_out, 0.0, log_p - log_ref)
    return -(widen(student_logits).softmax(dim=-1) * advantage).sum(dim=-1)


def dckd(
    student_chosen_logits: Float[Tensor, "B T V"],
    student_rejected_logits: Float[Tensor, "B T V"],
    teacher_chosen_logits: Float[Tensor, "B T V"],
    teacher_rejected_logits: Float[Tensor, "B T V"],
    chosen_mask: Bool[Tensor, "B T"],
    rejected_mask: Bool[Tensor, "B T"],
    *,
    chosen_weight: NonNegative = 1.0,
    rejected_weight: NonNegative = 1.0,
    length_normalised: bool = True,
) -> Float[Tensor, "B"]:
    """w_c KL(p || q) on the chosen answer + w_r KL(p || q) on the rejected one, per pair (DCKD, arXiv 2502.17927).

    p is the aligned teacher; each KL is the mean over the answer's tokens, or with `length_normalised=False` their sum.
    The likelihood term of the method is `sft` on the chosen answer.

    The released code takes means over all tokens of a batch, which weighs long answers more, and lifts q to at least
    1e-7 before the logarithm, where the gradient then stops; this is the exact KL.
    """
    chosen = _answer_kl(student_chosen_logits, teacher_chosen_logits, chosen_mask, length_normalised)
    rejected = _answer_kl(student_rejected_logits, teacher_rejected_logits, rejected_mask, length_normalised)
    return chosen_weight * chosen + rejected_weight * rejected


def _answer_kl(
    student: Float[Tensor, "B T V"],
    teacher: Float[Tensor, "B T V"],
    mask: Bool[Tensor, "B T"],
    length_normalised: bool,
) -> Float[Tensor, "B"]:
    outside = ~mask.unsqueeze(-1)
    rows = forward_kl(student.masked_fill(outside, 0.0), teacher.masked_fill(outside, 0.0))
    return token_mean(rows, mask) if length_normalised else rows.sum(dim=-1)
