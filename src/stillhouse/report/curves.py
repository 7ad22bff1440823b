"""What was logged over training, as lines to draw: stages end to end, seeds as a mean with a band."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from stillhouse.report.read import RunFolder, StageLog


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive values of one stage; y is NaN where a value was logged that is no number."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    segments: tuple[Segment, ...]

    @property
    def last(self) -> tuple[float, float] | None:
        """The last point that is a number, where the label goes."""
        points = [(x, y) for s in self.segments for x, y in zip(s.x, s.y, strict=True) if math.isfinite(y)]
        return points[-1] if points else None


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where a stage begins on the common axis of steps."""

    step: int
    stage: str


def boundaries(logs: Sequence[StageLog]) -> tuple[Boundary, ...]:
    """The beginning of every stage, each after the last step of the one before."""
    starts, step = [], 0
    for log in logs:
        starts.append(Boundary(step, log.name))
        step += log.last_step
    return tuple(starts)


def keys(logs: Iterable[StageLog]) -> tuple[str, ...]:
    """Every name that was logged, in order of appearance."""
    return tuple(dict.fromkeys(key for log in logs for row in log.rows for key in row.values))


def line(logs: Sequence[StageLog], key: str, label: str) -> Line | None:
    """One logged value over the steps of all stages; None where it was never logged."""
    segments = []
    for start, log in zip(boundaries(logs), logs, strict=True):
        points = [(float(start.step + row.step), row.values[key]) for row in log.rows if key in row.values]
        if points:
            x, y = zip(*points, strict=True)
            segments.append(Segment(x, y))
    return Line(label, tuple(segments)) if segments else None


def mean_line(runs: Sequence[RunFolder], key: str, label: str) -> Line | None:
    """The mean over seeds at every step that all of them logged, with a band from the lowest to the highest seed."""
    lines = [found for run in runs if (found := line(run.logs, key, label))]
    if len(lines) < 2:
        return lines[0] if lines else None
    values = [{x: y for s in found.segments for x, y in zip(s.x, s.y, strict=True)} for found in lines]
    segments = []
    for segment in lines[0].segments:
        x = tuple(x for x in segment.x if all(x in v for v in values))
        seeds = [[v[step] for v in values] for step in x]
        if x:
            segments.append(
                Segment(
                    x,
                    tuple(sum(s) / len(s) for s in seeds),
                    tuple(_extreme(s, min) for s in seeds),
                    tuple(_extreme(s, max) for s in seeds),
                )
            )
    return Line(label, tuple(segments)) if segments else None


def smooth(values: Sequence[float], window: int) -> tuple[float, ...]:
    """Centred running mean over `window` values; a NaN stays where it was and enters no mean."""
    half = window // 2
    means = []
    for i, value in enumerate(values):
        near = [v for v in values[max(0, i - half) : i + half + 1] if math.isfinite(v)]
        means.append(sum(near) / len(near) if math.isfinite(value) else math.nan)
    return tuple(means)


def _extreme(values: Sequence[float], choose: Callable[[Sequence[float]], float]) -> float:
    return choose(values) if all(math.isfinite(v) for v in values) else math.nan
