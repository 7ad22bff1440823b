"""An embedding's rows and their gradients, against autograd's own."""

import copy

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from stillhouse.tiny import tiny_model
from stillhouse.train.embedding import embedding_rows

IDS = torch.tensor([[5, 9, 5, 5], [0, 9, 11, 0]])


def loss_of(model: PreTrainedModel, *, head: bool = True) -> Tensor:
    out = model(input_ids=IDS, output_hidden_states=True)
    return out.logits.logsumexp(-1).sum() if head else out.hidden_states[-1].square().sum()


def gradients(model: PreTrainedModel) -> dict[str, Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("padding", [None, 0])
def test_gradients_are_autograds_own(tied: bool, head: bool, padding: int | None) -> None:
    model = tiny_model(tied=tied).model.double()
    model.get_input_embeddings().padding_idx = padding
    expected = copy.deepcopy(model)
    for _ in range(2):  # the second is added to the first, as of the next micro-batch
        loss_of(expected, head=head).backward()
        with embedding_rows(model):
            loss_of(model, head=head).backward()
    torch.testing.assert_close(gradients(model), gradients(expected))


def test_tokens_that_come_often_are_summed_before_they_are_rounded() -> None:
    model = tiny_model(tied=False).model
    embedding = model.get_input_embeddings()
    embedding.weight.data = embedding.weight.data.bfloat16()
    with embedding_rows(model):
        with torch.autocast("cpu", torch.bfloat16):
            rows = embedding(torch.full((1, 1000), 3))
            loss = rows.sum()
        loss.backward()
    assert embedding.weight.grad is not None and embedding.weight.grad.dtype == torch.bfloat16
    assert embedding.weight.grad[3].tolist() == [1000.0] * embedding.embedding_dim  # bfloat16 alone counts to 256
    assert embedding.weight.grad.count_nonzero() == embedding.embedding_dim


def test_what_layers_add_to_stays_wide_under_autocast_alone() -> None:
    model = tiny_model().model
    embedding, ids = model.get_input_embeddings(), torch.arange(4)
    embedding.weight.data = embedding.weight.data.bfloat16()
    with embedding_rows(model):
        with torch.autocast("cpu", torch.bfloat16):
            assert embedding(ids).dtype == torch.float32
        assert embedding(ids).dtype == torch.bfloat16
    assert not embedding._forward_hooks


def test_a_pass_that_failed_leaves_nothing_behind() -> None:
    model = tiny_model().model
    with pytest.raises(MemoryError), embedding_rows(model):
        model.get_input_embeddings()(IDS).sum().backward()
        raise MemoryError
    assert model.get_input_embeddings().weight.grad is None and not model.get_input_embeddings()._forward_hooks


def test_a_frozen_embedding_and_one_of_another_kind_are_left_alone() -> None:
    class Scaled(nn.Embedding):
        """As Gemma's, which would round what it scales."""

    frozen, scaled = tiny_model().model, tiny_model().model
    frozen.requires_grad_(False)
    scaled.get_input_embeddings().__class__ = Scaled
    with embedding_rows(frozen), embedding_rows(scaled):
        assert not scaled.get_input_embeddings()._forward_hooks
        assert not frozen.get_input_embeddings()(IDS).requires_grad
