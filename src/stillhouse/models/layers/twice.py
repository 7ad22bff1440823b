"""Gradients of gradients: rare enough to take torch's own operations for them."""

import torch
from torch import Tensor


def differentiable(y: Tensor, of_y: Tensor, *inputs: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients of y's inputs, differentiable in their turn; None for an input that wants none."""
    slopes = iter(torch.autograd.grad(y, [x for x in inputs if x.requires_grad], of_y, create_graph=True))
    return tuple(next(slopes) if x.requires_grad else None for x in inputs)
