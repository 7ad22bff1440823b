"""Runs of sequences within a budget of tokens."""

import pytest

from stillhouse.models.collate import by_tokens


@pytest.mark.parametrize(
    ("lengths", "limit", "padded", "expected"),
    [
        ([3, 3, 3], 6, False, [[0, 1], [2]]),
        ([9, 1, 1], 4, False, [[0], [1, 2]]),
        ([1, 4, 4], 8, True, [[0, 1], [2]]),
        ([], 4, False, []),
    ],
)
def test_runs(lengths: list[int], limit: int, padded: bool, expected: list[list[int]]) -> None:
    assert list(by_tokens(lengths, limit, padded=padded)) == expected
