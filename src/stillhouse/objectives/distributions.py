"""From logits to log-probabilities, and expectations that survive tokens of probability zero."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def widen(logits: Tensor) -> Tensor:
    """At least float32: float64 stays float64, everything narrower is computed in float32."""
    return logits if logits.dtype == torch.float64 else logits.float()


def log_probs(logits: Float[Tensor, "*batch V"], temperature: float = 1.0) -> Float[Tensor, "*batch V"]:
    """log softmax(logits / temperature), in nats, in float32 or wider. A logit of -inf stays -inf."""
    wide = widen(logits)
    return torch.log_softmax(wide if temperature == 1.0 else wide / temperature, dim=-1)


def kl(log_a: Float[Tensor, "*batch V"], log_b: Float[Tensor, "*batch V"]) -> Float[Tensor, "*batch"]:
    """KL(a || b) = sum_v a_v (log a_v - log b_v), in nats.

    A token that either side rules out (log-probability -inf) contributes zero to the value and to the gradient. Where
    only b rules it out the mathematical value is infinite; every released implementation drops the token there, and so
    do we.
    """
    ruled_out = log_a.isneginf() | log_b.isneginf()
    gap = torch.where(ruled_out, 0.0, log_a - log_b)
    return (log_a.exp() * gap).sum(dim=-1)


def cross_entropy(log_a: Float[Tensor, "*batch V"], log_b: Float[Tensor, "*batch V"]) -> Float[Tensor, "*batch"]:
    """-sum_v a_v log b_v, in nats. A token that b rules out (log-probability -inf) counts zero, as in `kl`."""
    return -(log_a.exp() * torch.where(log_b.isneginf(), 0.0, log_b)).sum(dim=-1)


def jensen_shannon(
    log_a: Float[Tensor, "*batch V"], log_b: Float[Tensor, "*batch V"], share: float
) -> Float[Tensor, "*batch"]:
    """share KL(a || m) + (1 - share) KL(b || m), m = share a + (1 - share) b; KL(a || b) at 0 and KL(b || a) at 1."""
    if share == 0.0:
        return kl(log_a, log_b)
    if share == 1.0:
        return kl(log_b, log_a)
    log_m = log_mixture(log_a, log_b, share)
    return share * kl(log_a, log_m) + (1 - share) * kl(log_b, log_m)


def log_mixture(
    log_a: Float[Tensor, "*batch V"], log_b: Float[Tensor, "*batch V"], share: float | Float[Tensor, "#*batch 1"]
) -> Float[Tensor, "*batch V"]:
    """log(share a + (1 - share) b), by logaddexp. A token that both rule out stays at -inf.

    `share` is a number, 0 < share < 1, or a tensor with one for each row or for several, where 0 and 1 are allowed.
    """
    if isinstance(share, Tensor):
        a, b = log_a + share.log(), log_b + (-share).log1p()
    else:
        a, b = log_a + math.log(share), log_b + math.log1p(-share)
    neither = a.isneginf() & b.isneginf()
    mixed = torch.logaddexp(a.masked_fill(neither, 0.0), b.masked_fill(neither, 0.0))
    return mixed.masked_fill(neither, -math.inf)


def log_ratio(logp: Float[Tensor, "*batch"], reference: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """log[q / ref], in float32 or wider, from the log-probabilities under both; no gradient flows into `reference`."""
    return widen(logp) - widen(reference.detach())


def of_token(values: Float[Tensor, "*rows V"], token: Int[Tensor, "*batch"]) -> Float[Tensor, "*rows"]:
    """values[..., token]: of every row of V numbers the one of its token; `values` may have more axes in front."""
    index = token.long().unsqueeze(-1).expand(*values.shape[:-1], 1)
    return values.gather(-1, index).squeeze(-1)


def log_sum(log_p: Float[Tensor, "*batch V"]) -> Float[Tensor, "*batch"]:
    """log sum_v p_v. -inf where no token is possible, and then the gradient is zero, not NaN."""
    nothing = log_p.isneginf().all(dim=-1)
    return log_p.masked_fill(nothing.unsqueeze(-1), 0.0).logsumexp(dim=-1).masked_fill(nothing, -math.inf)


def log_rest(log_p: Float[Tensor, "*batch V"], token: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """log(1 - p(token)), summed over the other tokens: exact where p(token) rounds to one; -inf where none is left."""
    return log_sum(log_p.scatter(-1, token.unsqueeze(-1).long(), -math.inf))
