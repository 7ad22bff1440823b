"""A row of sequences with shared beginnings holds every sequence whole, and reads what is shared once."""

import random

import pytest

from stillhouse.models.pack import Layout, filled, pack

BEGINNING = tuple(range(10))


@pytest.mark.parametrize("seed", range(50))
def test_every_sequence_is_there_whole(seed: int) -> None:
    draw = random.Random(seed)
    known = [draw.choices(range(3), k=draw.randint(1, 40)) for _ in range(4)]
    tails = [draw.choices(range(3), k=draw.randint(1, 9)) for _ in range(12)]
    sequences = [draw.choice(known)[: draw.randint(0, 40)] + tail for tail in tails]
    row = pack(sequences)
    for sequence, places in zip(sequences, row.places, strict=True):
        assert [row.ids[p] for p in places] == sequence
        assert [row.positions[p] for p in places] == list(range(len(sequence)))
    assert {p for places in row.places for p in places} == set(range(len(row.ids)))
    assert row.layout.counts == [sum(p in places for places in row.places) for p in range(len(row.ids))]
    assert sum(row.layout.lengths) == len(row.ids) == len(row.positions) <= sum(map(len, sequences))


@pytest.mark.parametrize(
    ("sequences", "layout"),
    [
        ([(1, 2, 3)], Layout((3,), ((0,),))),
        ([(1, 2), (1, 3)], Layout((2, 2), ((0,), (1,)))),  # one token alike is not worth it
        ([(*BEGINNING, 1), (*BEGINNING, 2, 3), (*BEGINNING, 4)], Layout((10, 1, 2, 1), ((0, 1), (0, 2), (0, 3)))),
        ([BEGINNING, BEGINNING], Layout((10,), ((0,), (0,)))),
        ([(*BEGINNING * 2, 5), BEGINNING * 2], Layout((20, 1), ((0, 1), (0,)))),
        (
            [(*BEGINNING, 1, *BEGINNING * 2, 7), (*BEGINNING, 1, *BEGINNING * 2, 8), (*BEGINNING, 2)],
            Layout((10, 21, 1, 1, 1), ((0, 1, 2), (0, 1, 3), (0, 4))),
        ),
    ],
    ids=["alone", "hardly alike", "three alike", "equal", "one begins the other", "two depths"],
)
def test_what_is_shared(sequences: list[tuple[int, ...]], layout: Layout) -> None:
    assert pack(sequences).layout == layout


def test_what_fills_a_row_up_is_part_of_no_sequence() -> None:
    row = filled(pack([(1, 2, 3), (4, 5)]), pad_id=9)
    assert row.ids == (1, 2, 3, 4, 5, *[9] * 11) and row.layout == Layout((3, 2, 11), ((0,), (1,)))
    assert row.layout.counts == [1] * 5 + [0] * 11 and row.places == ((0, 1, 2), (3, 4))
    assert filled(row, pad_id=9) == row
