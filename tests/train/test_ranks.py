"""Two real processes train what one does: gradients, counts, samples and the log are those of the whole step."""

from pathlib import Path
from typing import Any

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


def on_one_rank(rank: int, folder: Path, objectives: list[dict[str, Any]], settings: dict[str, Any], kind: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    assert (ranks.rank(), ranks.world()) == (rank, 2)
    found = trained(train_settings(*objectives, **settings), folder / "both", data=rows(kind))
    save_file(found, folder / f"rank-{rank}.safetensors")
    dist.destroy_process_group()


@pytest.mark.parametrize(
    ("kind", "objectives"), [("", KD), ("", WITH_TEXT), ("weighted", WEIGHTED), ("ranked", RANKED)]
)
@pytest.mark.parametrize("reduction", ["token", "sequence"])
def test_two_ranks_are_one(kind: str, objectives: list[dict[str, Any]], reduction: str, tmp_path: Path) -> None:
    settings = {"reduction": reduction, "pair": PAIR, "steps": 3}
    mp.spawn(on_one_rank, args=(tmp_path, objectives, settings, kind), nprocs=2)
    alone = trained(train_settings(*objectives, **settings), tmp_path / "alone", data=rows(kind))
    both = [load_file(tmp_path / f"rank-{rank}.safetensors") for rank in (0, 1)]
    for name, weight in alone.items():
        assert torch.equal(both[0][name], both[1][name])
        torch.testing.assert_close(both[0][name], weight, rtol=0.0, atol=2e-4)  # Adam makes weights of rounding
    for mine, theirs in zip(log(tmp_path / "both")[1:], log(tmp_path / "alone")[1:], strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
        assert mine["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-5)
        assert (mine["tokens"], mine["counted"]) == (theirs["tokens"], theirs["counted"])


def test_one_process_is_alone() -> None:
    assert (ranks.rank(), ranks.world()) == (0, 1)
    assert ranks.share([1, 2, 3]) == [1, 2, 3] and ranks.merged({"a": 1}) == {"a": 1}
    assert ranks.totals([1.5, 2], torch.device("cpu")) == [1.5, 2.0]
