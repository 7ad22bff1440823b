import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from stillhouse.errors import ModelError
from stillhouse.models.load import PLAIN_TEMPLATE, LanguageModel, fast_dtype, load
from stillhouse.models.tokenise import encode_prompt, end_of_turn
from stillhouse.records.types import Message
from stillhouse.tiny import tiny_model, tiny_tokenizer
from tests.models.small_gguf import write_small_gguf


def save(lm: LanguageModel, folder: Path) -> Path:
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


def test_a_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    lm = tiny_model(extra_rows=7)
    found = load(str(save(lm, tmp_path / "m")), dtype="float32", device="cpu")
    assert all(torch.equal(a, b) for a, b in zip(lm.model.parameters(), found.model.parameters(), strict=True))
    assert not found.model.training
    assert found.vocabulary == 261
    assert found.head_rows == 268
    assert found.window == 512
    assert found.parameters == sum(p.numel() for p in lm.model.parameters())
    assert found.eos_ids == (lm.tokenizer.eos_token_id,)
    assert found.pad_id == lm.tokenizer.pad_token_id
    assert not found.plain_chat


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_dtype_is_the_one_asked_for(tmp_path: Path, dtype: str) -> None:
    folder = save(tiny_model(), tmp_path / "m")
    assert load(str(folder), dtype=dtype, device="cpu").model.dtype == getattr(torch, dtype)


@pytest.mark.parametrize(
    ("can", "expected"),
    [({"amx_bf16": True}, torch.bfloat16), ({"avx512_bf16": True}, torch.bfloat16), ({"avx2": True}, torch.float32)],
)
def test_auto_is_bf16_where_the_cpu_is_fast(
    monkeypatch: pytest.MonkeyPatch, can: dict[str, bool], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can)
    assert fast_dtype(torch.device("cpu")) == expected


def test_a_gguf_file_loads_and_saves(tmp_path: Path) -> None:
    lm = tiny_model()
    write_small_gguf(tmp_path / "small.gguf", lm.model, lm.tokenizer)
    found = load(str(tmp_path / "small.gguf"), dtype="float32", device="cpu")
    ids = torch.arange(20)[None]
    torch.testing.assert_close(found.model(ids).logits, lm.model(ids).logits)
    again = load(str(save(found, tmp_path / "saved")), dtype="float32", device="cpu")
    assert "quantization_config" not in (tmp_path / "saved" / "config.json").read_text()
    assert torch.equal(found.model(ids).logits, again.model(ids).logits)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("./nowhere", "there is no model at ./nowhere"),
        ("/no/such/folder", "there is no model at /no/such/folder"),
        ("gone.gguf", "there is no model at gone.gguf"),
        ("nobody/none", "huggingface.co cannot be reached"),
        ("not a name", "cannot load 'not a name'"),
    ],
)
def test_a_missing_model_is_one_sentence(name: str, told: str) -> None:
    with pytest.raises(ModelError, match=told) as error:
        load(name)
    assert "\n" not in str(error.value)
    assert "'embedded'" in str(error.value)


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json"):
        load(str(tmp_path))
    (tmp_path / "data.txt").write_text("x")
    with pytest.raises(ModelError, match="is a file, not a model"):
        load(str(tmp_path / "data.txt"))


def test_missing_tensors_are_not_made_up(tmp_path: Path) -> None:
    folder = save(tiny_model(), tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 tensors of a llama, the first is model\.layers\.1\.mlp\.up_proj"):
        load(str(folder))


def test_cut_weights_are_told(tmp_path: Path) -> None:
    weights = save(tiny_model(), tmp_path / "m") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot load"):
        load(str(tmp_path / "m"))


def test_a_model_of_another_kind_is_told(tmp_path: Path) -> None:
    folder = save(tiny_model(), tmp_path / "m")
    (folder / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(ModelError, match="cannot load"):
        load(str(folder))


def test_code_of_a_model_is_never_run(tmp_path: Path) -> None:
    folder, marker = save(tiny_model(), tmp_path / "m"), tmp_path / "ran"
    config = json.loads((folder / "config.json").read_text())
    named = {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "evil", "auto_map": named}))
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')\nclass Evil: pass\n")
    with pytest.raises(ModelError):
        load(str(folder))
    assert not marker.exists()


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    lm = tiny_model()
    folder = save(lm, tmp_path / "m")
    (folder / "model.safetensors").unlink()
    torch.save(lm.model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load(str(folder))


def test_a_tokenizer_without_template_gets_the_plain_one(tmp_path: Path) -> None:
    folder = save(tiny_model(), tmp_path / "m")
    (folder / "chat_template.jinja").unlink()
    found = load(str(folder), device="cpu")
    assert found.plain_chat
    assert found.tokenizer.chat_template == PLAIN_TEMPLATE
    prompt = encode_prompt(found.tokenizer, [Message("system", "Be brief."), Message("user", "Hi")])
    assert found.tokenizer.decode(prompt) == "Be brief.\nHi\n"
    assert end_of_turn(found.tokenizer) == found.tokenizer.eos_token_id
    saved = load(str(save(found, tmp_path / "again")), device="cpu")
    assert saved.plain_chat


def test_without_a_padding_token_the_end_of_sequence_serves() -> None:
    lm = tiny_model()
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = None
    bare = LanguageModel(lm.model, tokenizer, "bare")
    assert bare.pad_id == tokenizer.eos_token_id


def test_all_stop_tokens_are_known() -> None:
    lm = tiny_model()
    lm.model.generation_config.eos_token_id = [5, 3]
    assert lm.eos_ids == tuple(sorted({3, 5, lm.tokenizer.eos_token_id}))


def test_loading_is_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = save(tiny_model(), tmp_path / "m")
    capfd.readouterr()
    load(str(folder), device="cpu")
    shutil.rmtree(folder)
    assert capfd.readouterr() == ("", "")
