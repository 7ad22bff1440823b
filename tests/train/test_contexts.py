"""Objectives of one ending behind two beginnings, against the divergence of dense distributions over it."""

from pathlib import Path

import pytest
import torch

from stillhouse.errors import DataError, RecipeError
from stillhouse.models.tokenise import Encoded
from stillhouse.objectives import OBJECTIVES, needs
from stillhouse.records.types import Message, Record, Response
from stillhouse.tiny import tiny_model
from stillhouse.train import loop
from stillhouse.train.terms import read_terms
from tests.train.stage import gradients_of, job, largest_difference, log, train_settings, trained

MCC_KD = {"use": "mcc_kd", "on": "chains", "weight": 0.5, "temperature": 2.0}
CHAINS = (
    ("First this. It is 7.", "Or that, then this. It is 7."),
    ("One. It is 12.", "Two and two. It is 12.", "Four. It is 12.", "Or five. It is 12.", "Or six. It is 12."),
    ("It is 3.", "It is 4!"),  # no end in common but that of the turn
)


def reasoned() -> list[Record]:
    """Prompts with two chains, five, and two that end differently, and one that has a single chain."""
    chains = (*CHAINS, ("Alone. It is 1.",))
    return [
        Record((Message("user", f"Count {i}"),), (*(Response("chains", c) for c in each), Response("reference", "?")))
        for i, each in enumerate(chains)
    ]


def ending(one: Encoded, other: Encoded) -> int:
    """How many tokens the two end with alike."""
    return max(n for n in range(1, 40) if one.ids[-n:] == other.ids[-n:] and n <= min(one.counted, other.counted))


def dense(model, sequence: Encoded, last: int) -> torch.Tensor:
    """The logits that predict a sequence's last tokens."""
    return model(torch.tensor([sequence.ids])).logits[0, -last - 1 : -1]


@pytest.mark.parametrize("micro", [1, 4096])
def test_loss_and_gradient_are_those_of_dense_distributions(
    micro: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = train_settings(MCC_KD, steps=1, batch_size=3, clip=0.0, candidates=5, micro_tokens=micro)
    work = job(train, tmp_path, data=reasoned())
    assert [len(answers) for answers in work.material.answers["chains"]] == [2, 5, 2]
    found = gradients_of(work, monkeypatch)
    model, total = tiny_model(seed=1).model, torch.zeros(())
    for answers in work.material.answers["chains"]:
        texts = [answer.encoded for answer in answers]
        values = []
        for one, other in zip(texts[::2], texts[1::2], strict=False):
            last = ending(one, other)
            a, b = dense(model, one, last), dense(model, other, last)
            values.append(OBJECTIVES["mcc_kd"](a, b, temperature=2.0))
        total = total + 0.5 * torch.cat(values).mean() / 3
    total.backward()
    assert float(total.detach()) > 0
    assert log(tmp_path)[1]["loss"] == pytest.approx(float(total.detach()), rel=1e-4)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(found[name], parameter.grad, rtol=1e-3, atol=1e-6)


def test_beside_the_cross_entropy_of_both_and_cut_up_like_everything_else(tmp_path: Path) -> None:
    uses = (MCC_KD, {"use": "sft", "on": "chains"})
    how = {"candidates": 2, "batch_size": 3}
    runs = {
        name: trained(train_settings(*uses, **how, **change), tmp_path / name, data=reasoned())
        for name, change in {"whole": {}, "cut": {"micro_tokens": 1}, "padded": {"packing": False}}.items()
    }
    first = log(tmp_path / "whole")[1]
    assert set(first["terms"]) == {"mcc_kd", "sft"} and first["terms"]["mcc_kd"] > 0
    work = job(train_settings(*uses, **how), tmp_path, data=reasoned())
    assert [len(group) for group in loop._Loop(work, packed=True)._plan(0).groups] == [2, 2, 2]
    assert max(largest_difference(runs["whole"], runs[name]) for name in ("cut", "padded")) < 2e-4


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has two chains answers .*sources found: chains, reference"):
        job(train_settings(MCC_KD), tmp_path, data=reasoned()[3:])
    with pytest.raises(RecipeError, match="compares recorded answers to a prompt that end alike"):
        read_terms(train_settings({**MCC_KD, "on": "student"}))


@pytest.mark.parametrize("name", [n for n, o in OBJECTIVES.items() if "student_paired_logits" in needs(o)])
def test_the_objectives_are_symmetric_which_their_gradient_rests_on(name: str) -> None:
    a, b = (torch.randn(4, 9, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    torch.testing.assert_close(OBJECTIVES[name](a, b), OBJECTIVES[name](b, a))
