"""MiniLLM: the reverse KL between whole answers, KL(q(y|x) || p(y|x)), by policy gradient (arXiv 2306.08543).

With r_t = log p(y_t) - log q_old(y_t) and R_t = sum_{k >= t} r_k its gradient is -E sum_t R_t grad log q(y_t) over
answers of the student. R_t = r_t + R_{t+1} splits it into two objectives of one recipe, on the same sampled text:

- the single step, r_t, has an exact gradient over the vocabulary: `reverse_kl`, with weight 1 (the paper multiplies it
  by the importance weight, the released code does not);
- the long term, from the next token on, is `minillm`.

The paper adds a third: language modelling on pretraining text.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stillhouse.objectives.policy.advantages import held, rewards_to_go, whiten
from stillhouse.objectives.policy.surrogates import ppo_clip
from stillhouse.objectives.settings import Fraction, Positive

Whitening = Literal["tokens", "padded", "none"]


def minillm(
    student_logp: Float[Tensor, "B T"],
    old_logp: Float[Tensor, "B T"],
    teacher_logp: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    *,
    alpha: Fraction = 0.2,
    reward_scaling: Positive = 0.5,
    reward_clip: Positive = 100.0,
    gamma: Fraction = 0.95,
    current_reward: bool = True,
    length_normalised: bool = True,
    whitening: Whitening = "tokens",
    clip: Positive = 0.2,
) -> Float[Tensor, "B T"]:
    """max(-A rho, -A clip(rho, 1 - c, 1 + c)) per token, rho = w q / q_old, c = `clip`: the long term.

    MiniLLM (arXiv 2306.08543). The log-probabilities are those of the sampled tokens. Every trick has its setting; the
    defaults are the released code's but for `whitening`:

    - `alpha`: w = q_old / ((1 - alpha) q_old + alpha p), for text sampled from that mixture; 0 for the student's own;
    - `reward_scaling`, `reward_clip`: r_t is divided by the one, then clipped to plus and minus the other;
    - `gamma` discounts the rewards to come (paper: 1);
    - `current_reward`: whether r_t is in A_t, although the single step has it too (paper: no);
    - `length_normalised`: A_t is divided by the number of rewards in it;
    - `whitening`: "tokens" over the tokens of the batch that count; "padded" over padding as well, as the released code
      does, so that it depends on how much padding there is; "none" (paper);
    - `clip`: 1e9 clips nothing.

    Without whitening a token's row does not depend on the other answers in the batch.
    """
    advantages = minillm_advantages(
        minillm_rewards(old_logp, teacher_logp, mask, scaling=reward_scaling, clip=reward_clip),
        mask,
        gamma=gamma,
        current_reward=current_reward,
        length_normalised=length_normalised,
        whitening=whitening,
    )
    old = held(old_logp, mask)
    weight = mixture_weight(old, held(teacher_logp, mask), alpha=alpha)
    return ppo_clip(student_logp.masked_fill(~mask, 0.0), old, advantages, weight, clip=clip)


def minillm_rewards(
    old_logp: Float[Tensor, "B T"],
    teacher_logp: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    *,
    scaling: float = 0.5,
    clip: float = 100.0,
) -> Float[Tensor, "B T"]:
    """r_t = (log p - log q_old)(y_t) / scaling, within plus and minus `clip`; zero where the mask is False."""
    return ((held(teacher_logp, mask) - held(old_logp, mask)) / scaling).clamp(-clip, clip)


def minillm_advantages(
    token_rewards: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    *,
    gamma: float = 0.95,
    current_reward: bool = True,
    length_normalised: bool = True,
    whitening: Whitening = "tokens",
) -> Float[Tensor, "B T"]:
    """Rewards to go, per reward in the sum, whitened: see `minillm` for the settings."""
    advantages = rewards_to_go(
        token_rewards, mask, gamma=gamma, length_normalised=length_normalised, current_reward=current_reward
    )
    return advantages if whitening == "none" else whiten(advantages, mask, over_padding=whitening == "padded")


def mixture_weight(
    old_logp: Float[Tensor, "*batch"], teacher_logp: Float[Tensor, "*batch"], *, alpha: float
) -> Float[Tensor, "*batch"]:
    """w = q_old / ((1 - alpha) q_old + alpha p), the importance of a token sampled from the mixture; 1 at alpha = 0."""
    if alpha == 0.0:
        return torch.ones_like(old_logp)
    return 1 / (1 - alpha + alpha * (teacher_logp - old_logp).exp())
