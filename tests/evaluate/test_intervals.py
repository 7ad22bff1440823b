"""Intervals against tables, plain loops and coverage."""

import math

import numpy as np
import pytest

from stillhouse.evaluate.intervals import bootstrap, bootstrap_ratio, over_seeds, t_quantile
from stillhouse.evaluate.scores import Score


@pytest.mark.parametrize(
    ("freedom", "value"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (5, 2.5706), (10, 2.2281), (29, 2.0452), (120, 1.9799)],
)
def test_t_quantile_against_the_printed_table(freedom, value):
    assert t_quantile(0.975, freedom) == pytest.approx(value, abs=5e-5)


def test_over_seeds_by_hand():
    # 1, 2, 3: mean 2, s = 1, t(0.975, 2) = 4.30265, half-width 4.30265 / sqrt(3) = 2.48414.
    score = over_seeds([1.0, 2.0, 3.0])
    assert (score.value, score.n) == (2.0, 3)
    assert score.low == pytest.approx(2 - 2.48414, abs=1e-4)
    assert score.high == pytest.approx(2 + 2.48414, abs=1e-4)


def test_bootstrap_agrees_with_the_normal_interval_on_many_examples():
    values = np.random.default_rng(3).normal(5.0, 2.0, size=1000)
    score = bootstrap(values)
    half = 1.96 * values.std(ddof=1) / math.sqrt(1000)
    assert score.value == pytest.approx(values.mean())
    assert score.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert score.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_bootstrap_covers_the_true_mean():
    rng = np.random.default_rng(0)
    scores = [bootstrap(rng.exponential(1.0, size=60)) for _ in range(200)]
    assert 0.88 <= np.mean([s.low <= 1.0 <= s.high for s in scores]) <= 0.99


def test_ratio_resamples_whole_examples():
    totals, counts = [10.0, 1.0, 3.0, 8.0], [10, 2, 3, 5]
    score = bootstrap_ratio(totals, counts)
    assert score.value == pytest.approx(22 / 20)
    rng = np.random.default_rng(7)
    ratios = []
    for _ in range(4000):
        chosen = rng.integers(4, size=4)
        ratios.append(sum(totals[i] for i in chosen) / sum(counts[i] for i in chosen))
    assert score.low == pytest.approx(np.quantile(ratios, 0.025), abs=0.05)
    assert score.high == pytest.approx(np.quantile(ratios, 0.975), abs=0.05)


def test_an_example_that_counts_nothing_is_left_out():
    assert bootstrap_ratio([1.0, 0.0, 3.0], [1, 0, 1]) == bootstrap([1.0, 3.0])


def test_the_same_values_have_the_same_interval_every_time():
    values = list(np.random.default_rng(1).uniform(size=40))
    assert bootstrap(values) == bootstrap(values)
    assert bootstrap(values, seed=1) != bootstrap(values)


@pytest.mark.parametrize("score", [bootstrap, over_seeds])
def test_corners(score):
    constant = score([0.3] * 7)
    assert (constant.value, constant.low, constant.high) == pytest.approx((0.3, 0.3, 0.3))
    assert constant.n == 7
    assert score([5.0]) == Score(value=5.0, low=None, high=None, n=1)
    with pytest.raises(ValueError, match="at least one"):
        score([])
    broken = score([1.0, math.nan])
    assert math.isnan(broken.value)
    assert broken.low is None


def test_many_examples_need_little_memory():
    score = bootstrap(np.arange(20_000) % 7.0)
    assert score.low < score.value < score.high
