"""Any per-token objective from hidden states and head weights: slice by slice, value and gradient in one pass.

The logits of all rows never exist at once: a slice of them is made, used for the value, turned into its own gradient in
place, and folded into the gradients of the hidden states and of the head. Give it only the rows that count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from stillhouse.objectives.closed_forms import CLOSED_FORMS
from stillhouse.objectives.contract import Objective, check_settings, needs
from stillhouse.objectives.head import (
    DenseLogits,
    Head,
    HeadGradient,
    HeadLogits,
    block_rows,
    compute_dtype,
    slice_rows_for,
    spans,
)


def fused(
    objective: Objective,
    student_hidden: Float[Tensor, "N H"],
    student_head: Head,
    weights: Float[Tensor, "N"],
    *,
    settings: Mapping[str, Any],
    labels: Int[Tensor, "N"] | None = None,
    teacher_hidden: Float[Tensor, "N K"] | None = None,
    teacher_head: Head | None = None,
    teacher_logits: Float[Tensor, "N W"] | None = None,
    vocabulary: int | None = None,
    slice_rows: int | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, "N"]]:
    """sum_n weights[n] * objective(row n), and the rows themselves (unweighted, detached), in float32 or wider.

    The sum is differentiable with respect to `student_hidden` and the student head's weight and bias. The teacher comes
    as logits, or as hidden states and a head; only what the objective's signature asks for is used. Both vocabularies
    are cut to `vocabulary` entries before the softmax (default: the smaller of the two). Autocast is honoured. A
    setting that the objective does not have raises RecipeError; a tensor that it needs and that is missing raises
    TypeError.
    """
    check_settings(objective, settings)
    wanted = needs(objective)
    if "labels" in wanted and labels is None:
        raise TypeError("this objective needs labels")
    width = len(student_head.weight) if vocabulary is None else min(vocabulary, len(student_head.weight))
    if "teacher_logits" in wanted:
        width = min(width, _teacher_width(teacher_hidden, teacher_head, teacher_logits))
    dtype = compute_dtype(student_hidden, student_head.weight)
    job = _Job(
        objective=objective,
        wanted=wanted,
        settings=settings,
        student_head=student_head,
        weights=weights.detach(),
        labels=labels,
        teacher_hidden=teacher_hidden,
        teacher_head=teacher_head,
        teacher_logits=teacher_logits,
        vocabulary=width,
        slice_rows=slice_rows or slice_rows_for(width, dtype),
        dtype=dtype,
        differentiable=torch.is_grad_enabled(),
    )
    return _Fused.apply(job, student_hidden, student_head.weight, student_head.bias)


def _teacher_width(hidden: Tensor | None, head: Head | None, logits: Tensor | None) -> int:
    if logits is not None:
        return logits.shape[1]
    if hidden is None or head is None:
        raise TypeError("this objective needs teacher_logits: give them, or teacher_hidden and teacher_head")
    return len(head.weight)


@dataclass(frozen=True)
class _Job:
    """One call of `fused`, but for the tensors that receive gradients."""

    objective: Objective
    wanted: tuple[str, ...]
    settings: Mapping[str, Any]
    student_head: Head
    weights: Tensor
    labels: Tensor | None
    teacher_hidden: Tensor | None
    teacher_head: Head | None
    teacher_logits: Tensor | None
    vocabulary: int
    slice_rows: int
    dtype: torch.dtype
    differentiable: bool

    def student(self, hidden: Tensor) -> HeadLogits:
        return HeadLogits(hidden, self.student_head, self.vocabulary, self.slice_rows, self.dtype)

    def teacher(self) -> HeadLogits | DenseLogits | None:
        if "teacher_logits" not in self.wanted:
            return None
        if self.teacher_logits is not None:
            return DenseLogits(self.teacher_logits, self.vocabulary)
        hidden, head = self.teacher_hidden, self.teacher_head
        assert hidden is not None and head is not None  # checked by `fused`
        return HeadLogits(hidden, head, self.vocabulary, self.slice_rows, compute_dtype(hidden, head.weight))

    def rows(self, student: Tensor, teacher: Tensor | None, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Values of a few rows, and their gradient with respect to the student's logits."""
        given = {"student_logits": student, "teacher_logits": teacher, "labels": labels}
        inputs = [given[name] for name in self.wanted]
        if self.objective in CLOSED_FORMS:
            values, slope = CLOSED_FORMS[self.objective](*inputs, **self.settings)
            if bool(values.isfinite().all()):
                return values, slope
        with torch.enable_grad():
            student.requires_grad_()
            values = self.objective(*inputs, **self.settings)
            (slope,) = torch.autograd.grad(values.sum(), student)
        student.requires_grad_(False)
        return values.detach(), slope


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, job: _Job, hidden: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        to_hidden, to_weight, to_bias = (job.differentiable and wants for wants in ctx.needs_input_grad[1:])
        with torch.autocast(hidden.device.type, enabled=False):
            student = job.student(hidden)
            of_head = HeadGradient(job.student_head, student, to_weight, to_bias)
            of_hidden = torch.empty_like(hidden) if to_hidden else None
            values = _sweep(job, student, of_hidden, of_head)
        ctx.mark_non_differentiable(values)
        ctx.save_for_backward(of_hidden, *of_head.sums(weight, bias))
        return torch.dot(values, job.weights.to(values.dtype)), values

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        of_sum = grad_outputs[0]
        if float(of_sum) == 1.0:
            return None, *ctx.saved_tensors
        return None, *(None if g is None else g * of_sum.to(g.dtype) for g in ctx.saved_tensors)


def _sweep(job: _Job, student: HeadLogits, of_hidden: Tensor | None, of_head: HeadGradient) -> Tensor:
    """The values of all rows; on the way, the gradients into `of_hidden` and `of_head`."""
    total, teacher = len(student.hidden), job.teacher()
    values = torch.empty(total, dtype=student.wide, device=student.hidden.device)
    weights = job.weights.to(student.wide)
    size = block_rows(job.vocabulary, values.device, job.slice_rows)
    for span in spans(total, job.slice_rows):
        student.open(span)
        if teacher is not None:
            teacher.open(span)
        for rows in spans(len(student.states), size):
            place = slice(span.start + rows.start, span.start + rows.stop)
            logits = student.block(rows)
            labels = None if job.labels is None else job.labels[place]
            values[place], slope = job.rows(logits, None if teacher is None else teacher.block(rows), labels)
            slope = student.through(slope, logits)
            of_head.add_bias(slope, weights[place])
            student.buffer[rows] = slope
        student.fold(weights[span], None if of_hidden is None else of_hidden[span], of_head)
    return values
