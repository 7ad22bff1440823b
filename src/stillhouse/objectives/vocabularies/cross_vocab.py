"""Teacher and student with different vocabularies: distributions are compared without knowing which tokens correspond.

Position t of both sides speaks about the same stretch of text; whoever aligned the two tokenisations saw to that. Where
a stretch is several tokens long, its distribution is that of one of its tokens, times the probability of the others:
`student_group_logp` and `teacher_group_logp` are the logarithms of that product (0 for a single token), so that such a
distribution sums to less than one, on purpose.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from stillhouse.objectives.distributions import jensen_shannon, log_probs, widen
from stillhouse.objectives.settings import Fraction, NonNegative, Positive


def uld(
    student_logits: Float[Tensor, "*batch V"],
    teacher_own_logits: Float[Tensor, "*batch W"],
    student_group_logp: Float[Tensor, "*batch"] | None = None,
    teacher_group_logp: Float[Tensor, "*batch"] | None = None,
    *,
    student_temperature: Positive = 1.0,
    teacher_temperature: Positive = 1.0,
) -> Float[Tensor, "*batch"]:
    """sum_k |q_(k) - p_(k)| per token, with both sides in descending order and the shorter one padded with zeros.

    Universal logit distillation (arXiv 2402.12030): the Wasserstein distance where any two different tokens are equally
    far apart. Between 0 and 2; zero whenever p is a permutation of q, so it says how certain the teacher is, not of
    what. Not multiplied by a temperature squared. The authors average it over the first min(n_S, n_T) tokens of an
    answer and add 1.5 times that to the cross-entropy.
    """
    q = _log_probs(student_logits, student_group_logp, student_temperature).exp()
    p = _log_probs(teacher_own_logits, teacher_group_logp, teacher_temperature).detach().exp()
    return _sorted_distance(q, p)


def gold(
    student_logits: Float[Tensor, "*batch V"],
    teacher_own_logits: Float[Tensor, "*batch W"],
    matched_ids: Int[Tensor, "V"],
    student_group_logp: Float[Tensor, "*batch"] | None = None,
    teacher_group_logp: Float[Tensor, "*batch"] | None = None,
    *,
    beta: Fraction = 0.5,
    student_temperature: Positive = 1.0,
    teacher_temperature: Positive = 1.0,
    matched_weight: NonNegative | None = None,
    unmatched_weight: NonNegative | None = None,
) -> Float[Tensor, "*batch"]:
    """a JSD_beta(p, q over the tokens that both know) + (1 - a) ULD(p, q over the rest) per token, a = matched / W.

    The hybrid of GOLD (Patino et al., TRL, 2025). `matched_ids` names the teacher's token for each of the student's,
    or -1; no teacher's token twice. JSD_beta = beta KL(p || m) + (1 - beta) KL(q || m) with m = beta p + (1 - beta) q
    (beta = 0: KL(p || q), beta = 1: KL(q || p)), over part of the vocabulary without normalising, so it can be
    negative. The weights may be set instead. TRL gives no ULD where one side has no token left; here the other's tokens
    are compared with zeros, which matters only with an `unmatched_weight`. TRL's "observed" merging also reads the
    logits one position late; ours are those that predict the token.
    """
    log_q = _log_probs(student_logits, student_group_logp, student_temperature)
    log_p = _log_probs(teacher_own_logits, teacher_group_logp, teacher_temperature).detach()
    known = matched_ids >= 0
    shared = matched_ids[known].long()
    left = torch.ones(log_p.shape[-1], dtype=torch.bool, device=log_p.device)
    left[shared] = False
    share = len(shared) / log_p.shape[-1]
    matched = jensen_shannon(log_p[..., shared], log_q[..., known], beta)
    unmatched = _sorted_distance(log_q[..., ~known].exp(), log_p[..., left].exp())
    a = share if matched_weight is None else matched_weight
    b = 1 - share if unmatched_weight is None else unmatched_weight
    return a * matched + b * unmatched


def _log_probs(
    logits: Float[Tensor, "*batch V"], group_logp: Float[Tensor, "*batch"] | None, temperature: float
) -> Float[Tensor, "*batch V"]:
    of_one_token = log_probs(logits, temperature)
    return of_one_token if group_logp is None else of_one_token + widen(group_logp).unsqueeze(-1)


def _sorted_distance(q: Float[Tensor, "*batch V"], p: Float[Tensor, "*batch W"]) -> Float[Tensor, "*batch"]:
    q, p = q.sort(dim=-1, descending=True).values, p.sort(dim=-1, descending=True).values
    lacking = q.shape[-1] - p.shape[-1]
    return (pad(q, (0, max(0, -lacking))) - pad(p, (0, max(0, lacking)))).abs().sum(dim=-1)
