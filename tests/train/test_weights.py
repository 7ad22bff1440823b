"""Weights of examples and tokens, against cross-entropies of a plain forward pass; they cut up like everything else."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from stillhouse.models.tokenise import Encoded
from stillhouse.records.types import Message, Record, Response, Span
from stillhouse.tiny import tiny_model
from stillhouse.train.loop import run_training
from tests.train.stage import gradients_of, job, largest_difference, log, train_settings, trained, weights

SFT = ({"use": "sft", "on": "reference"},)
WITH_KL = ({"use": "sft", "on": "reference"}, {"use": "forward_kl", "on": "teacher", "weight": 0.5})


def weighted() -> list[Record]:
    """Plain, heavier, partly masked, all masked, and a conversation of which every answer counts."""
    spans = (Span("look up "), Span("a page that was found ", 0.0), Span("and answer", 2.0))
    answers = [
        (Response("reference", "plain"), Response("teacher", "fine")),
        (Response("reference", "heavier", weight=2.5), Response("teacher", "fine, too", weight=0.5)),
        (
            Response("reference", "".join(s.text for s in spans), spans=spans),
            Response("teacher", "yes no", spans=(Span("yes "), Span("no", 0.5))),
        ),
        (Response("reference", "nothing of this", weight=0.0), Response("teacher", "none")),
    ]
    talk = (Message("user", "Hi"), Message("assistant", "Hello!"), Message("user", "And now?"))
    dialogue = Record(talk, (Response("reference", "Bye."), Response("teacher", "See you")), learn="all")
    return [*(Record((Message("user", f"Say {i}"),), both) for i, both in enumerate(answers)), dialogue]


def oracle(examples: list[Encoded], reduction: str) -> tuple[float, dict[str, torch.Tensor]]:
    """sum_i w_i l_i / (tokens of weight > 0, or sequences with such: their means) and its gradients, from one pass
    of the whole model for each sequence."""
    model = tiny_model(seed=1).model
    counted = [[w for w in (e.weights or [1.0] * (len(e.ids) - e.start)) if w > 0] for e in examples]
    tokens, sequences = sum(map(len, counted)), sum(map(bool, counted))
    total = torch.zeros(())
    for example, own in zip(examples, counted, strict=True):
        if not own:
            continue
        ids = torch.tensor(example.ids)
        losses = cross_entropy(model(ids[None]).logits[0, :-1], ids[1:], reduction="none")[example.start - 1 :]
        all_weights = torch.tensor(example.weights or [1.0] * len(losses))
        share = 1 / tokens if reduction == "token" else 1 / (sequences * len(own))
        total = total + (losses * all_weights).sum() * share
    total.backward()
    return float(total.detach()), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("reduction", ["token", "sequence"])
def test_loss_and_gradient_are_those_of_a_plain_computation(
    reduction: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = job(
        train_settings(*SFT, steps=1, batch_size=5, reduction=reduction, clip=0.0),
        tmp_path,
        data=weighted(),
    )
    found = gradients_of(work, monkeypatch)
    examples = [answer.encoded for answers in work.material.answers["reference"] for answer in answers]
    assert sum(e.counted == 0 for e in examples) == 1 and sum(not e.whole for e in examples) == 3
    value, expected = oracle(examples, reduction)
    line = log(tmp_path)[1]
    assert line["loss"] == pytest.approx(value, rel=1e-5)
    assert line["counted"] == sum(e.counted for e in examples)
    assert found.keys() == expected.keys()
    for name, grad in expected.items():
        torch.testing.assert_close(found[name], grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("reduction", ["token", "sequence"])
def test_weights_are_cut_up_and_packed_like_everything_else(reduction: str, tmp_path: Path) -> None:
    changes = {"whole": {}, "cut": {"micro_tokens": 1}, "padded": {"packing": False}, "live": {"cache_teacher": False}}
    runs = {}
    for name, change in changes.items():
        settings = train_settings(*WITH_KL, steps=3, batch_size=5, reduction=reduction, **change)
        runs[name] = trained(settings, tmp_path / name, data=weighted())
    for name in ("cut", "padded", "live"):
        assert log(tmp_path / name)[1]["loss"] == pytest.approx(log(tmp_path / "whole")[1]["loss"], rel=1e-5)
        assert largest_difference(runs["whole"], runs[name]) < 2e-4, name


def test_weights_of_one_are_the_plain_loss(tmp_path: Path) -> None:
    plain = weighted()[0]
    parts = (Span("pl"), Span("ain", 1.0))
    spelled = Record(plain.messages, (Response("reference", "plain", weight=1.0, spans=parts), plain.responses[1]))
    one, other = (trained(train_settings(*SFT), tmp_path / str(i), data=[r]) for i, r in enumerate((plain, spelled)))
    assert largest_difference(one, other) == 0.0


def test_a_step_of_which_nothing_counts_changes_nothing(tmp_path: Path) -> None:
    student = tiny_model(seed=1)
    before = weights(student.model)
    settings = train_settings(*SFT, steps=1, batch_size=2, weight_decay=0.0)
    run_training(job(settings, tmp_path, student=student, data=[weighted()[3]]))
    assert log(tmp_path)[1]["loss"] == 0.0 and largest_difference(before, weights(student.model)) == 0.0
