"""Two real processes train what one does: gradients, counts, samples and the log are those of the whole step."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file

from stillhouse import ranks
from stillhouse.records.types import Record
from tests.train.stage import log, train_settings, trained
from tests.train.test_candidates import sampled
from tests.train.test_weights import weighted

KD = [{"use": "sft", "on": "reference", "weight": 0.5}, {"use": "forward_kl", "on": "teacher", "weight": 0.5}]
WITH_TEXT = [{"use": "dpo", "beta": 0.5}, {"use": "sft", "on": "text"}]
PAIR = ("teacher", "reference")
WEIGHTED = [{"use": "sft", "on": "reference", "weight": 0.5}, {"use": "forward_kl", "on": "teacher", "weight": 0.5}]
RANKED = [{"use": "aft", "on": "candidates"}, {"use": "sft", "on": "reference"}]


def rows(kind: str) -> list[Record] | None:
    return {"weighted": weighted(), "ranked": sampled()}.get(kind)


CASES = {
    f"{kind or 'plain'} {reduction} {objectives[0]['use']}": (kind, objectives, reduction)
    for kind, objectives in (("", KD), ("", WITH_TEXT), ("weighted", WEIGHTED), ("ranked", RANKED))
    for reduction in ("token", "sequence")
}


def train_case(case: str, folder: Path) -> dict[str, torch.Tensor]:
    kind, objectives, reduction = CASES[case]
    settings = train_settings(*objectives, reduction=reduction, pair=PAIR, steps=3)
    return trained(settings, folder, data=rows(kind))


def on_one_rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    assert (ranks.rank(), ranks.world()) == (rank, 2)
    for case in CASES:
        save_file(train_case(case, folder / "both" / case), folder / f"{case} rank-{rank}.safetensors")
    dist.destroy_process_group()


def test_two_ranks_are_one(tmp_path: Path) -> None:
    """All cases in one pair of processes: to start them takes longer than to train."""
    mp.spawn(on_one_rank, args=(tmp_path,), nprocs=2)
    for case in CASES:
        alone = train_case(case, tmp_path / "alone" / case)
        both = [load_file(tmp_path / f"{case} rank-{rank}.safetensors") for rank in (0, 1)]
        for name, weight in alone.items():
            assert torch.equal(both[0][name], both[1][name]), case
            torch.testing.assert_close(both[0][name], weight, rtol=0.0, atol=2e-4)  # Adam makes weights of rounding
        for mine, theirs in zip(log(tmp_path / "both" / case)[1:], log(tmp_path / "alone" / case)[1:], strict=True):
            assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-5), case
            assert mine["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-5), case
            assert (mine["tokens"], mine["counted"]) == (theirs["tokens"], theirs["counted"]), case


def test_one_process_is_alone() -> None:
    assert (ranks.rank(), ranks.world()) == (0, 1)
    assert ranks.share([1, 2, 3]) == [1, 2, 3] and ranks.merged({"a": 1}) == {"a": 1}
    assert ranks.totals([1.5, 2], torch.device("cpu")) == [1.5, 2.0]
