"""Hidden states of student and teacher compared position by position, or pooled; both of one width.

Where widths differ, the student's states come through a trainable projector (FitNets, arXiv 1412.6550; TinyBERT, arXiv
1909.10351). No gradient flows into the teacher's states. Which positions count is the reducer's business.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from stillhouse.objectives.distributions import cross_entropy, log_probs, widen
from stillhouse.objectives.features.geometry import direction, require_equal_widths
from stillhouse.objectives.settings import Positive


def hidden_mse(
    student_hidden: Float[Tensor, "*batch H"], teacher_hidden: Float[Tensor, "*batch D"]
) -> Float[Tensor, "*batch"]:
    """(1 / H) sum_h (s_h - t_h)^2 per position: the mean over the width, as in TinyBERT (arXiv 1909.10351).

    FitNets' hint loss (arXiv 1412.6550) is half the sum over the width.
    """
    return _difference(student_hidden, teacher_hidden).square().mean(dim=-1)


def hidden_l1(
    student_hidden: Float[Tensor, "*batch H"], teacher_hidden: Float[Tensor, "*batch D"]
) -> Float[Tensor, "*batch"]:
    """(1 / H) sum_h |s_h - t_h| per position: `hidden_mse` (arXiv 1909.10351) that weighs outlier dimensions less."""
    return _difference(student_hidden, teacher_hidden).abs().mean(dim=-1)


def hidden_cosine(
    student_hidden: Float[Tensor, "*batch H"], teacher_hidden: Float[Tensor, "*batch D"]
) -> Float[Tensor, "*batch"]:
    """1 - cos(s, t) = 1 - <s, t> / (|s| |t|) per position, between 0 and 2; blind to lengths.

    The loss on hidden states of DistilBERT (arXiv 1910.01108). A state of length zero is orthogonal to every other: 1.
    """
    require_equal_widths(student_hidden, teacher_hidden)
    return 1 - (direction(widen(student_hidden)) * direction(widen(teacher_hidden.detach()))).sum(dim=-1)


def feature_cross_entropy(
    student_hidden: Float[Tensor, "*batch H"],
    teacher_hidden: Float[Tensor, "*batch D"],
    *,
    temperature: Positive = 1.0,
) -> Float[Tensor, "*batch"]:
    """-sum_h softmax(t / temperature)_h log softmax(s / temperature)_h per position, in nats, over the width.

    Features as if they were logits: the cross-entropy distance between features in the survey of distilled language
    models, arXiv 2402.13116. At s = t the gradient is zero and the value is not: it is the teacher's entropy.
    """
    require_equal_widths(student_hidden, teacher_hidden)
    return cross_entropy(log_probs(teacher_hidden.detach(), temperature), log_probs(student_hidden, temperature))


def ted(
    student_hidden: Float[Tensor, "*batch H"], teacher_hidden: Float[Tensor, "*batch D"]
) -> Float[Tensor, "*batch"]:
    """(1 / H) sum_h (g_S(s)_h - g_T(t)_h)^2 per position, TED's layer term (arXiv 2210.01351).

    Both states come filtered: g_T was trained on the task and is frozen, g_S goes on learning with the student
    (`stillhouse.models.project.task_filter`). The released code takes the mean over all positions, padding included;
    here the reducer leaves padding out. With the teacher's raw states and a random g_S it is the paper's LWD.
    """
    return hidden_mse(student_hidden, teacher_hidden)


def pkd(student_pooled: Float[Tensor, "B H"], teacher_pooled: Float[Tensor, "B D"]) -> Float[Tensor, "B"]:
    """sum_h (s_h / |s| - t_h / |t|)^2 = 2 - 2 cos(s, t) per sequence, between 0 and 4 (PKD, arXiv 1908.09355).

    The paper pools by the first position; a causal model's state that has seen the whole text is the last token's.
    """
    require_equal_widths(student_pooled, teacher_pooled)
    return (direction(widen(student_pooled)) - direction(widen(teacher_pooled.detach()))).square().sum(dim=-1)


def _difference(student: Float[Tensor, "*batch H"], teacher: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch H"]:
    require_equal_widths(student, teacher)
    return torch.sub(widen(student), widen(teacher.detach()))
