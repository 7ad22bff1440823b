"""AdamW and the learning-rate schedules."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.optim import AdamW
from transformers import PreTrainedModel

from stillhouse.recipe import Train
from stillhouse.train.compact.halves import matrices
from stillhouse.train.compact.optimiser import CompactAdamW, can_be_compact


class WholeAdamW(AdamW):
    """torch's fused AdamW: weights and moments in float32."""

    @contextmanager
    def working(self) -> Iterator[None]:
        """Nothing changes while it works."""
        yield

    def clip(self, limit: float) -> float:
        """The norm of all gradients, which are shortened so that it is at most `limit`."""
        gradients = [p for group in self.param_groups for p in group["params"]]
        return float(torch.nn.utils.clip_grad_norm_(gradients, limit))


def optimiser(model: PreTrainedModel, train: Train, dtype: torch.dtype) -> WholeAdamW | CompactAdamW:
    """AdamW over what is trainable, compact where that can be; weight decay on matrices only, as is usual.

    `dtype` is that of the model's products.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": train.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    filled = [g for g in groups if g["params"]]
    if train.moments == "auto" and can_be_compact(trainable, dtype):
        return CompactAdamW(filled, lr=train.lr, betas=train.betas, halved=matrices(model))
    return WholeAdamW(filled, lr=train.lr, betas=train.betas, fused=True)


def learning_rate(train: Train, step: int) -> float:
    """Learning rate of a step (from 0): linear warm-up over the first `warmup` of the steps, then the schedule.

    The schedule falls from `lr` to `final_lr * lr` at the last step.
    """
    warm = round(train.warmup * train.steps)
    if step < warm:
        return train.lr * (step + 1) / warm
    if train.schedule == "constant":
        return train.lr
    done = (step - warm) / max(1, train.steps - warm - 1)
    share = 0.5 * (1 + math.cos(math.pi * done)) if train.schedule == "cosine" else 1 - done
    return train.lr * (train.final_lr + (1 - train.final_lr) * share)
