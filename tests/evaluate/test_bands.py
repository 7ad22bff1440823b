"""Length bands: boundaries belong to the band below."""

import pytest

from stillhouse.evaluate.bands import bands, members, words


def test_labels():
    assert [b.label for b in bands()] == ["(0,30]", "(30,70]", "(70,inf)"]
    assert [b.label for b in bands((5,))] == ["(0,5]", "(5,inf)"]


def test_every_length_has_one_band_and_a_boundary_belongs_below():
    references = [["w " * n] for n in (0, 1, 30, 31, 70, 71, 5000)]
    assert members(references) == {"(0,30]": [0, 1, 2], "(30,70]": [3, 4], "(70,inf)": [5, 6]}
    for n in range(200):
        assert sum(b.holds(n) for b in bands((3, 50, 90))) == 1


def test_words_are_runs_of_non_white_space_of_the_first_reference():
    assert words(["one  two-three\nfour.", "a much longer second one"]) == 3
    assert words([]) == 0


@pytest.mark.parametrize("bounds", [(70, 30), (30, 30), (0, 30)])
def test_bounds_must_rise(bounds):
    with pytest.raises(ValueError, match="rising"):
        bands(bounds)
