import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from stillhouse.objectives.reduce import Denominators, denominators, row_weights, token_mean

ROWS = torch.tensor([1.0, 2.0, 3.0, 10.0, 20.0, 7.0])
SEGMENT = torch.tensor([4, 4, 4, 9, 9, 2])


def total(pieces, reduction):
    """The step's loss, summed over micro-batches that are cut as `pieces` says."""
    tokens, sequences = len(ROWS), 3
    parts = zip(ROWS.split(pieces), SEGMENT.split(pieces), strict=True)
    return sum(
        float(rows @ row_weights(segment, reduction=reduction, tokens=tokens, sequences=sequences))
        for rows, segment in parts
    )


def test_token_and_sequence_means_by_hand():
    assert abs(total([6], "token") - 43 / 6) < 1e-6
    assert abs(total([6], "sequence") - (2 + 15 + 7) / 3) < 1e-6


def test_cutting_into_micro_batches_changes_nothing():
    for reduction in ("token", "sequence"):
        assert abs(total([3, 2, 1], reduction) - total([6], reduction)) < 1e-6
        assert abs(total([5, 1], reduction) - total([6], reduction)) < 1e-6


def test_nothing_counts():
    weights = row_weights(SEGMENT[:0], reduction="sequence", tokens=0, sequences=0)
    assert weights.shape == (0,)


def test_one_rank_is_its_own_total():
    assert denominators(5, 2) == Denominators(tokens=5, sequences=2)


def count_on_one_rank(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    assert denominators(10 + rank, 1 + rank) == Denominators(tokens=21, sequences=3)
    dist.destroy_process_group()


def test_two_ranks_add_their_counts(tmp_path):
    mp.spawn(count_on_one_rank, args=(tmp_path,), nprocs=2)


def test_token_mean_of_what_counts():
    rows = torch.tensor([[1.0, 3.0, torch.nan], [torch.inf, 5.0, 7.0], [torch.nan, torch.nan, torch.nan]])
    mask = torch.tensor([[True, True, False], [False, True, True], [False, False, False]])
    assert token_mean(rows, mask).tolist() == [2.0, 6.0, 0.0]
    assert token_mean(torch.stack([rows, 2 * rows]), mask).tolist() == [[2.0, 6.0, 0.0], [4.0, 12.0, 0.0]]
