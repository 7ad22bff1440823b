"""AdamW and the learning-rate schedules."""

import math

from torch import nn
from torch.optim import AdamW

from stillhouse.recipe import Train


def optimiser(model: nn.Module, train: Train) -> AdamW:
    """Fused AdamW over what is trainable; weight decay on matrices only, as is usual."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": train.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return AdamW([g for g in groups if g["params"]], lr=train.lr, betas=train.betas, fused=True)


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
