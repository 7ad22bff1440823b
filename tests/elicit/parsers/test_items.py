import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.items import sound


def test_items_as_they_are() -> None:
    items = [{"a": "x"}, {"a": 0, "b": [1]}]
    assert sound(items, required=("a",), longest=1, at_least=2, at_most=2) is items


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_a_required_field_must_be_there_and_not_empty(empty: object) -> None:
    with pytest.raises(Unreadable, match="no a"):
        sound([{"a": empty}], required=("a",))
    assert sound([{"a": 0}, {"a": False}], required=("a",))


def test_bounds_of_the_number_of_items() -> None:
    with pytest.raises(Unreadable, match="too few"):
        sound([])
    assert sound([], at_least=0) == []
    with pytest.raises(Unreadable, match="too few"):
        sound([{}], at_least=2)
    with pytest.raises(Unreadable, match="too many"):
        sound([{}] * 1001)
    assert sound([{}] * 1001, exactly=1001)
