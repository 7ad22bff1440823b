"""Objectives that rank: all candidates to a prompt at once, against a plain computation of their log-probabilities."""

from pathlib import Path
from typing import Any

import pytest
import torch

from stillhouse.errors import DataError, RecipeError
from stillhouse.objectives import OBJECTIVES
from stillhouse.records.types import Message, Record, Response
from stillhouse.tiny import tiny_model
from stillhouse.train import loop
from stillhouse.train.material import visits
from stillhouse.train.terms import read_terms
from tests.train.stage import gradients_of, job, largest_difference, log, train_settings, trained

RANKING = ["rrhf", "pro", "plackett_luce", "aft", "knowpat"]


def sampled() -> list[Record]:
    """Prompts with 3, 2 and 5 scored candidates, and two that have too few."""
    counts = (3, 2, 5, 1, 0)
    return [
        Record(
            (Message("user", f"Count {i}"),),
            (
                Response("reference", "gold"),
                *(Response("candidates", f"{k} is it" + "!" * k, score=float((k * 2 + i) % 3)) for k in range(count)),
                Response("candidates", "nobody scored this"),
            ),
        )
        for i, count in enumerate(counts)
    ]


def oracle(name: str, work: Any, settings: dict[str, Any]) -> tuple[float, dict[str, torch.Tensor]]:
    """The mean over the prompts of the objective of one prompt alone, and its gradients."""
    model, total = tiny_model(seed=1).model, torch.zeros(())
    for answers in work.material.answers["candidates"]:
        logp = []
        for answer in answers:
            ids, begin = torch.tensor(answer.encoded.ids), answer.encoded.start
            each = model(ids[None]).logits[0, :-1].log_softmax(-1).gather(-1, ids[1:, None])[:, 0]
            logp.append(each[begin - 1 :].sum())
        lengths = torch.tensor([[answer.encoded.counted for answer in answers]])
        scores = torch.tensor([[answer.score for answer in answers]])
        total = total + OBJECTIVES[name](torch.stack(logp)[None], lengths, scores, **settings).sum() / 3
    total.backward()
    return float(total.detach()), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("micro", [1, 4096])
@pytest.mark.parametrize("name", RANKING)
def test_loss_and_gradient_are_those_of_a_plain_computation(
    name: str, micro: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"beta": 0.3} if name == "aft" else {}
    train = train_settings(
        {"use": name, "on": "candidates", "weight": 0.5, **settings},
        steps=1, batch_size=3, clip=0.0, candidates=5, micro_tokens=micro,
    )  # fmt: skip
    work = job(train, tmp_path, data=sampled())
    assert [len(answers) for answers in work.material.answers["candidates"]] == [3, 2, 5]
    found = gradients_of(work, monkeypatch)
    value, expected = oracle(name, work, settings)
    assert log(tmp_path)[1]["loss"] == pytest.approx(0.5 * value, rel=1e-4)
    for each, grad in expected.items():
        torch.testing.assert_close(found[each], 0.5 * grad, rtol=1e-3, atol=1e-6)


def test_candidates_and_a_reference_are_cut_up_and_packed_like_everything_else(tmp_path: Path) -> None:
    uses = ({"use": "aft", "on": "candidates"}, {"use": "sft", "on": "reference"})
    runs = {
        name: trained(train_settings(*uses, **change), tmp_path / name, data=sampled())
        for name, change in {"whole": {}, "cut": {"micro_tokens": 1}, "padded": {"packing": False}}.items()
    }
    assert set(log(tmp_path / "whole")[1]["terms"]) == {"aft", "sft"}
    assert max(largest_difference(runs["whole"], runs[name]) for name in ("cut", "padded")) < 2e-4


def test_more_candidates_than_are_seen_at_once_come_in_turn(tmp_path: Path) -> None:
    train = train_settings({"use": "aft", "on": "candidates"}, candidates=2, batch_size=3)
    work = job(train, tmp_path, data=sampled())
    made = loop._Loop(work, packed=True)
    seen: dict[str, list[float]] = {}
    for step in range(3):
        plan = made._plan(step)
        assert plan.several == {"candidates": 3} and len(visits(3, 3, step, 5)) == 3
        for group in plan.groups:
            assert len(group) == 2
            seen.setdefault(group[0].key, []).extend(item.encoded.counted for item in group)
    five = next(counts for record in sampled()[2:3] for key, counts in seen.items() if key == record.key)
    assert len(set(five)) == 5


def test_what_cannot_be_ranked(tmp_path: Path) -> None:
    aft = {"use": "aft", "on": "candidates"}
    with pytest.raises(DataError, match=r"two scored candidates answers .*sources found: candidates, reference"):
        job(train_settings(aft), tmp_path, data=sampled()[3:])
    with pytest.raises(DataError, match=r"has good answers .*sources found: candidates, reference"):
        job(train_settings({"use": "sft", "on": "good"}), tmp_path, data=sampled())
    with pytest.raises(RecipeError, match="pair takes one answer of 'candidates'"):
        read_terms(train_settings(aft, {"use": "dpo"}, pair=("candidates", "reference")))


def test_pairs_of_any_two_sources(tmp_path: Path) -> None:
    records = [Record((Message("user", f"{i}"),), (Response("good", "yes"), Response("bad", "no" * i))) for i in (1, 2)]
    train = train_settings({"use": "simpo"}, {"use": "sft", "on": "good"}, pair=("good", "bad"), steps=30)
    trained(train, tmp_path, data=records)
    losses = [line["terms"]["simpo"] for line in log(tmp_path)[1:]]
    assert losses[-1] < 0.5 * losses[0]
