"""A run with compact AdamW: whole weights before and after, resumed to the last bit, and as well learnt."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from stillhouse.compiled import compiler
from stillhouse.errors import TrainingError
from stillhouse.tiny import tiny_model
from stillhouse.train.compact.optimiser import CompactAdamW
from stillhouse.train.loop import run_training
from stillhouse.train.optim import WholeAdamW, optimiser
from tests.train.stage import job, largest_difference, log, train_settings, weights

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")

KD = {"use": "forward_kl", "on": "reference"}


def student():
    """Large enough for its matrices to be halved."""
    return tiny_model(seed=1, hidden=64)


def trained(folder: Path, **settings: Any) -> dict[str, torch.Tensor]:
    on_step = settings.pop("on_step", lambda step, line: None)
    learner = student()
    work = job(train_settings(KD, **settings), folder, student=learner, teacher=tiny_model(seed=2, hidden=64))
    run_training(replace(work, dtype=torch.bfloat16, on_step=on_step))
    assert {p.dtype for p in learner.model.parameters()} == {torch.float32}
    return weights(learner.model)


def test_compact_where_products_are_in_bfloat16() -> None:
    kinds = {
        (dtype, moments): type(optimiser(student().model, train_settings(moments=moments), dtype))
        for dtype in (torch.float32, torch.bfloat16)
        for moments in ("auto", "float32")
    }
    assert kinds.pop((torch.bfloat16, "auto")) is CompactAdamW
    assert set(kinds.values()) == {WholeAdamW}


def test_a_step_of_nothing_loses_nothing(tmp_path: Path) -> None:
    assert largest_difference(trained(tmp_path, lr=0.0, weight_decay=0.0), weights(student().model)) == 0.0


def test_a_resumed_run_is_bit_identical(tmp_path: Path) -> None:
    straight = trained(tmp_path / "straight", steps=5, checkpoint_every=2)

    def kill(step: int, line: dict[str, Any]) -> None:
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "resumed", steps=5, checkpoint_every=2, on_step=kill)
    assert largest_difference(straight, trained(tmp_path / "resumed", steps=5, checkpoint_every=2)) == 0.0
    with pytest.raises(TrainingError, match=r"train\.moments"):
        trained(tmp_path / "straight", steps=7, checkpoint_every=2, moments="float32")


def test_as_well_learnt_as_with_float32_moments(tmp_path: Path) -> None:
    for moments in ("auto", "float32"):
        trained(tmp_path / moments, moments=moments, steps=60, batch_size=6)
    compact, whole = ([line["loss"] for line in log(tmp_path / m) if "loss" in line] for m in ("auto", "float32"))
    assert compact[0] == pytest.approx(whole[0], rel=2e-4)  # of an embedding rounded to bfloat16
    assert whole[-1] < 0.5 * whole[0]
    assert compact[-1] == pytest.approx(whole[-1], rel=0.1)
