"""The implicit reward of DPKD: r(x, y) = beta * log(q(y|x) / p(y|x)), q the student, p the teacher (arXiv 2406.19774).

The paper says neither which answers it takes nor whether it divides by the length, so all are given: the teacher's
answer y_t and the student's y_s apart, raw (log-probabilities summed over tokens) and per token.
"""

from collections.abc import Sequence

from jaxtyping import Float, Num
from torch import Tensor

from stillhouse.evaluate.answers import MICRO_TOKENS, Reader, answer_logp
from stillhouse.evaluate.intervals import bootstrap
from stillhouse.evaluate.scores import Score
from stillhouse.models.tokenise import Encoded


def implicit_rewards(
    student_chosen_logp: Float[Tensor, "B"],
    student_rejected_logp: Float[Tensor, "B"],
    teacher_chosen_logp: Float[Tensor, "B"],
    teacher_rejected_logp: Float[Tensor, "B"],
    chosen_length: Num[Tensor, "B"],
    rejected_length: Num[Tensor, "B"],
    *,
    beta: float,
) -> dict[str, Float[Tensor, "B"]]:
    """Rewards of B prompts; chosen is y_t, rejected y_s.

    margin = r(y_t) - r(y_s) and accuracy = 1[r(y_t) > r(y_s)] (a fraction, a tie counts 0) are of the raw rewards.
    """
    teacher = beta * (student_chosen_logp - teacher_chosen_logp)
    student = beta * (student_rejected_logp - teacher_rejected_logp)
    return {
        "reward_teacher": teacher,
        "reward_student": student,
        "reward_teacher_per_token": teacher / chosen_length,
        "reward_student_per_token": student / rejected_length,
        "reward_margin": teacher - student,
        "reward_accuracy": (teacher > student).to(teacher.dtype),
    }


def rewards(
    teacher: Reader,
    student: Reader,
    chosen: Sequence[Encoded],
    rejected: Sequence[Encoded],
    *,
    beta: float,
    micro_tokens: int = MICRO_TOKENS,
) -> dict[str, Score]:
    """Means over prompts of `implicit_rewards`; chosen[i] and rejected[i] answer the same prompt.

    Pairs with an empty answer are left out; ValueError if no other is there.
    """
    pairs = [pair for pair in zip(chosen, rejected, strict=True) if min(pair[0].counted, pair[1].counted) > 0]
    if not pairs:
        raise ValueError("rewards need at least one pair of answers, found none")
    both = [y_t for y_t, _ in pairs] + [y_s for _, y_s in pairs]
    q, lengths = answer_logp(student, both, micro_tokens=micro_tokens)
    p, _ = answer_logp(teacher, both, micro_tokens=micro_tokens)
    q_t, q_s, p_t, p_s, length_t, length_s = (half for whole in (q, p, lengths) for half in whole.split(len(pairs)))
    found = implicit_rewards(q_t, q_s, p_t, p_s, length_t, length_s, beta=beta)
    return {name: bootstrap(values.tolist()) for name, values in found.items()}
