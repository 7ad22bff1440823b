"""A weight and its halves are the same number, to the last bit."""

import numpy as np
import pytest
import torch
from torch import nn

from stillhouse.tiny import tiny_model
from stillhouse.train.compact import halves
from stillhouse.train.compact.halves import joined, matrices, split


@pytest.fixture(autouse=True)
def short_spans(monkeypatch):
    monkeypatch.setattr(halves, "SPAN", 1000)


def patterns() -> torch.Tensor:
    """All kinds of finite numbers: random bits, and those on which rounding is a tie."""
    bits = np.random.default_rng(0).integers(0, 2**32, 70_000, dtype=np.uint32)
    bits[:2000] = (bits[:2000] & 0xFFFF0000) | 0x8000
    numbers = torch.from_numpy(bits.view(np.float32).copy())
    return numbers[numbers.abs() < 3e38][:64_000].view(-1, 4)


def test_nothing_is_lost() -> None:
    whole = patterns()
    upper, lower = split(whole)
    assert (upper.dtype, lower.dtype) == (torch.bfloat16, torch.int16) and upper.shape == whole.shape
    assert torch.equal(joined(upper, lower).view(torch.int32), whole.view(torch.int32))


def test_the_upper_half_is_the_nearest_bfloat16() -> None:
    whole = patterns()
    gap = (split(whole)[0].double() - whole.double()).abs()
    assert (gap <= (whole.bfloat16().double() - whole.double()).abs()).all()


def test_matrices_are_the_trained_linear_layers_and_the_embedding() -> None:
    model = tiny_model(tied=False).model
    frozen = model.model.layers[0].mlp.up_proj.weight.requires_grad_(False)
    found = {id(p) for p in matrices(model)}
    assert found == {id(p) for p in model.parameters() if p.ndim == 2} - {id(frozen)}


def test_an_embedding_of_another_kind_stays_whole() -> None:
    class Scaled(nn.Embedding):
        """As Gemma's, which would round what it scales."""

    model = tiny_model(tied=True).model
    model.get_input_embeddings().__class__ = Scaled
    assert model.lm_head.weight is model.get_input_embeddings().weight
    assert not any(p is model.lm_head.weight for p in matrices(model))
