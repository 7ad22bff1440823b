"""What is read from a student's embedding in a pass, as wide as it has to be, and the gradient of that alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel


@contextmanager
def embedding_rows(model: PreTrainedModel) -> Iterator[None]:
    """Around a forward and backward pass: rows that are read under autocast are float32, also where the weight is a
    half, and on a CPU their gradients are added to the weight's at the end.

    All layers add to those rows: in bfloat16 they would lose what little a layer adds. Autograd would make a matrix
    as large as the vocabulary of their gradients, nearly all zeros, and with a tied head another one for the sum.
    """
    embedding, read = model.get_input_embeddings(), list[tuple[Tensor, Tensor]]()
    if not is_plain(embedding):
        yield
        return

    def hook(_: nn.Module, given: tuple[Tensor], rows: Tensor) -> Tensor:
        if rows.dtype == torch.bfloat16 and torch.is_autocast_enabled(rows.device.type):
            rows = rows.float()
        if rows.device.type == "cpu" and rows.requires_grad:
            rows = rows.detach().requires_grad_()
            read.append((given[0], rows))
        return rows

    handle = embedding.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
    reached = [(ids, rows.grad) for ids, rows in read if rows.grad is not None]
    if reached:
        ids, gradients = (torch.cat([x.flatten(0, 1) for x in part]) for part in zip(*reached, strict=True))
        kept = ids != (-1 if embedding.padding_idx is None else embedding.padding_idx)
        _add(embedding.weight, ids[kept], gradients[kept])


def is_plain(embedding: nn.Module) -> TypeGuard[nn.Embedding]:
    """Whether it only looks rows up; some families' scale them, and round them by that."""
    return type(embedding) is nn.Embedding and embedding.max_norm is None and not embedding.scale_grad_by_freq


@torch.no_grad()
def _add(weight: Tensor, ids: Int[Tensor, "N"], gradients: Float[Tensor, "N H"]) -> None:
    """Adds to the weight's gradient; tokens that were read often are summed as wide as they come, and rounded once."""
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    tokens, where = ids.unique(return_inverse=True)
    sums = gradients.new_zeros(len(tokens), gradients.shape[1]).index_add_(0, where, gradients)
    weight.grad[tokens] = (weight.grad[tokens] + sums).to(weight.dtype)
