"""What the tests of the room share: a few rows of logits, and each per-token objective with settings worth trying."""

import math

import torch
from torch import Tensor

from tests.objectives import oracles

V = 13

SETTINGS = {
    "sft": [{}, {"label_smoothing": 0.1}],
    "unlikelihood": [{}],
    "forward_kl": [{}, {"temperature": 2.0, "tau_squared": True}],
    "reverse_kl": [{}, {"temperature": 0.7}],
    "jsd": [{}, {"beta": 0.1, "temperature": 2.0}, {"beta": 0.9, "tau_squared": True}, {"beta": 0.0}, {"beta": 1.0}],
    "akl": [
        {},
        {"mu": 0.8},
        {"mu": 0.5, "head": "paper"},
        {"mu": 1.0, "temperature": 2.0},
        {"mu": 0.0},
        {"mu": 0.0, "head": "paper"},
    ],
    "symmetric_kl": [{}, {"weight": 0.9, "temperature": 2.0}],
    "skew_kl": [{}, {"alpha": 0.6, "temperature": 2.0, "tau_squared": True}, {"alpha": 0.0}],
    "skew_reverse_kl": [{}, {"alpha": 0.6, "temperature": 2.0}, {"alpha": 0.0}, {"detach_mixture": True}],
    "total_variation": [{}, {"temperature": 2.0, "tau_squared": True}],
    "alpha_beta": [
        {},
        {"alpha": 0.2, "beta": 0.7},
        {"alpha": 0.5, "beta": -0.5},
        {"alpha": 0.7, "beta": -0.7, "limits": "exact"},
        {"alpha": 0.0, "beta": 0.3, "limits": "exact"},
        {"alpha": 1.5, "beta": -0.3},
        {"alpha": -0.3, "beta": 0.6},
        {"alpha": 0.0, "beta": 0.0},
        {"alpha": 0.0, "beta": 0.5},
        {"alpha": 0.5, "beta": 0.0, "temperature": 2.0},
        {"alpha": 1.0, "beta": 0.0},
        {"alpha": 0.0, "beta": 1.0},
    ],
    "amari": [{}, {"alpha": 0.0}, {"alpha": 1.0}, {"alpha": 1.5}, {"alpha": -0.5}],
    "renyi": [{}, {"alpha": 2.0, "temperature": 2.0}, {"alpha": 1.0}],
    "hellinger": [{}, {"temperature": 2.0, "tau_squared": True}],
    "f_divergence": [
        {},
        {"generator": "reverse_kl", "temperature": 2.0, "tau_squared": True},
        {"generator": "jeffreys"},
        {"generator": "jensen_shannon", "temperature": 0.7},
        {"generator": "total_variation"},
        {"generator": "squared_hellinger"},
        {"generator": "triangular"},
        {"generator": "chi_squared", "temperature": 2.0},
        {"generator": "reverse_chi_squared", "temperature": 2.0},
    ],
    "taid": [{}, {"t": 0.7, "temperature": 2.0, "tau_squared": True}, {"t": 1.0}],
    "standardised_kl": [{}, {"temperature": 0.5, "tau_squared": True}],
    "pt_loss": [
        {},
        {"perturbations": []},
        {"perturbations": [0.5, -0.3], "temperature": 0.7},
        {"perturbations": [0.5, -0.3, 2.0], "temperature": 2.0, "tau_squared": True},
    ],
    "dkd": [{}, {"alpha": 0.5, "beta": 1.0, "temperature": 2.0, "tau_squared": True}],
    "entropy": [{}, {"temperature": 2.0}],
    "cross_entropy_soft": [{}, {"temperature": 2.0, "tau_squared": True}],
    "dpkd_token": [
        {},
        {"beta": 1.0, "label_smoothing": 0.2},
        {"form": "ipo"},
        {"dpop": 50.0},
        {"reference_free": True},
    ],
}
"""Per-token objectives, by name."""

OTHERS = ("sft", "unlikelihood", "pt_loss", "dkd", "entropy", "cross_entropy_soft", "dpkd_token")
DIVERGENCES = [name for name in SETTINGS if name not in OTHERS]
"""Those of p and q alone that are zero at q = p and positive elsewhere."""


def holds_a_part(name: str, settings: dict) -> bool:
    """Whether the gradient leaves out part of what the value depends on: weights that are held, argmaxes."""
    return name in ("akl", "dpkd_token", "taid") or settings.get("detach_mixture", False)


PER_TOKEN_CASES = [(name, settings) for name, choices in SETTINGS.items() for settings in choices]
DIVERGENCE_CASES = [(name, settings) for name, settings in PER_TOKEN_CASES if name in DIVERGENCES]


def logits(*shape: int, seed: int, scale: float = 2.0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale).to(dtype)


def inputs(needs: tuple[str, ...], rows: tuple[int, ...] = (2, 3), dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Tensors for the needs of a per-token objective, always the same."""
    given = {
        "student_logits": logits(*rows, V, seed=1, dtype=dtype),
        "teacher_logits": logits(*rows, V, seed=2, dtype=dtype),
        "labels": torch.randint(V - 2, rows, generator=torch.Generator().manual_seed(3)),
    }
    return [given[name] for name in needs]


def expected(name: str, tensors: list[Tensor], settings: dict) -> Tensor:
    """The oracle's value of every row."""
    flat = [
        t.reshape(-1, t.shape[-1]).double().numpy() if t.is_floating_point() else t.reshape(-1).numpy() for t in tensors
    ]
    values = [getattr(oracles, name)(*row, **settings) for row in zip(*flat, strict=True)]
    assert all(math.isfinite(v) for v in values)
    return torch.tensor(values, dtype=torch.float64).reshape(tensors[0].shape[:-1])
