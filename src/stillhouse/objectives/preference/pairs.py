"""Preference against a reference model, one number a pair: a chosen answer y_w is to win over a rejected one, y_l.

Inputs are log-probabilities in nats summed over an answer's tokens (end of sequence included), and the token counts.
With a teacher as the reference and its own answer as the chosen one, `dpo`, `ipo`, `cpo` and `simpo` are the rivals in
Table 2 of DPKD (arXiv 2406.19774): bind the role "reference" to the teacher in the recipe.
"""

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from stillhouse.objectives.distributions import log_ratio, widen
from stillhouse.objectives.settings import Fraction, NonNegative, Positive


def dpkd(
    student_chosen_logp: Float[Tensor, "B"],
    student_rejected_logp: Float[Tensor, "B"],
    teacher_chosen_logp: Float[Tensor, "B"],
    teacher_rejected_logp: Float[Tensor, "B"],
    chosen_length: Int[Tensor, "B"],
    rejected_length: Int[Tensor, "B"],
    *,
    beta: Positive = 0.1,
    length_normalised: bool = True,
) -> Float[Tensor, "B"]:
    """-log sigma(beta / |y_t| log[q(y_t) / p(y_t)] - beta / |y_s| log[q(y_s) / p(y_s)]), eq. 9 of arXiv 2406.19774.

    Chosen is the teacher's answer y_t, rejected the student's own y_s, and the reference is the teacher.
    `length_normalised=False` leaves the lengths out: eq. 8. Nothing in it keeps q(y_s) from collapsing; the paper adds
    a language-modelling term, as one more objective of the recipe.
    """
    chosen = log_ratio(student_chosen_logp, teacher_chosen_logp)
    rejected = log_ratio(student_rejected_logp, teacher_rejected_logp)
    if length_normalised:
        chosen, rejected = chosen / chosen_length, rejected / rejected_length
    return -logsigmoid(beta * (chosen - rejected))


def dpo(
    student_chosen_logp: Float[Tensor, "B"],
    student_rejected_logp: Float[Tensor, "B"],
    reference_chosen_logp: Float[Tensor, "B"],
    reference_rejected_logp: Float[Tensor, "B"],
    *,
    beta: Positive = 0.1,
    label_smoothing: Fraction = 0.0,
) -> Float[Tensor, "B"]:
    """-(1 - e) log sigma(beta h) - e log sigma(-beta h), h = log[q/ref](y_w) - log[q/ref](y_l), e = `label_smoothing`.

    Sums of log-probabilities. DPO: arXiv 2305.18290; e > 0 is its conservative form, for labels that are wrong that
    often.
    """
    margin = _log_ratio_margin(
        student_chosen_logp, student_rejected_logp, reference_chosen_logp, reference_rejected_logp
    )
    return smoothed_log_loss(beta * margin, label_smoothing)


def ipo(
    student_chosen_logp: Float[Tensor, "B"],
    student_rejected_logp: Float[Tensor, "B"],
    reference_chosen_logp: Float[Tensor, "B"],
    reference_rejected_logp: Float[Tensor, "B"],
    chosen_length: Int[Tensor, "B"],
    rejected_length: Int[Tensor, "B"],
    *,
    tau: Positive = 0.1,
    length_normalised: bool = False,
) -> Float[Tensor, "B"]:
    """(h - 1 / (2 tau))^2, h = log[q/ref](y_w) - log[q/ref](y_l) (arXiv 2310.12036).

    Sums of log-probabilities, as printed and in the code of DPO's authors; `length_normalised=True` takes the mean over
    each answer's tokens instead, as TRL and HALOs do.
    """
    chosen = log_ratio(student_chosen_logp, reference_chosen_logp)
    rejected = log_ratio(student_rejected_logp, reference_rejected_logp)
    if length_normalised:
        chosen, rejected = chosen / chosen_length, rejected / rejected_length
    return (chosen - rejected - 1 / (2 * tau)).square()


def hinge_dpo(
    student_chosen_logp: Float[Tensor, "B"],
    student_rejected_logp: Float[Tensor, "B"],
    reference_chosen_logp: Float[Tensor, "B"],
    reference_rejected_logp: Float[Tensor, "B"],
    *,
    beta: Positive = 0.05,
) -> Float[Tensor, "B"]:
    """max(0, 1 - beta h) with h = log[q/ref](y_w) - log[q/ref](y_l): RSO's hinge-norm (arXiv 2309.06657).

    Sums of log-probabilities. No gradient once the margin is met. RSO uses beta = 0.05 on pairs that it resamples
    first.
    """
    margin = _log_ratio_margin(
        student_chosen_logp, student_rejected_logp, reference_chosen_logp, reference_rejected_logp
    )
    return (1 - beta * margin).clamp_min(0.0)


def dpop(
    student_chosen_logp: Float[Tensor, "B"],
    student_rejected_logp: Float[Tensor, "B"],
    reference_chosen_logp: Float[Tensor, "B"],
    reference_rejected_logp: Float[Tensor, "B"],
    *,
    beta: Positive = 0.3,
    penalty: NonNegative = 50.0,
) -> Float[Tensor, "B"]:
    """-log sigma(beta [h - penalty max(0, log[ref/q](y_w))]), h as in `dpo`: DPO-Positive (arXiv 2402.13228).

    The penalty, inside the sigmoid and multiplied by beta, keeps the chosen answer as likely as under the reference.
    (The `dpop` setting of `dpkd_token` is the other form, outside the sigmoid.)
    """
    margin = _log_ratio_margin(
        student_chosen_logp, student_rejected_logp, reference_chosen_logp, reference_rejected_logp
    )
    lost = (widen(reference_chosen_logp.detach()) - widen(student_chosen_logp)).clamp_min(0.0)
    return -logsigmoid(beta * (margin - penalty * lost))


def _log_ratio_margin(
    chosen: Float[Tensor, "B"],
    rejected: Float[Tensor, "B"],
    reference_chosen: Float[Tensor, "B"],
    reference_rejected: Float[Tensor, "B"],
) -> Float[Tensor, "B"]:
    return (widen(chosen) - widen(rejected)) - (widen(reference_chosen.detach()) - widen(reference_rejected.detach()))


def smoothed_log_loss(margin: Float[Tensor, "*batch"], label_smoothing: float) -> Float[Tensor, "*batch"]:
    """-(1 - e) log sigma(margin) - e log sigma(-margin), e = `label_smoothing`: that share of the labels is wrong."""
    return -(1 - label_smoothing) * logsigmoid(margin) - label_smoothing * logsigmoid(-margin)
