import sys
from pathlib import Path

import pytest
import torch

from stillhouse.errors import ModelError
from stillhouse.models.load import load
from stillhouse.models.lora import merged, with_lora
from stillhouse.recipe import Lora
from stillhouse.tiny import tiny_model

IDS = torch.arange(12)[None]


def trained(lm) -> None:
    """Give the adapters something to say."""
    with torch.no_grad():
        for weight in lm.model.parameters():
            if weight.requires_grad:
                weight.add_(0.05)


def test_only_adapters_learn_and_they_begin_as_nothing() -> None:
    plain = tiny_model().model(IDS).logits
    lm = with_lora(tiny_model(), Lora(rank=2, alpha=4))
    names = [name for name, weight in lm.model.named_parameters() if weight.requires_grad]
    assert names
    assert all("lora_" in name for name in names)
    assert len(names) == 2 * 7 * 2  # A and B of seven matrices in two layers
    torch.testing.assert_close(lm.model(IDS).logits, plain)


def test_adapters_of_a_bf16_model_are_float32() -> None:
    lm = tiny_model()
    lm.model.to(torch.bfloat16)
    adapted = with_lora(lm, Lora(rank=2))
    assert {w.dtype for w in adapted.model.parameters() if w.requires_grad} == {torch.float32}
    assert adapted.model(IDS).logits.dtype == torch.bfloat16


def test_the_merged_model_is_plain_and_says_the_same(tmp_path: Path) -> None:
    lm = with_lora(tiny_model(), Lora(rank=2, alpha=4))
    trained(lm)
    adapted = lm.model(IDS).logits
    assert not torch.allclose(adapted, tiny_model().model(IDS).logits)
    whole = merged(lm)
    assert whole.model.state_dict().keys() == tiny_model().model.state_dict().keys()
    torch.testing.assert_close(whole.model(IDS).logits, adapted)
    torch.testing.assert_close(lm.model(IDS).logits, adapted)
    whole.model.save_pretrained(tmp_path)
    whole.tokenizer.save_pretrained(tmp_path)
    found = load(str(tmp_path), dtype="float32", device="cpu")
    torch.testing.assert_close(found.model(IDS).logits, adapted)


def test_merging_a_plain_model_changes_nothing() -> None:
    lm = tiny_model()
    assert merged(lm) is lm


def test_named_targets() -> None:
    lm = with_lora(tiny_model(), Lora(rank=2, target=("q_proj",)))
    names = [name for name, weight in lm.model.named_parameters() if weight.requires_grad]
    assert all(".q_proj." in name for name in names)


def test_an_unknown_target_is_told() -> None:
    with pytest.raises(ModelError, match="names no layer of 'tiny-0'; use 'all-linear'"):
        with_lora(tiny_model(), Lora(target=("nothing",)))


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "peft" or name.startswith("peft.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ModelError, match=r"pip install stillhouse\[peft\]"):
        with_lora(tiny_model(), Lora())
