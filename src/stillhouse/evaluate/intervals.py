"""Means with 95 % intervals: by bootstrap over the examples of one run, by Student's t over the seeds of many.

One value has no interval; no value at all has no mean and raises ValueError.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stillhouse.evaluate.scores import Score

RESAMPLES = 2000
_DRAWS_AT_ONCE = 1 << 20
_LEVEL = 0.95

Floats = npt.NDArray[np.float64]
Values = Sequence[float | int] | Floats


def bootstrap(values: Values, *, seed: int = 0) -> Score:
    """Mean over examples; the interval is the percentile bootstrap (Efron 1979) with fixed random numbers."""
    return bootstrap_ratio(values, [1.0] * len(values), seed=seed)


def bootstrap_ratio(totals: Values, counts: Values, *, seed: int = 0) -> Score:
    """sum(totals) / sum(counts), such as nats per token.

    Whole examples are resampled, for the tokens of one are not independent. Examples that count nothing (`counts` 0)
    are left out of `n`.
    """
    pairs = np.array([totals, counts], dtype=np.float64)
    pairs = pairs[:, pairs[1] > 0]
    n = pairs.shape[1]
    if n == 0:
        raise ValueError("a score needs at least one example, found none")
    value = float(pairs[0].sum() / pairs[1].sum())
    if n == 1 or not math.isfinite(value):
        return Score(value=value, n=n)
    low, high = np.quantile(_resampled(pairs, seed), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Score(value=value, low=min(float(low), value), high=max(float(high), value), n=n)


def _resampled(pairs: Floats, seed: int) -> Floats:
    """The ratio of sums of RESAMPLES samples with replacement, a bounded number of draws in memory at a time."""
    n = pairs.shape[1]
    rng = np.random.default_rng(seed)
    rows = max(1, _DRAWS_AT_ONCE // n)
    parts = []
    for begin in range(0, RESAMPLES, rows):
        drawn = rng.integers(n, size=(min(rows, RESAMPLES - begin), n))
        totals, counts = (side[drawn].sum(axis=1) for side in pairs)
        parts.append(totals / counts)
    return np.concatenate(parts)


def over_seeds(values: Values) -> Score:
    """Mean over independent runs, and mean +- t(0.975, n - 1) * s / sqrt(n) with s^2 the unbiased variance."""
    n = len(values)
    if n == 0:
        raise ValueError("a score needs at least one seed, found none")
    mean = float(np.mean(values))
    if n == 1 or not math.isfinite(mean):
        return Score(value=mean, n=n)
    half = t_quantile((1 + _LEVEL) / 2, n - 1) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Score(value=mean, low=mean - half, high=mean + half, n=n)


def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t above the median, for whole degrees of freedom: bisection of the distribution."""
    low, high = 0.0, math.pi / 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if 0.5 + _central(middle, freedom) / 2 < probability else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _central(angle: float, freedom: int) -> float:
    """P(|t| < sqrt(freedom) * tan(angle)), a finite series (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    odd = freedom % 2 == 1
    term = math.cos(angle) if odd else 1.0
    series = 0.0
    for k in range(1 if odd else 0, freedom - 1, 2):
        series += term
        term *= math.cos(angle) ** 2 * (k + 1) / (k + 2)
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * series)
    return math.sin(angle) * series
