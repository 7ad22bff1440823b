import math

import pytest

from stillhouse.report.lenient import amount, count, objects, parse


@pytest.mark.parametrize("text", ["", "{", "[1,", "\x00", "[" * 100_000, "1" * 5_000, '"\ud800'])
def test_what_is_no_json_is_nothing(text: str) -> None:
    assert parse(text) is None


def test_what_is_json_is_its_value() -> None:
    assert parse('{"a": [1, null]}') == {"a": [1, None]}


@pytest.mark.parametrize("value", [None, "3", True, [], {}, -1, -0.5, math.nan, math.inf, 10**400])
def test_what_counts_nothing_is_zero(value: object) -> None:
    assert amount(value) == 0.0 and count(value) == 0


def test_numbers_are_numbers() -> None:
    assert amount(3) == 3.0 and amount(2.5) == 2.5 and count(2.9) == 2


def test_only_objects_of_a_list() -> None:
    assert objects([{"a": 1}, 2, None, "x", {}]) == [{"a": 1}, {}] and objects("ab") == [] and objects(None) == []
