"""Checkpoints: damage of any file is noticed, and an older whole one is used."""

from pathlib import Path

import pytest
import torch

from stillhouse.errors import StorageError, TrainingError
from stillhouse.tiny import tiny_model
from stillhouse.train import checkpoint
from stillhouse.train.checkpoint import latest, load_checkpoint, save_checkpoint
from stillhouse.train.optim import optimiser
from tests.train.stage import train_settings

FILES = ("model.safetensors", "optimizer.safetensors", "random.safetensors", "state.json", "MANIFEST.json")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two complete checkpoints."""
    _save(tmp_path, 1)
    _save(tmp_path, 2)
    return tmp_path


def _save(root: Path, step: int, keep: int = 2) -> None:
    model = tiny_model(seed=step).model
    adam = optimiser(model, train_settings(), torch.float32)
    model(torch.arange(5)[None]).logits.sum().backward()
    adam.step()
    save_checkpoint(root, step, model, adam, {"samples": {"0:0": [step]}}, keep=keep)


def test_what_is_saved_comes_back(root: Path) -> None:
    found, warnings = latest(root)
    assert found is not None and found.step == 2 and not warnings
    model = tiny_model(seed=9).model
    adam = optimiser(model, train_settings(), torch.float32)
    assert load_checkpoint(found, model, adam) == {"step": 2, "samples": {"0:0": [2]}}
    twin = tiny_model(seed=2).model
    again = optimiser(twin, train_settings(), torch.float32)
    twin(torch.arange(5)[None]).logits.sum().backward()
    again.step()
    for mine, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert all(torch.equal(adam.state[mine][k], again.state[theirs][k]) for k in again.state[theirs])


def test_weights_of_another_precision_are_refused(root: Path) -> None:
    """They would lose the half that the optimiser had of them."""
    found, _ = latest(root)
    model = tiny_model().model
    model.model.layers[0].mlp.up_proj.bfloat16()
    adam = optimiser(model, train_settings(), torch.float32)
    with pytest.raises(TrainingError, match=r"step-000002 .*up_proj.* float32, .* bfloat16: .*train.moments"):
        load_checkpoint(found, model, adam)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "empty"])
def test_a_damaged_checkpoint_is_passed_over(root: Path, name: str, damage: str) -> None:
    path = root / "step-000002" / name
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    elif damage == "flip":
        path.write_bytes(data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])
    else:
        path.write_bytes(data[: len(data) // 2] if damage == "truncate" else b"")
    found, warnings = latest(root)
    assert found is not None and found.step in (1, 2)
    if found.step == 2:  # a flipped bit in the manifest's white space or names may leave it true
        assert name == "MANIFEST.json" and damage == "flip"
    else:
        assert any("step-000002" in w for w in warnings)


def test_a_half_written_checkpoint_is_ignored(root: Path) -> None:
    (root / "step-000003.partial").mkdir()
    found, warnings = latest(root)
    assert found is not None and found.step == 2
    assert any("never completed" in w for w in warnings)


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        _save(tmp_path, step, keep=1)
    assert [p.name for p in tmp_path.iterdir()] == ["step-000003"]


def test_a_full_disk_leaves_the_old_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensors: object, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(StorageError, match="step-000003"):
        _save(root, 3)
    assert sorted(p.name for p in root.iterdir()) == ["step-000001", "step-000002"]
