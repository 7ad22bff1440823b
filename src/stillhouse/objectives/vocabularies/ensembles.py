"""Several teachers with one vocabulary: M distributions at every position become one, and the student follows it."""

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stillhouse.objectives.distributions import cross_entropy, kl, log_probs, of_token
from stillhouse.objectives.reduce import token_mean
from stillhouse.objectives.settings import NonNegative, Positive

Combination = Literal["arithmetic", "geometric", "confident", "lowest_ce"]


def ensemble_kl(
    student_logits: Float[Tensor, "*batch V"],
    teachers_logits: Float[Tensor, "M *batch V"],
    labels: Int[Tensor, "*batch"] | None = None,
    *,
    combine: Combination = "arithmetic",
    weights: list[NonNegative] | None = None,
    temperature: Positive = 1.0,
    tau_squared: bool = False,
) -> Float[Tensor, "*batch"]:
    """KL(p || q) = sum_v p_v log(p_v / q_v) to one p made of M teachers' softmax(z / temperature), in nats per token.

    - "arithmetic": p = sum_m w_m p_m, a mixture; w is `weights` divided by their sum, equal by default;
    - "geometric": p ~ prod_m p_m^w_m, which is softmax of the averaged logits, what Baby Llama's code (arXiv
      2308.02019) takes at temperature 2. A token that one teacher rules out by -inf is ruled out, so the teachers must
      have one in common;
    - "confident": the teacher whose most likely token has the highest probability, token by token;
    - "lowest_ce": the teacher that gives the label the highest probability, token by token; needs `labels`.

    Where two teachers tie the first is taken. `weights` have no part in choosing one. `tau_squared=True` multiplies by
    the square of the temperature (arXiv 1503.02531). Identical teachers give the loss of one. TypeError without the
    labels that are needed, ValueError where the weights are not one a teacher with a positive sum.
    """
    log_p = combined(log_probs(teachers_logits.detach(), temperature), labels, combine=combine, weights=weights)
    value = kl(log_p, log_probs(student_logits, temperature))
    return value * temperature**2 if tau_squared else value


def fusellm(
    student_logits: Float[Tensor, "B T V"],
    teachers_logits: Float[Tensor, "M B T V"],
    labels: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    *,
    combine: Literal["min_ce", "avg_ce"] = "min_ce",
    form: Literal["cross_entropy", "kl"] = "cross_entropy",
) -> Float[Tensor, "B T"]:
    """-sum_v p_v log q_v per token, in nats, to a p fused from M sources by how well each predicts the whole sequence.

    FuseLLM (arXiv 2401.10491). c_m is the mean cross-entropy of source m over the sequence's counted labels. "min_ce":
    p is the source with the lowest c_m. "avg_ce": p = sum_m w_m p_m, w = softmax_m(exp(-c_m)) as released (no
    softmax(-c_m): the weights stay close to each other); the paper says only that they follow from the cross-entropies.
    `form="kl"` subtracts H(p): the same gradient, but zero at q = p; the code has both and trains the first, 0.1 times,
    beside 0.9 times the cross-entropy on the labels. The student's own base model is one of the sources. The code
    rounds exp(-c_m) to bfloat16, which is not copied. Zero at a token that is not counted.
    """
    student = student_logits.masked_fill(~mask.unsqueeze(-1), 0.0)
    log_p = log_probs(teachers_logits.detach().masked_fill(~mask.unsqueeze(-1), 0.0))
    targets = labels.masked_fill(~mask, 0)
    log_target = fused_target(log_p, sequence_cross_entropy(log_p, targets, mask), combine=combine)
    measure = kl if form == "kl" else cross_entropy
    return measure(log_target, log_probs(student)).masked_fill(~mask, 0.0)


def combined(
    log_p: Float[Tensor, "M *batch V"],
    labels: Int[Tensor, "*batch"] | None = None,
    *,
    combine: Combination = "arithmetic",
    weights: list[NonNegative] | None = None,
) -> Float[Tensor, "*batch V"]:
    """The log-probabilities of one teacher out of those of M, as `ensemble_kl` says."""
    if combine == "arithmetic":
        return _mixture(log_p, _shares(log_p, weights))
    if combine == "geometric":
        shares = _shares(log_p, weights)
        return (torch.where(shares > 0, log_p, 0.0) * shares).sum(dim=0).log_softmax(dim=-1)
    if combine == "confident":
        return _chosen(log_p, log_p.amax(dim=-1))
    if labels is None:
        raise TypeError("combine='lowest_ce' needs labels")
    return _chosen(log_p, of_token(log_p, labels))


def sequence_cross_entropy(
    log_p: Float[Tensor, "M B T V"], labels: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]
) -> Float[Tensor, "M B"]:
    """Mean of -log p_m(label) over the tokens of each sequence that count, for each of M sources; 0 without any."""
    return token_mean(-of_token(log_p, labels), mask)


def fused_target(
    log_p: Float[Tensor, "M B T V"], cross_entropy: Float[Tensor, "M B"], *, combine: Literal["min_ce", "avg_ce"]
) -> Float[Tensor, "B T V"]:
    """The log-probabilities that `fusellm` makes of M sources with these cross-entropies."""
    if combine == "avg_ce":
        return _mixture(log_p, cross_entropy.neg().exp().softmax(dim=0)[..., None, None])
    return _chosen(log_p, -cross_entropy.unsqueeze(-1).expand(log_p.shape[:-1]))


def _mixture(log_p: Float[Tensor, "M *batch V"], shares: Float[Tensor, "M *ones"]) -> Float[Tensor, "*batch V"]:
    return (log_p + shares.log()).logsumexp(dim=0)


def _shares(log_p: Float[Tensor, "M *batch V"], weights: list[NonNegative] | None) -> Float[Tensor, "M *ones"]:
    count = len(log_p)
    given = [1.0] * count if weights is None else weights
    if len(given) != count or not 0 < sum(given) < math.inf:
        raise ValueError(f"weights are {weights}; give one for each of the {count} teachers, with a positive sum")
    return (log_p.new_tensor(given) / sum(given)).reshape(count, *[1] * (log_p.dim() - 1))


def _chosen(log_p: Float[Tensor, "M *batch V"], score: Float[Tensor, "M *batch"]) -> Float[Tensor, "*batch V"]:
    """At each position the teacher with the highest score, the first of equals."""
    best = score.argmax(dim=0)[None, ..., None].expand(1, *log_p.shape[1:])
    return log_p.gather(0, best).squeeze(0)
