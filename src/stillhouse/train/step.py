"""One micro-batch's share of a step's loss. Every sum is already divided by the whole step's counts."""

from collections.abc import Sequence

from torch import Tensor

from stillhouse.train.families import FAMILIES, Part
from stillhouse.train.plan import Item, StepPlan
from stillhouse.train.rows import Models, read_rows
from stillhouse.train.signals import Captured
from stillhouse.train.terms import Loss


def micro_loss(
    models: Models, loss: Loss, items: Sequence[Item], plan: StepPlan, captured: Captured
) -> tuple[Tensor, list[float]]:
    """The weighted sum of all terms over one micro-batch, and each term's own share of it."""
    rows = read_rows(models, loss.terms, items, captured, packed=loss.packed)
    part, total, shares = Part(models, loss, items, rows, plan), rows.student.sum() * 0.0, []
    for term in loss.terms:
        value = FAMILIES[term.family](part, term)
        total = total + value
        shares.append(float(value.detach()))
    return total, shares
