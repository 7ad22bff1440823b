"""A small training job on tiny models, for the tests of the training room."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from stillhouse.models.load import LanguageModel
from stillhouse.models.tokenise import end_of_turn
from stillhouse.recipe import Data, Train
from stillhouse.records.types import Message, Record, Response
from stillhouse.tiny import tiny_model
from stillhouse.train import loop
from stillhouse.train.loop import Job, Probe, run_training
from stillhouse.train.material import build
from stillhouse.train.rows import Models
from stillhouse.train.terms import ranked_of, read_terms, several_of, sources_of

TEXTS = ("The kettle sang while the rain fell on the roof.", "A short line of plain text about nothing at all.")


def records(count: int = 6) -> list[Record]:
    """Prompts with a reference and a teacher answer of different lengths."""
    return [
        Record(
            (Message("user", f"Say {'word ' * (i % 3)}{i}"),),
            (Response("reference", f"ok {i}" * (1 + i % 4)), Response("teacher", f"yes {i}!" * (1 + i % 3))),
        )
        for i in range(count)
    ]


def train_settings(*objectives: dict[str, Any], **settings: Any) -> Train:
    """[train] in float32 with these objectives."""
    small = {"steps": 4, "batch_size": 3, "precision": "fp32", "probe_every": 100, "lr": 1e-2, "warmup": 0.0}
    rollout = {"max_new_tokens": 6} | settings.pop("rollout", {})
    return Train(objective=objectives, rollout=rollout, **(small | settings))  # pyright: ignore[reportArgumentType]


def job(
    train: Train,
    folder: Path,
    *,
    student: LanguageModel | None = None,
    teacher: LanguageModel | None = None,
    on_step: Callable[[int, dict[str, Any]], None] = lambda step, line: None,
    probe: Probe = lambda present: {},
    warnings: list[str] | None = None,
    data: Sequence[Record] | None = None,
) -> Job:
    """A job on `data`, or else `records()`, ready for `run_training`."""
    student, teacher = student or tiny_model(seed=1), teacher or tiny_model(seed=2)
    terms, rows = read_terms(train), records() if data is None else data
    wanted = {"sources": sources_of(terms, train.pair), "several": several_of(terms), "ranked": ranked_of(terms)}
    material = build(student.tokenizer, rows, TEXTS, **wanted, data=Data(max_tokens=64))
    vocabulary = min(student.head_rows, teacher.head_rows)
    return Job(
        models=Models(student.model, teacher.model, teacher.model, vocabulary, student.pad_id),
        material=material,
        train=train,
        stop_ids=(end_of_turn(student.tokenizer),),
        folder=folder,
        signals=folder / "signals.safetensors",
        seed=5,
        dtype=torch.float32,
        probe=probe,
        on_step=on_step,
        warn=(warnings if warnings is not None else []).append,
    )


def weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """A copy of all weights."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def trained(train: Train, folder: Path, **kwargs: Any) -> dict[str, torch.Tensor]:
    """The weights of a student after training."""
    student = tiny_model(seed=1)
    run_training(job(train, folder, student=student, **kwargs))
    return weights(student.model)


def gradients_of(work: Job, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Run a job, and return the gradients of its last step."""
    found: dict[str, torch.Tensor] = {}
    named = dict(work.models.student.named_parameters())

    def kept(_: object) -> None:
        found.update({name: p.grad.clone() for name, p in named.items() if p.grad is not None})

    monkeypatch.setattr(loop.ranks, "add_gradients", kept)
    run_training(work)
    return found


def largest_difference(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    """The largest absolute difference between two sets of weights."""
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def log(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
