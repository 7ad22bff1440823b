"""AdamW in half the memory, on a CPU: 9 bytes a weight, gradient included, where float32 beside autocast takes 18."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from stillhouse.machine import give_back
from stillhouse.train.compact.halves import joined, split
from stillhouse.train.compact.native import BLOCK, Step, available, square_sum, step_blocks

SMALLEST = 16 * BLOCK
"""Tensors of fewer weights have float32 moments: norms and biases, which weigh little and matter much."""


class CompactAdamW(AdamW):
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101) with compact moments, as 8-bit optimisers have them (Dettmers et
    al., arXiv 2110.02861), and with weights that are exact though the model holds half of them.

    While it is `working`, the matrices in `halved` are bfloat16 in the model, as autocast would make them anew in each
    step; their lower halves are here, so that they lose no bit of float32. A first moment is 8 bits, the fourth root of
    its share of the largest of 256; a second moment is a bfloat16. A step is taken with both as they are before they
    are rounded, and they are rounded up or down at random by what they lack: the same way in each run.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float],
        halved: Collection[nn.Parameter] = (),
    ) -> None:
        super().__init__(groups, lr=lr, betas=betas, fused=True)
        parameters = [p for group in self.param_groups for p in group["params"]]
        self._number = {p: n for n, p in enumerate(parameters) if p.numel() >= SMALLEST}
        self._halved = dict.fromkeys(p for p in halved if p in self._number)
        self._factor = 1.0

    @contextmanager
    def working(self) -> Iterator[None]:
        """The halved matrices are bfloat16 for a while, then whole again, whatever happens; moments end with it."""
        for parameter in self._number:  # now, since what is made between steps would lie where activations were
            self._begin(parameter)
        for parameter in (p for group in self.param_groups for p in group["params"]):
            if parameter in self._halved:
                parameter.data, self.state[parameter]["lower"] = split(parameter.data)
            else:  # a file that weights were mapped from stays in memory as long as one of them does
                parameter.data = parameter.data.clone()
        try:
            yield
        finally:
            give_back()  # what was freed in the last step, before as much is asked for
            for parameter in self._halved:
                parameter.grad = None
                parameter.data = joined(parameter.data, self.state.pop(parameter)["lower"])

    def clip(self, limit: float) -> float:
        """The norm of all gradients; those that the next step takes are shortened so that it is at most `limit`."""
        given = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        norm = sum(square_sum(p.grad.contiguous()) for p in given) ** 0.5
        self._factor = min(1.0, limit / (norm + 1e-6))
        return norm

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step with all gradients, which are spent by it."""
        for group in self.param_groups:
            for parameter in [p for p in group["params"] if p.grad is not None]:
                if parameter in self._number:
                    self._step(parameter, group)
                    parameter.grad = None  # so that AdamW's own step passes it over
                else:
                    parameter.grad *= self._factor
        self._factor = 1.0
        super().step(closure)

    def _step(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        state["step"] += 1
        t, (beta1, beta2) = int(state["step"]), group["betas"]
        step = Step(
            factor=self._factor,
            rate=group["lr"] / (1 - beta1**t),
            keep=1 - group["lr"] * group["weight_decay"],
            beta1=beta1,
            beta2=beta2,
            root=(1 - beta2**t) ** -0.5,
            eps=group["eps"],
            seed=(t * 1_000_003 + self._number[parameter]) * 0x85EBCA6B % 2**32,
        )
        moments = state["codes"], state["scales"], state["second"]
        assert parameter.grad is not None
        step_blocks(step, parameter.data, state.get("lower"), parameter.grad.contiguous(), *moments)

    def _begin(self, parameter: nn.Parameter) -> None:
        state, size = self.state[parameter], parameter.numel()
        if "step" not in state:
            state["step"] = torch.tensor(0.0)
            state["codes"] = torch.zeros(size, dtype=torch.int8)
            state["scales"] = torch.zeros(-(-size // BLOCK))
            state["second"] = torch.zeros(size, dtype=torch.bfloat16)


def can_be_compact(parameters: Iterable[Tensor], dtype: torch.dtype) -> bool:
    """Whether there is code for it: on a CPU, where products are in bfloat16 and what is trained is float32."""
    plain = all(type(p) is nn.Parameter and p.device.type == "cpu" and p.dtype == torch.float32 for p in parameters)
    return dtype == torch.bfloat16 and plain and available()
