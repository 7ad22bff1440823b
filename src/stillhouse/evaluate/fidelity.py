"""How near the student's next-token distributions are to the teacher's, on given answers (never on generated ones).

p is the teacher, q the student, both over the vocabulary they share. The measuring prefixes stay the same while the
student learns, so the numbers of two checkpoints, or of two methods, can be compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stillhouse.evaluate.answers import MICRO_TOKENS, Reader, owners, runs
from stillhouse.evaluate.intervals import bootstrap, bootstrap_ratio
from stillhouse.evaluate.scores import Score
from stillhouse.models.tokenise import Encoded
from stillhouse.objectives.distributions import kl, log_probs


@dataclass(frozen=True, slots=True)
class Divergences:
    """B answers: number of tokens; KL(p||q), KL(q||p) (nats) and agreements summed over them; the KLs of the first."""

    tokens: Int[Tensor, "B"]
    kl: Float[Tensor, "B"]
    reverse_kl: Float[Tensor, "B"]
    agreements: Float[Tensor, "B"]
    first_kl: Float[Tensor, "B"]
    first_reverse_kl: Float[Tensor, "B"]


def fidelity(
    teacher: Reader, student: Reader, sequences: Sequence[Encoded], *, micro_tokens: int = MICRO_TOKENS
) -> dict[str, Score]:
    """The scores "kl", "reverse_kl" (nats per token), "top1" (percent of tokens), "first_kl" and "first_reverse_kl".

    Per-token scores are sums over all answer tokens by their number, with whole answers resampled. `first_*` are the
    divergences at the last position of the prompt, the mean over prompts (the measurement of DPKD, arXiv 2406.19774).
    Empty answers are left out; ValueError if no other is there.
    """
    answered = [s for s in sequences if s.counted > 0]
    found = divergences(teacher, student, answered, micro_tokens=micro_tokens)
    tokens = found.tokens.tolist()
    return {
        "kl": bootstrap_ratio(found.kl.tolist(), tokens),
        "reverse_kl": bootstrap_ratio(found.reverse_kl.tolist(), tokens),
        "top1": bootstrap_ratio((100 * found.agreements).tolist(), tokens),
        "first_kl": bootstrap(found.first_kl.tolist()),
        "first_reverse_kl": bootstrap(found.first_reverse_kl.tolist()),
    }


@torch.inference_mode()
def divergences(
    teacher: Reader, student: Reader, sequences: Sequence[Encoded], *, micro_tokens: int = MICRO_TOKENS
) -> Divergences:
    """The divergences of every answer; logits are made in slices."""
    count = len(sequences)
    sums = torch.zeros(count, 3, dtype=torch.float64)
    first = torch.zeros(count, 3, dtype=torch.float64)
    for run in runs(sequences, micro_tokens):
        chosen = [sequences[i] for i in run]
        compared = _compared(teacher, teacher.hidden(chosen), student, student.hidden(chosen))
        values, owner = torch.cat(list(compared)).double().cpu(), owners(chosen, run)
        sums.index_add_(0, owner, values)
        begins = torch.cat([torch.ones(1, dtype=torch.bool), owner[1:] != owner[:-1]])
        first[owner[begins]] = values[begins]
    tokens = torch.tensor([s.counted for s in sequences], dtype=torch.long)
    forward, reverse, agreements = sums.unbind(1)
    return Divergences(tokens, forward, reverse, agreements, first[:, 0], first[:, 1])


def _compared(
    p: Reader, p_hidden: Float[Tensor, "N H"], q: Reader, q_hidden: Float[Tensor, "N K"]
) -> Iterator[Float[Tensor, "R 3"]]:
    """KL(p||q), KL(q||p) and whether both like the same token best, by rows."""
    for p_logits, q_logits in zip(p.logits(p_hidden), q.logits(q_hidden), strict=True):
        agree = p_logits.argmax(-1) == q_logits.argmax(-1)
        log_p, log_q = log_probs(p_logits), log_probs(q_logits)
        yield torch.stack([kl(log_p, log_q), kl(log_q, log_p), agree.to(log_p.dtype)], dim=1)
