"""Checkpoints that are either complete or never used: a manifest with sizes and checksums is written last.

Everything is safetensors and JSON. Resuming from one gives the weights, the optimiser, the random numbers, the samples
in use and the step, so that on a CPU a resumed run ends bit-identical to one that was never stopped.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from stillhouse.errors import StorageError, TrainingError
from stillhouse.records.store import storing, sync_folder, write_atomic

MANIFEST = "MANIFEST.json"
_PARTIAL = ".partial"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint on disk."""

    folder: Path
    step: int


def save_checkpoint(
    root: Path, step: int, model: nn.Module, optimiser: Optimizer, state: dict[str, Any], *, keep: int
) -> Checkpoint:
    """Write a checkpoint, then remove all but the `keep` newest.

    Raises StorageError when the disk is full; older checkpoints are intact then, and the partial one is removed.
    """
    final = root / f"step-{step:06d}"
    partial = final.with_name(final.name + _PARTIAL)
    _discard(partial)
    tensors = {
        "model.safetensors": _trained(model),
        "optimizer.safetensors": _flat(optimiser),
        "random.safetensors": {"cpu": torch.get_rng_state()},
    }
    try:
        with storing(final, sum(t.nbytes for part in tensors.values() for t in part.values())):
            partial.mkdir(parents=True)
            for name, part in tensors.items():
                _save_tensors(partial / name, part)
        write_atomic(partial / "state.json", json.dumps({"step": step, **state}))
        write_atomic(partial / MANIFEST, json.dumps(_manifest(partial, step), indent=1))
    except StorageError:
        _discard(partial)
        raise
    _discard(final)
    partial.rename(final)
    sync_folder(root)
    for old in sorted(complete(root), key=lambda c: c.step)[:-keep]:
        shutil.rmtree(old.folder)
    return Checkpoint(final, step)


def _save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write and flush; safetensors' own error for a full disk is turned back into the system's."""
    try:
        save_file(tensors, path)
    except SafetensorError as error:
        free = shutil.disk_usage(path.parent).free
        raise OSError(errno.ENOSPC, f"{error}; {free} bytes are free") from error
    _fsync(path)


def _discard(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def complete(root: Path) -> Iterator[Checkpoint]:
    """The checkpoints whose manifest is there and fits the files' sizes, newest first. Others are not touched."""
    for folder in sorted(root.glob("step-*"), reverse=True):
        if folder.suffix != _PARTIAL and (manifest := _read_manifest(folder)) is not None:
            files = manifest["files"]
            if all((folder / n).is_file() and (folder / n).stat().st_size == f["bytes"] for n, f in files.items()):
                yield Checkpoint(folder, manifest["step"])


def latest(root: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint whose checksums hold, and a warning for each newer one that was passed over."""
    warnings = [f"{p} was never completed; it is ignored" for p in root.glob(f"step-*{_PARTIAL}")]
    whole = {c.folder: c for c in complete(root)}
    for folder in sorted((p for p in root.glob("step-*") if p.suffix != _PARTIAL), reverse=True):
        found = whole.get(folder)
        if found is not None and _checksums_hold(folder):
            return found, warnings
        warnings.append(f"checkpoint {folder} is damaged; falling back to the one before it")
    return None, warnings


def load_checkpoint(checkpoint: Checkpoint, model: nn.Module, optimiser: Optimizer) -> dict[str, Any]:
    """Put weights, optimiser and random state back; returns the state that was saved with them.

    Raises TrainingError where weights have another precision here: their optimiser is another one too.
    """
    weights = load_file(checkpoint.folder / "model.safetensors")
    for name, parameter in _parameters(model):
        if weights[name].dtype != parameter.dtype:
            here, there = (str(t.dtype).removeprefix("torch.") for t in (parameter, weights[name]))
            raise TrainingError(
                f"{checkpoint.folder} has {name} in {there}, and this run trains it in {here}: it was begun on another "
                "kind of machine, or with another train.moments or train.precision. Go on as it was begun, or remove "
                "the folder to train anew"
            )
    with torch.no_grad():
        for name, parameter in _parameters(model):
            parameter.copy_(weights[name])
    moments = load_file(checkpoint.folder / "optimizer.safetensors")
    for index, parameter in enumerate(_optimised(optimiser)):
        names = [n for n in moments if n.partition(".")[0] == str(index)]
        optimiser.state[parameter] = {n.partition(".")[2]: moments[n].to(_home(n, parameter)) for n in names}
    torch.set_rng_state(load_file(checkpoint.folder / "random.safetensors")["cpu"])
    return json.loads((checkpoint.folder / "state.json").read_text())


def _parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, p) for name, p in model.named_parameters() if p.requires_grad)


def _trained(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().contiguous() for name, p in _parameters(model)}


def _optimised(optimiser: Optimizer) -> list[Tensor]:
    return [p for group in optimiser.param_groups for p in group["params"]]


def _flat(optimiser: Optimizer) -> dict[str, Tensor]:
    return {
        f"{index}.{name}": value.contiguous()
        for index, parameter in enumerate(_optimised(optimiser))
        for name, value in optimiser.state[parameter].items()
    }


def _home(name: str, parameter: Tensor) -> torch.device:
    return torch.device("cpu") if name.endswith(".step") else parameter.device


def _manifest(folder: Path, step: int) -> dict[str, Any]:
    files = {p.name: {"bytes": p.stat().st_size, "sha256": _sha256(p)} for p in sorted(folder.iterdir())}
    return {"step": step, "files": files}


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    try:
        return json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        return None


def _checksums_hold(folder: Path) -> bool:
    manifest = _read_manifest(folder) or {"files": {}}
    return all(_sha256(folder / name) == f["sha256"] for name, f in manifest["files"].items())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
