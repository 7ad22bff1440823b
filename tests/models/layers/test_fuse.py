"""A model with compiled layers is the same model, and its own again afterwards."""

import copy

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from stillhouse.compiled import compiler
from stillhouse.models.forward import backbone
from stillhouse.models.layers import fuse, fused_layers, native
from stillhouse.models.lora import with_lora
from stillhouse.recipe import Lora
from stillhouse.tiny import tiny_model

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")

IDS = torch.arange(3, 43).view(2, 20)
SIZE = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.fixture(autouse=True)
def however_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "FEW", 0)


def llama() -> PreTrainedModel:
    return tiny_model(seed=3).model


def qwen() -> PreTrainedModel:
    torch.manual_seed(0)
    return Qwen3ForCausalLM(Qwen3Config(**SIZE, num_key_value_heads=2, head_dim=8))


def checkpointed() -> PreTrainedModel:
    model = llama().train()
    model.activation_checkpointing_enable()
    return model


def adapted() -> PreTrainedModel:
    lm = with_lora(tiny_model(seed=3), Lora(rank=2, alpha=4))
    with torch.no_grad():
        for weight in lm.model.parameters():
            if weight.requires_grad:
                weight.add_(0.05)
    return lm.model


def loss_and_gradients(model: PreTrainedModel, *, half: bool = False) -> list[torch.Tensor]:
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        loss = model(IDS, labels=IDS).loss
    loss.backward()
    return [loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


def kinds(model: PreTrainedModel) -> list[type]:
    return [type(module) for module in model.modules()]


@pytest.mark.parametrize("made", [llama, qwen, checkpointed, adapted])
@pytest.mark.parametrize(("half", "tolerance"), [(False, 2e-6), (True, 5e-2)])
def test_loss_and_gradients_are_the_same(made, half, tolerance):
    model = made()
    names, expected, before = list(model.state_dict()), loss_and_gradients(model, half=half), kinds(model)
    with fused_layers(model):
        assert sum(now is not then for now, then in zip(kinds(model), before, strict=True)) >= 2 * 3 + 1
        found = loss_and_gradients(model, half=half)
        assert list(model.state_dict()) == names
    for mine, plain in zip(found, expected, strict=True):
        assert mine.dtype == plain.dtype
        assert (mine - plain).abs().max() <= tolerance * plain.abs().max()


def test_only_norms_before_linear_layers_round():
    model, dtypes = qwen(), {}
    for name, module in model.named_modules():
        if "norm" in name:
            module.register_forward_hook(lambda *call, name=name: dtypes.update({name: call[2].dtype}))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        own = backbone(model)(IDS).last_hidden_state
        before = dict(dtypes)
        with fused_layers(model):
            fused = backbone(model)(IDS).last_hidden_state
    assert set(before.values()) == {torch.float32} == {own.dtype, fused.dtype}
    rounded = {name.split(".")[-1] for name, dtype in dtypes.items() if dtype == torch.bfloat16}
    assert rounded == {"input_layernorm", "post_attention_layernorm"}


def test_all_is_as_before_also_after_an_exception():
    model = llama()
    before, state = kinds(model), torch.get_rng_state()
    with pytest.raises(KeyError), fused_layers(model), fused_layers(model):
        assert kinds(model) != before
        raise KeyError
    assert kinds(model) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert all("forward" not in vars(module) for module in model.modules())


def test_a_copy_works_with_its_own_weights():
    model = llama()
    with fused_layers(model):
        copied = copy.deepcopy(model)
    with torch.no_grad():
        for weight in copied.parameters():
            weight.mul_(1.5)
        plain = llama()
        plain.load_state_dict(copied.state_dict())
        torch.testing.assert_close(copied(IDS).logits, plain(IDS).logits)
        assert not torch.allclose(model(IDS).logits, plain(IDS).logits)
        halved = copied.to(torch.bfloat16)(IDS).logits
        torch.testing.assert_close(halved, plain.to(torch.bfloat16)(IDS).logits, rtol=5e-2, atol=5e-2)


def test_float64_goes_the_modules_own_way():
    model = llama().double()
    expected = loss_and_gradients(model)
    with fused_layers(model):
        torch.testing.assert_close(loss_and_gradients(model), expected, rtol=0, atol=0)


def test_what_does_not_fit_or_cannot_be_compiled_stays(monkeypatch):
    gemma, model = Gemma2ForCausalLM(Gemma2Config(**SIZE, num_key_value_heads=2, head_dim=8)), llama()
    monkeypatch.setattr(fuse, "available", lambda: True)
    before = kinds(gemma)
    with fused_layers(gemma):
        assert kinds(gemma) == before
    monkeypatch.setattr(fuse, "available", lambda: False)
    before = kinds(model)
    with fused_layers(model):
        assert kinds(model) == before


def test_few_numbers_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = llama(), []
    monkeypatch.setattr(native, "FEW", 10**6)
    monkeypatch.setattr(fuse, "rms_norm", lambda *given: asked.append(given))
    with fused_layers(model):
        plain = loss_and_gradients(model)
    assert all(torch.equal(a, b) for a, b in zip(plain, loss_and_gradients(model), strict=True)) and not asked
