"""Log-probabilities of given tokens from hidden states and a head, slice by slice: what the preference family needs."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from stillhouse.objectives.slices.head import (
    Head,
    HeadGradient,
    HeadLogits,
    block_rows,
    compute_dtype,
    slice_rows_of,
    spans,
)
from stillhouse.objectives.slices.native import available, label_rows


def label_logp(
    student_hidden: Float[Tensor, "N H"],
    student_head: Head,
    labels: Int[Tensor, "N"],
    *,
    vocabulary: int | None = None,
    slice_rows: int | None = None,
) -> Float[Tensor, "N"]:
    """log q(label) of every row, in nats, in float32 or wider; sum it over an answer for the preference objectives.

    Differentiable with respect to the hidden states and the head's weight and bias: the backward pass makes the slices
    of logits once more, since only then it is known what each row is worth.
    """
    student_head = student_head.gathered()
    width = len(student_head.weight) if vocabulary is None else min(vocabulary, len(student_head.weight))
    dtype = compute_dtype(student_hidden, student_head.weight)
    slice_rows = slice_rows or slice_rows_of(student_hidden, student_head, width, dtype)
    job = _Job(student_head, labels, width, slice_rows, dtype)
    return _LabelLogp.apply(job, student_hidden, student_head.weight, student_head.bias)


@dataclass(frozen=True)
class _Job:
    head: Head
    labels: Tensor
    vocabulary: int
    slice_rows: int
    dtype: torch.dtype

    def logits(self, hidden: Tensor) -> HeadLogits:
        return HeadLogits(hidden, self.head, self.vocabulary, self.slice_rows, self.dtype)

    def in_one_go(self, logits: HeadLogits, span: slice, slope: float = 0.0) -> Tensor | None:
        """Values of the open slice by compiled rows, and in its buffer slopes; None where they cannot."""
        raw = logits.raw()
        return None if raw is None or not available(raw, None) else label_rows(raw, self.labels[span], slope=slope)

    def blocks(self, logits: HeadLogits, span: slice) -> Any:
        """(rows within the slice, rows within all, their labels as a column), block by block."""
        for rows in spans(logits.count, block_rows(self.vocabulary, logits.hidden.device, self.slice_rows)):
            place = slice(span.start + rows.start, span.start + rows.stop)
            yield rows, place, self.labels[place].long().unsqueeze(-1)


class _LabelLogp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, job: _Job, hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            logits = job.logits(hidden)
            values = torch.empty(len(hidden), dtype=logits.wide, device=hidden.device)
            for span in spans(len(hidden), job.slice_rows):
                logits.open(span)
                found = job.in_one_go(logits, span)
                if found is not None and bool(found.isfinite().all()):
                    values[span] = found
                    continue
                for rows, place, labels in job.blocks(logits, span):
                    z = logits.block(rows)
                    values[place] = torch.log_softmax(z, dim=-1).gather(-1, labels).squeeze(-1)
        ctx.job = job
        ctx.save_for_backward(hidden, weight, bias)
        return values

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        (upstream,) = grad_outputs
        job: _Job = ctx.job
        hidden, weight, bias = ctx.saved_tensors
        to_hidden, to_weight, to_bias = ctx.needs_input_grad[1:]
        logits = job.logits(hidden)
        of_head = HeadGradient(job.head, logits, to_weight, to_bias)
        of_hidden = torch.empty_like(hidden) if to_hidden else None
        for span in spans(len(hidden), job.slice_rows):
            logits.open(span)
            if job.in_one_go(logits, span, slope=1.0) is None:
                for rows, place, labels in job.blocks(logits, span):
                    z = logits.block(rows)
                    slope = torch.softmax(z, dim=-1).neg_()
                    slope.scatter_add_(-1, labels, torch.ones_like(labels, dtype=slope.dtype))
                    slope = logits.through(slope, z)
                    of_head.add_bias(slope, upstream[place])
                    logits.buffer[rows] = slope
            logits.fold(upstream[span], None if of_hidden is None else of_hidden[span], of_head)
        return None, of_hidden, *of_head.sums(weight, bias)
