"""The loop: invariances of the step, learning, resuming, and refusing to step on nonsense."""

import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from stillhouse.errors import Interrupted, TrainingError
from stillhouse.objectives.divergences.taid import TaidSchedule
from stillhouse.tiny import tiny_model
from stillhouse.train import loop
from stillhouse.train.loop import run_training
from tests.train.stage import job, largest_difference, log, train_settings, trained, weights

KD = ({"use": "sft", "on": "reference", "weight": 0.5}, {"use": "forward_kl", "on": "reference", "weight": 0.5})
DPKD = ({"use": "dpkd", "beta": 0.5}, {"use": "sft", "on": "text"})


@pytest.mark.parametrize("objectives", [KD, DPKD], ids=["kd", "dpkd"])
@pytest.mark.parametrize("reduction", ["token", "sequence"])
def test_one_big_batch_equals_many_small_ones(objectives: Any, reduction: str, tmp_path: Path) -> None:
    whole = trained(train_settings(*objectives, reduction=reduction), tmp_path / "whole")
    cut = trained(train_settings(*objectives, reduction=reduction, micro_tokens=1), tmp_path / "cut")
    first = [log(tmp_path / name)[1] for name in ("whole", "cut")]
    for measure in ("loss", "grad_norm"):
        assert first[0][measure] == pytest.approx(first[1][measure], rel=1e-5)
    assert largest_difference(whole, cut) < 2e-4  # Adam's first steps turn rounding of tiny gradients into weights


@pytest.mark.parametrize("objectives", [KD, DPKD], ids=["kd", "dpkd"])
def test_packing_changes_nothing(objectives: Any, tmp_path: Path) -> None:
    how = {"rollout": {"max_new_tokens": 8}}  # Adam makes weights of rounding, more so on shorter samples
    packed = trained(train_settings(*objectives, **how), tmp_path / "packed")
    padded = trained(train_settings(*objectives, packing=False, **how), tmp_path / "padded")
    assert largest_difference(packed, padded) < 2e-5


def test_cached_teacher_changes_nothing(tmp_path: Path) -> None:
    cached = trained(train_settings(*KD, steps=6), tmp_path / "cached")
    live = trained(train_settings(*KD, steps=6, cache_teacher=False), tmp_path / "live")
    assert (tmp_path / "cached/signals.safetensors").exists() and not (tmp_path / "live/signals.safetensors").exists()
    assert largest_difference(cached, live) < 2e-5


def test_a_padded_vocabulary_changes_nothing(tmp_path: Path) -> None:
    same = trained(train_settings(*KD), tmp_path / "same")
    teacher = tiny_model(seed=2, extra_rows=7)
    with torch.no_grad():
        teacher.model.get_input_embeddings().weight[:-7] = tiny_model(seed=2).model.get_input_embeddings().weight
        for name, p in tiny_model(seed=2).model.named_parameters():
            if "embed" not in name:
                teacher.model.get_parameter(name).copy_(p)
    padded = trained(train_settings(*KD), tmp_path / "padded", teacher=teacher)
    assert largest_difference(same, padded) < 1e-6


def test_the_long_term_and_the_single_step_of_minillm(tmp_path: Path) -> None:
    both = ({"use": "minillm", "on": "student", "alpha": 0.0}, {"use": "reverse_kl", "on": "student"})
    trained(train_settings(*both, steps=2), tmp_path / "run")
    first = log(tmp_path / "run")[1]
    assert set(first["terms"]) == {"minillm", "reverse_kl"} and first["terms"]["minillm"] != 0
    one = ({"use": "minillm", "on": "student", "alpha": 0.0, "whitening": "none"},)
    whole = trained(train_settings(*one, steps=2), tmp_path / "whole")
    cut = trained(train_settings(*one, steps=2, micro_tokens=1), tmp_path / "cut")
    assert largest_difference(whole, cut) < 2e-4


TAID = ({"use": "taid", "form": "cross_entropy", "interpolation": {"rate": 0.5}},)


def test_the_target_moves_and_a_resumed_run_knows_where_it_stood(tmp_path: Path) -> None:
    settings = train_settings(*TAID, steps=5, checkpoint_every=2)
    straight = trained(settings, tmp_path / "straight")
    lines = log(tmp_path / "straight")[1:]
    moved = [line["t"]["taid"] for line in lines]
    assert moved[0] == 0.4 and moved == sorted(moved) and 0.5 < moved[-1] < 1.0
    schedule = TaidSchedule(rate=0.5)
    for step, line in enumerate(lines):
        assert line["t"]["taid"] == pytest.approx(schedule.t)
        schedule = schedule.next(line["loss"], step / 5)

    def kill(step: int, line: dict[str, Any]) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(settings, tmp_path / "resumed", on_step=kill)
    assert largest_difference(straight, trained(settings, tmp_path / "resumed")) == 0.0
    assert [line["t"] for line in log(tmp_path / "resumed")[1:]] == [line["t"] for line in lines]


def test_a_student_learns_its_teacher(tmp_path: Path) -> None:
    settings = train_settings({"use": "forward_kl", "on": "teacher"}, steps=80, batch_size=6, lr=2e-2)
    run_training(job(settings, tmp_path))
    losses = [line["loss"] for line in log(tmp_path) if "loss" in line]
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("stop_at", [2, 3])
@pytest.mark.parametrize("objectives", [KD, DPKD], ids=["kd", "dpkd"])
def test_a_resumed_run_is_bit_identical(objectives: Any, stop_at: int, tmp_path: Path) -> None:
    settings = train_settings(*objectives, steps=5, checkpoint_every=2, dropout=True, rollout={"refresh": 2})
    straight = trained(settings, tmp_path / "straight")

    class Killed(Exception):
        pass

    def kill(step: int, line: dict[str, Any]) -> None:
        if step == stop_at + 1:
            raise Killed

    with pytest.raises(Killed):
        trained(settings, tmp_path / "resumed", on_step=kill)
    resumed = trained(settings, tmp_path / "resumed")
    assert largest_difference(straight, resumed) == 0.0
    assert _without_time(log(tmp_path / "straight")) == _without_time(log(tmp_path / "resumed"))


def _without_time(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def test_a_signal_stops_after_the_step_and_keeps_it(tmp_path: Path) -> None:
    settings = train_settings(*KD, steps=5)

    def interrupt(step: int, line: dict[str, Any]) -> None:
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="after step 2 of 5"):
        trained(settings, tmp_path / "stopped", on_step=interrupt)
    assert (tmp_path / "stopped/checkpoints/step-000002/MANIFEST.json").exists()
    resumed = trained(settings, tmp_path / "stopped")
    assert largest_difference(resumed, trained(settings, tmp_path / "straight")) == 0.0


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Memory for 60 tokens of a micro-batch; returns the sizes that were tried."""
    tried: list[int] = []
    whole = loop.micro_loss

    def scarce(models: Any, loss: Any, items: Any, *rest: Any) -> Any:
        tried.append(sum(len(item.encoded.ids) for item in items))
        if tried[-1] > 60:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return whole(models, loss, items, *rest)

    monkeypatch.setattr(loop, "micro_loss", scarce)
    return tried


def test_out_of_memory_halves_the_micro_batches_and_changes_nothing_else(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings = train_settings(*KD, lr=1e-3)
    plain = trained(settings, tmp_path / "plain")
    tried = request.getfixturevalue("little_memory")
    warnings: list[str] = []
    halved = trained(settings, tmp_path / "halved", warnings=warnings)
    assert largest_difference(plain, halved) < 1e-4
    assert tried[0] > 60 and len(warnings) == len([size for size in tried if size > 60])
    assert all("out of memory at step" in warning for warning in warnings)
    assert log(tmp_path / "halved")[-1]["micro_tokens"] <= 60 < log(tmp_path / "plain")[-1]["micro_tokens"]


def test_a_resumed_run_remembers_that_memory_was_short(tmp_path: Path, little_memory: list[int]) -> None:
    settings = train_settings(*KD, steps=5, checkpoint_every=2)
    stopped: list[str] = []

    def interrupt(step: int, line: dict[str, Any]) -> None:
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        trained(settings, tmp_path / "stopped", on_step=interrupt, warnings=stopped)
    again: list[str] = []
    resumed = trained(settings, tmp_path / "stopped", warnings=again)
    assert stopped and not again
    assert largest_difference(resumed, trained(settings, tmp_path / "straight")) == 0.0


def test_one_prompt_too_long_for_memory_ends_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(loop, "micro_loss", never)
    with pytest.raises(TrainingError, match=r"does not suffice for one prompt at step 1; lower data\.max_tokens"):
        trained(train_settings(*KD), tmp_path)


def test_other_errors_are_not_taken_for_a_lack_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(loop, "micro_loss", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        trained(train_settings(*KD), tmp_path)


def test_nan_stops_before_the_step_and_names_the_batch(tmp_path: Path) -> None:
    student = tiny_model(seed=1)
    with torch.no_grad():
        student.model.get_parameter("model.norm.weight")[0] = math.nan
    before = weights(student.model)
    with pytest.raises(TrainingError, match=r"the loss is nan at step 1 \(records [0-9a-f]{24}"):
        run_training(job(train_settings(*KD), tmp_path, student=student))
    after = weights(student.model)
    assert all(torch.equal(before[n], after[n]) or torch.isnan(before[n]).any() for n in before)
    assert (tmp_path / "not-finite-step-000001.json").exists()
    assert math.isnan(log(tmp_path)[-1]["loss"])


def test_prompts_are_never_targets(tmp_path: Path) -> None:
    """Training on answers alone leaves no gradient from prompts: the counted tokens are the answers' own."""
    run_training(job(train_settings({"use": "sft", "on": "reference"}, steps=2, batch_size=6), tmp_path))
    answers = sum(len(f"ok {i}" * (1 + i % 4)) + 1 for i in range(6))
    assert [line["counted"] for line in log(tmp_path) if "loss" in line] == [answers, answers]


def test_the_probe_sees_the_student_before_and_after(tmp_path: Path) -> None:
    seen = []
    settings = train_settings(*KD, steps=4, probe_every=2)
    run_training(job(settings, tmp_path, probe=lambda model: {"kl": float(len(seen)), **(seen.append(1) or {})}))
    assert [line["step"] for line in log(tmp_path) if "probe" in line] == [0, 2, 4]
