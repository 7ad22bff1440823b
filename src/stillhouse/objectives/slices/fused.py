"""Any per-token objective from hidden states and head weights: slice by slice, value and gradient in one pass.

The logits of all rows never exist at once: a slice of them is made, used for the value, turned into its own gradient in
place, and folded into the gradients of the hidden states and of the head. Give it only the rows that count.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from stillhouse.objectives.contract import Objective, check_settings, needs, takes
from stillhouse.objectives.divergences.sparse import sparse
from stillhouse.objectives.imitation import sft
from stillhouse.objectives.inputs import TENSORS
from stillhouse.objectives.slices.closed_forms import CLOSED_FORMS
from stillhouse.objectives.slices.head import (
    DenseLogits,
    Head,
    HeadGradient,
    HeadLogits,
    Rows,
    block_rows,
    compute_dtype,
    slice_rows_of,
    spans,
)
from stillhouse.objectives.slices.native import available, divergence_rows, label_rows
from stillhouse.objectives.slices.native_forms import form_of

Source = HeadLogits | DenseLogits | Rows
Compiled = Callable[[Tensor, Mapping[str, Tensor]], Tensor]
"""From a slice's logits, which become slopes, and the other inputs to the values."""


@dataclass(frozen=True)
class FromHidden:
    """Logits by the hidden states and the head that make them."""

    hidden: Float[Tensor, "N D"]
    head: Head


def fused(
    objective: Objective,
    student_hidden: Float[Tensor, "N H"],
    student_head: Head,
    weights: Float[Tensor, "N"],
    *,
    settings: Mapping[str, Any],
    given: Mapping[str, Tensor | FromHidden],
    vocabulary: int | None = None,
    slice_rows: int | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, "N"]]:
    """sum_n weights[n] * objective(row n), and the rows themselves (unweighted, detached), in float32 or wider.

    The sum is differentiable with respect to `student_hidden` and the student head's weight and bias. `given` has, by
    the names of `inputs.TOKENS`, what the objective takes besides the student's logits, one row a position; logits may
    come as `FromHidden`, and are then made slice by slice. With `teacher_topk_ids` and `teacher_topk_logp` in the place
    of `teacher_logits`, the objective is computed with one bucket for the tail (`sparse`). Everything over the
    vocabulary V is cut to `vocabulary` entries before the softmax (default: the smallest of all). Autocast is honoured.
    A setting that the objective does not have raises RecipeError; a tensor that it needs and that is missing raises
    TypeError.
    """
    check_settings(objective, settings)
    student_head = student_head.gathered()
    if "teacher_topk_ids" in given and "teacher_logits" in needs(objective) and "teacher_logits" not in given:
        objective, settings = sparse(objective, settings), {}
    wanted = tuple(name for name in takes(objective) if name == "student_logits" or name in given)
    if missing := set(needs(objective)) - set(wanted):
        raise TypeError(f"this objective needs {', '.join(sorted(missing))}; given are {', '.join(given) or 'none'}")
    widths = [_width(given[name]) for name in wanted if name in given and TENSORS[name].endswith("V")]
    width = min(len(student_head.weight), *widths, len(student_head.weight) if vocabulary is None else vocabulary)
    dtype = compute_dtype(student_hidden, student_head.weight)
    job = _Job(
        objective=objective,
        wanted=wanted,
        settings=settings,
        student_head=student_head,
        weights=weights.detach(),
        given={name: given[name] for name in wanted if name in given},
        vocabulary=width,
        slice_rows=slice_rows or slice_rows_of(student_hidden, student_head, width, dtype),
        dtype=dtype,
        differentiable=torch.is_grad_enabled(),
    )
    return _Fused.apply(job, student_hidden, student_head.weight, student_head.bias)


def _width(logits: Tensor | FromHidden) -> int:
    return len(logits.head.weight) if isinstance(logits, FromHidden) else logits.shape[-1]


@dataclass(frozen=True)
class _Job:
    """One call of `fused`, but for the tensors that receive gradients."""

    objective: Objective
    wanted: tuple[str, ...]
    settings: Mapping[str, Any]
    student_head: Head
    weights: Tensor
    given: Mapping[str, Tensor | FromHidden]
    vocabulary: int
    slice_rows: int
    dtype: torch.dtype
    differentiable: bool

    def student(self, hidden: Tensor) -> HeadLogits:
        return HeadLogits(hidden, self.student_head, self.vocabulary, self.slice_rows, self.dtype)

    def sources(self) -> dict[str, Source]:
        """Where the rows of everything but the student's logits come from."""
        return {name: self._source(name, value) for name, value in self.given.items()}

    def _source(self, name: str, value: Tensor | FromHidden) -> Source:
        width = self.vocabulary if TENSORS[name].endswith("V") else _width(value)
        if isinstance(value, FromHidden):
            dtype = compute_dtype(value.hidden, value.head.weight)
            return HeadLogits(value.hidden, value.head.gathered(), width, self.slice_rows, dtype)
        axes = TENSORS[name].split()
        if name.endswith("logits") and axes[0] == "B":
            return DenseLogits(value, width)
        cut = value[..., :width] if axes[-1] == "V" else value
        return Rows(cut, axes.index("B") if "B" in axes else None)

    def compiled(self) -> Compiled | None:
        """The same by compiled rows, where there are some for this objective with these settings."""
        plain_labels = "token_weights" not in self.wanted and not any(self.settings.values())
        if self.objective is sft and plain_labels:
            return lambda logits, others: label_rows(logits, others["labels"], slope=-1.0).neg_()
        form = form_of(self.objective, self.settings)
        if form is None:
            return None
        return lambda logits, others: divergence_rows(form, logits, others.get("teacher_logits"))

    def rows(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Values of a few rows, and their gradient with respect to the student's logits."""
        ordered, student = [inputs[name] for name in self.wanted], inputs["student_logits"]
        if self.objective in CLOSED_FORMS and set(self.wanted) == set(needs(self.objective)):
            values, slope = CLOSED_FORMS[self.objective](*ordered, **self.settings)
            if bool(values.isfinite().all()):
                return values, slope
        with torch.enable_grad():
            student.requires_grad_()
            values = self.objective(*ordered, **self.settings)
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
    sources, compiled = job.sources(), job.compiled()
    values = torch.empty(len(student.hidden), dtype=student.wide, device=student.hidden.device)
    weights = job.weights.to(student.wide)
    for span in spans(len(values), job.slice_rows):
        for source in (student, *sources.values()):
            source.open(span)
        if compiled is None or not _in_one_go(compiled, student, sources, values[span]):
            _by_blocks(job, student, sources, values[span], weights[span], of_head)
        if span.stop == len(values):
            sources.clear()  # their buffers make room for the gradients
        student.fold(weights[span], None if of_hidden is None else of_hidden[span], of_head)
    return values


def _in_one_go(compiled: Compiled, student: HeadLogits, sources: Mapping[str, Source], values: Tensor) -> bool:
    """Values and, in the student's buffer, slopes of the open slice by compiled rows; False where they cannot."""
    logits = student.raw()
    others = {name: raw for name, source in sources.items() if (raw := source.raw()) is not None}
    if logits is None or len(others) < len(sources) or not available(logits, others.get("teacher_logits")):
        return False
    values.copy_(compiled(logits, others))
    if bool(values.isfinite().all()):
        return True
    student.reopen()
    return False


def _by_blocks(
    job: _Job,
    student: HeadLogits,
    sources: Mapping[str, Source],
    values: Tensor,
    weights: Tensor,
    of_head: HeadGradient,
) -> None:
    """The same by the objective itself, as many rows at a time as stay in cache."""
    for rows in spans(len(values), block_rows(job.vocabulary, values.device, job.slice_rows)):
        logits = student.block(rows)
        values[rows], slope = job.rows(
            {"student_logits": logits} | {name: source.block(rows) for name, source in sources.items()}
        )
        slope = student.through(slope, logits)
        of_head.add_bias(slope, weights[rows])
        student.buffer[rows] = slope
