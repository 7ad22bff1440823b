"""How long to wait: as told where that makes sense, else longer and longer with jitter."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from stillhouse.endpoints.retry import MAX_WAIT, backoff, told_to_wait


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "10000"}, 10000.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "2"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "abc"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_told_to_wait(headers, seconds):
    assert told_to_wait(headers) == seconds


def test_told_by_a_date():
    later = datetime.now(UTC) + timedelta(seconds=30)
    assert told_to_wait({"retry-after": format_datetime(later, usegmt=True)}) == pytest.approx(30, abs=2)


def test_backoff_grows_within_its_bounds():
    for tried in range(1, 100):
        longest = min(MAX_WAIT, 2.0 ** (tried - 1))
        assert longest / 2 <= backoff(tried) <= longest
    assert len({backoff(3) for _ in range(10)}) > 1
