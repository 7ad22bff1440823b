"""Logits by slices: from hidden states and an output head, or from dense logits; and the head's own gradient."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from stillhouse.machine import rounded_up
from stillhouse.objectives.distributions import widen

COLUMNS = 2048
"""Tokens whose weight gradient is added at a time: the bf16 product stays in cache until it is in float32."""


@dataclass(frozen=True)
class Head:
    """What turns hidden states into logits: softcap(scale * (h @ weight^T + bias)), softcap(x) = c tanh(x / c).

    A `weight` tied to the embedding, computed (an adapter merged in) or sharded is fine: gradients flow to what it is.
    """

    weight: Float[Tensor, "V H"]
    bias: Float[Tensor, "V"] | None = None
    softcap: float | None = None
    scale: float = 1.0

    def gathered(self) -> "Head":
        """With shards (FSDP2) gathered into whole tensors; their gradients are summed over the ranks on their way."""
        bias = None if self.bias is None else _whole(self.bias)
        return replace(self, weight=_whole(self.weight), bias=bias)


def _whole(tensor: Tensor) -> Tensor:
    if not (dist.is_available() and dist.is_initialized()):
        return tensor
    from torch.distributed.tensor import DTensor, Partial  # takes a second, and nothing is sharded without a group

    return tensor.full_tensor(grad_placements=[Partial()]) if isinstance(tensor, DTensor) else tensor


def compute_dtype(hidden: Tensor, weight: Tensor) -> torch.dtype:
    """The dtype of the matrix products: autocast's where it is on, else the wider of the two."""
    kind = hidden.device.type
    if torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return torch.promote_types(hidden.dtype, weight.dtype)


class HeadLogits:
    """Logits of hidden states: `open` a slice (one matrix product into a buffer that is reused), then take blocks."""

    def __init__(
        self, hidden: Float[Tensor, "N H"], head: Head, vocabulary: int, slice_rows: int, dtype: torch.dtype
    ) -> None:
        self.hidden, self.dtype = hidden.detach(), dtype
        self.weight = head.weight.detach()[:vocabulary].to(dtype)
        self.bias = None if head.bias is None else widen(head.bias.detach()[:vocabulary])
        self.softcap, self.scale = head.softcap, head.scale
        self.wide = torch.float64 if dtype == torch.float64 else torch.float32
        self.slice_rows = min(slice_rows, len(hidden))
        self.buffer = torch.empty(rounded_up(self.slice_rows), vocabulary, dtype=dtype, device=hidden.device)
        self.states, self.count = self.hidden[:0], 0

    def open(self, span: slice) -> None:
        """Multiplies the hidden states of these rows with the head; overwrites the slice before."""
        states = self.hidden[span].to(self.dtype)
        self.states, self.count = _filled(states), len(states)
        self.reopen()

    def reopen(self) -> None:
        """The same rows again, after their buffer was written to."""
        torch.mm(self.states, self.weight.T, out=self.buffer[: len(self.states)])

    def raw(self) -> Float[Tensor, "S V"] | None:
        """The open slice's buffer, where it is the logits themselves: no bias, scale or cap to be applied."""
        plain = self.bias is None and self.scale == 1.0 and self.softcap is None
        return self.buffer[: self.count] if plain else None

    def block(self, rows: slice) -> Float[Tensor, "R V"]:
        """Logits of some rows of the open slice, in float32 or wider; always a new tensor."""
        z = self.buffer[rows].to(self.wide, copy=True)
        if self.bias is not None:
            z += self.bias
        if self.scale != 1.0:
            z *= self.scale
        return z if self.softcap is None else z.div_(self.softcap).tanh_().mul_(self.softcap)

    def blocks(self) -> Iterator[Float[Tensor, "R V"]]:
        """Logits of all rows in order, a block at a time."""
        size = max(1, self.slice_rows)
        for span in spans(len(self.hidden), size):
            self.open(span)
            for rows in spans(self.count, block_rows(self.buffer.shape[1], self.hidden.device, size)):
                yield self.block(rows)

    def through(self, gradient: Float[Tensor, "R V"], logits: Float[Tensor, "R V"]) -> Float[Tensor, "R V"]:
        """From the gradient with respect to logits (overwritten) to the one with respect to h @ weight^T + bias."""
        if self.softcap is not None:
            gradient *= 1 - (logits / self.softcap).square_()
        return gradient if self.scale == 1.0 else gradient.mul_(self.scale)

    def fold(
        self, weights: Float[Tensor, "S"], of_hidden: Float[Tensor, "S H"] | None, of_head: "HeadGradient"
    ) -> None:
        """Carries the open slice's gradient with respect to h @ weight^T, now in the buffer, on to states and head.

        Each row counts with its weight, which is cheaper to apply to the H columns here than to V columns before.
        """
        gradient, weights = self.buffer[: len(self.states)], weights.unsqueeze(-1)
        if of_hidden is not None:
            for columns in spans(of_hidden.shape[1], columns_at_once(of_hidden)):
                of_hidden[:, columns] = torch.mm(gradient, self.weight[:, columns])[: self.count] * weights
        of_head.add_weight(gradient, (self.states * _filled(weights)).to(self.dtype))


def _filled(rows: Float[Tensor, "N H"]) -> Float[Tensor, "M H"]:
    """With rows of zeros behind, whose logits and gradients are zeros too, for few shapes of products."""
    missing = rounded_up(len(rows)) - len(rows)
    return pad(rows, (0, 0, 0, missing)) if missing else rows


class DenseLogits:
    """The same doors for logits that exist already."""

    def __init__(self, logits: Float[Tensor, "N V"], vocabulary: int) -> None:
        self.logits = logits.detach()[:, :vocabulary]
        self.slice = self.logits[:0]

    def open(self, span: slice) -> None:
        self.slice = self.logits[span]

    def raw(self) -> Float[Tensor, "S V"] | None:
        return self.slice

    def block(self, rows: slice) -> Float[Tensor, "R V"]:
        return widen(self.slice[rows])


class Rows:
    """The same doors for what is no logits of one model: labels, some tokens' probabilities, several teachers' logits.

    `axis` is where the rows lie; None for what all rows share.
    """

    def __init__(self, values: Tensor, axis: int | None = 0) -> None:
        self.values, self.axis = values.detach(), axis
        self.slice = self.values

    def open(self, span: slice) -> None:
        self.slice = self._part(self.values, span)

    def raw(self) -> Tensor:
        return self.slice

    def block(self, rows: slice) -> Tensor:
        return self._part(self.slice, rows)

    def _part(self, values: Tensor, rows: slice) -> Tensor:
        return values if self.axis is None else values[(slice(None),) * self.axis + (rows,)]


class HeadGradient:
    """Gradients of one head's weight and bias, summed over slices in float32 or wider; None where nobody asks.

    Where all rows are one slice nothing is summed, so the weight's has the weight's own dtype from the start.
    """

    def __init__(self, head: Head, logits: HeadLogits, of_weight: bool, of_bias: bool) -> None:
        device, once = head.weight.device, len(logits.hidden) <= logits.slice_rows
        dtype = head.weight.dtype if once else logits.wide
        self.weight = torch.empty(head.weight.shape, dtype=dtype, device=device) if of_weight else None
        self.bias = torch.zeros(len(head.weight), dtype=logits.wide, device=device) if of_bias else None
        self.begun = False

    def add_bias(self, gradient: Float[Tensor, "R V"], weights: Float[Tensor, "R"]) -> None:
        """Adds the gradient's rows, each with its weight."""
        if self.bias is not None:
            self.bias[: gradient.shape[1]].addmv_(gradient.T, weights)

    def add_weight(self, gradient: Float[Tensor, "S V"], states: Float[Tensor, "S H"]) -> None:
        """Adds gradient^T @ states, some columns at a time."""
        if self.weight is None:
            return
        for columns in spans(gradient.shape[1], COLUMNS):
            target, factors = self.weight[columns], (gradient[:, columns].T, states)
            if target.dtype == states.dtype:
                torch.addmm(target, *factors, beta=int(self.begun), out=target)
            elif self.begun:
                target += torch.mm(*factors)
            else:
                target.copy_(torch.mm(*factors))
        if not self.begun:
            self.weight[gradient.shape[1] :] = 0.0  # of a vocabulary that was cut
        self.begun = True

    def sums(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """The gradients of weight and bias, in the dtypes of those; call it once, the sums are spent by it."""
        if self.weight is not None and not self.begun:
            self.weight.zero_()
        of_weight = None if self.weight is None else _narrowed(self.weight, weight.dtype)
        return of_weight, None if self.bias is None or bias is None else self.bias.to(bias.dtype)


def _narrowed(wide: Float[Tensor, "V H"], dtype: torch.dtype) -> Float[Tensor, "V H"]:
    """The same in a dtype that is no wider, written over itself: a second tensor of this size is worth avoiding."""
    if wide.dtype == dtype:
        return wide
    numbers = wide.view(-1)
    narrow = numbers.view(dtype)[: len(numbers)]
    for span in spans(len(numbers), 2**20):  # what is read lies behind what is written
        narrow[span] = numbers[span].to(dtype)
    return narrow.view(wide.shape)


def block_rows(vocabulary: int, device: torch.device, slice_rows: int) -> int:
    """Rows of logits to work on element by element at a time: few on a CPU, so that they stay in its cache."""
    return max(1, 2**19 // vocabulary) if device.type == "cpu" else slice_rows


def columns_at_once(states: Float[Tensor, "S H"]) -> int:
    """On a CPU, oneDNN leaves all cores but one idle where a bf16 product has few columns; two halves keep two busy."""
    width = states.shape[1]
    return (width + 1) // 2 if states.device.type == "cpu" and 256 < width <= 768 else width


def summed_columns(head: Head) -> int:
    """Columns of the head's gradient that are summed in float32 over slices, and not where one slice has all rows."""
    trained = torch.is_grad_enabled() and head.weight.requires_grad
    return head.weight.shape[1] if trained and head.weight.dtype.itemsize == 2 else 0


def slice_rows_for(rows: int, vocabulary: int, dtype: torch.dtype, device: torch.device, *, summed: int = 0) -> int:
    """How many of `rows` to multiply with the head at a time: all, or slices as equal as can be, of whole tiles.

    `summed` float32 columns (`summed_columns`) take as much memory as as many more rows of student and teacher.
    Measured on a CPU, seconds with 256, 384 and 512 rows of V = 49,152: 1.41, 1.22, 1.14, for 50 MiB more memory; with
    373 and 410, which are no multiples of 32: 5 % more than with 384 and 416.
    """
    whole = 36 * 2**20 if device.type == "cpu" else 2**28
    most = max(256, min(2048 // dtype.itemsize, whole // (vocabulary * dtype.itemsize)))
    slices = 1 if rows <= most + summed else max(1, round(rows / most))
    return max(1, rows if slices == 1 else 32 * -(-rows // (32 * slices)))


def slice_rows_of(hidden: Float[Tensor, "N H"], head: Head, vocabulary: int, dtype: torch.dtype) -> int:
    """`slice_rows_for` the rows of hidden states, with what this head's gradient would take."""
    return slice_rows_for(len(hidden), vocabulary, dtype, hidden.device, summed=summed_columns(head))


def spans(rows: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover range(rows)."""
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))
