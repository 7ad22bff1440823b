import math
from pathlib import Path

from stillhouse.report.curves import Boundary, boundaries, keys, line, mean_line, smooth
from stillhouse.report.read import LogRow, RunFolder, StageLog


def log(name: str, **values: list[float]) -> StageLog:
    count = max(len(v) for v in values.values())
    rows = (LogRow(i + 1, {k: v[i] for k, v in values.items() if i < len(v)}) for i in range(count))
    return StageLog(name, tuple(rows))


def run(*logs: StageLog) -> RunFolder:
    return RunFolder(Path("x"), "x", logs=logs)


def test_stages_lie_end_to_end() -> None:
    logs = (log("one", loss=[3.0, 2.0]), log("two", loss=[5.0, 4.0], kl=[1.0]))
    assert boundaries(logs) == (Boundary(0, "one"), Boundary(2, "two"))
    found = line(logs, "loss", "loss")
    assert found is not None and [s.x for s in found.segments] == [(1, 2), (3, 4)]
    assert found.last == (4, 4.0) and keys(logs) == ("loss", "kl")
    assert line(logs, "absent", "") is None


def test_the_last_point_is_the_last_number() -> None:
    found = line((log("one", loss=[3.0, 2.0, math.nan]),), "loss", "loss")
    assert found is not None and found.last == (2, 2.0)
    none = line((log("one", loss=[math.nan]),), "loss", "loss")
    assert none is not None and none.last is None


def test_the_mean_over_seeds_takes_the_steps_that_all_have() -> None:
    found = mean_line([run(log("a", kl=[1.0, 2.0, 9.0])), run(log("a", kl=[3.0, 6.0]))], "kl", "dpkd")
    assert found is not None
    segment = found.segments[0]
    assert (segment.x, segment.y, segment.low, segment.high) == ((1, 2), (2, 4), (1, 2), (3, 6))


def test_a_nan_in_one_seed_is_a_nan_in_the_mean() -> None:
    found = mean_line([run(log("a", kl=[1.0, math.nan])), run(log("a", kl=[3.0, 6.0]))], "kl", "dpkd")
    assert found is not None
    segment = found.segments[0]
    assert all(math.isnan(v[1]) for v in (segment.y, segment.low, segment.high)) and segment.y[0] == 2


def test_one_seed_has_no_band() -> None:
    found = mean_line([run(log("a", kl=[1.0])), run(log("a", loss=[1.0]))], "kl", "dpkd")
    assert found is not None and found.segments[0].low == ()
    assert mean_line([], "kl", "dpkd") is None


def test_smoothing_leaves_a_nan_where_it_was() -> None:
    found = smooth([1.0, 2.0, math.nan, 4.0], 3)
    assert found[:2] == (1.5, 1.5) and math.isnan(found[2]) and found[3] == 4.0
