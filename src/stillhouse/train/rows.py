"""What the models make of a micro-batch: hidden states at the positions that count, the student's with gradient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from stillhouse.models.collate import Batch, collate
from stillhouse.models.forward import hidden_rows
from stillhouse.train.features import States, pairs_of, rows_and_states
from stillhouse.train.plan import Item
from stillhouse.train.signals import Captured, teacher_rows
from stillhouse.train.terms import Term

ROLES = ("teacher", "reference")
"""Who may be asked about a text, besides the student: models that do not learn."""


@dataclass(frozen=True, slots=True)
class Models:
    """Who takes part: the student that learns; the teacher and the reference, where an objective asks for them."""

    student: PreTrainedModel
    teacher: PreTrainedModel | None
    reference: PreTrainedModel | None
    vocabulary: int
    pad_id: int

    def playing(self, role: str) -> PreTrainedModel:
        """The model in a role that an objective asks for."""
        model = self.teacher if role == "teacher" else self.reference
        assert model is not None, f"an objective asks for the {role}, and nobody plays it"
        return model


@dataclass(frozen=True, slots=True)
class Rows:
    """The counted positions of one micro-batch: states, targets, the sequence of each, and weights that are not 1.

    `others` are the states of those of ROLES that a term asks for; `states` inner states of student and teacher, where
    a term compares them.
    """

    student: Float[Tensor, "N H"]
    labels: Int[Tensor, "N"]
    segment: Int[Tensor, "N"]
    weights: Float[Tensor, "N"] | None
    others: Mapping[str, Float[Tensor, "N _"]]
    states: tuple[States, States] = ({}, {})


def read_rows(
    models: Models, terms: Sequence[Term], items: Sequence[Item], captured: Captured, *, packed: bool
) -> Rows:
    """All that the terms ask about the items; the teacher is not asked about answers that are `captured`."""
    sequences = [item.encoded for item in items]
    batch = collate(sequences, packed=packed, pad_id=models.pad_id).to(models.student.device)
    wanted = [role for role in ROLES if any(term.wants(role) for term in terms)]
    if any(map(pairs_of, terms)):
        return _with_states(models, terms, batch, wanted)
    others: dict[str, Tensor] = {}
    for role in wanted:
        model = models.playing(role)
        if model is models.teacher and others:
            others[role] = others["teacher"]  # asked already
        else:
            known = captured if model is models.teacher else {}
            others[role] = teacher_rows(model, known, sequences, packed=packed, pad_id=models.pad_id)
    return Rows(hidden_rows(models.student, batch), batch.labels, batch.segment, batch.weights, others)


def _with_states(models: Models, terms: Sequence[Term], batch: Batch, wanted: Sequence[str]) -> Rows:
    """The same with inner states, for which the teacher reads everything anew."""
    pairs = [pair for term in terms for pair in pairs_of(term)]
    layers = [sorted({pair[side] for pair in pairs}) for side in (0, 1)]
    student, mine = rows_and_states(models.student, batch, layers[0])
    with torch.no_grad():
        teacher, theirs = rows_and_states(models.playing("teacher"), batch, layers[1])
        same = models.reference is models.teacher
        others = {
            role: teacher if same or role == "teacher" else hidden_rows(models.playing(role), batch) for role in wanted
        }
    return Rows(student, batch.labels, batch.segment, batch.weights, others, (mine, theirs))
