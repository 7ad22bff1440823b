"""Filters read texts and numbers out of whatever a record holds."""

import pytest

from stillhouse.elicit.filters.reading import members, number, texts, whole_text
from stillhouse.errors import RecipeError
from stillhouse.records.types import Message, Record, Response


def test_a_field_is_one_text_or_several():
    record = Record(fields={"a": "one", "b": ["x", 2, None], "c": 3.5, "d": None, "e": [], "deep": {"in": "side"}})
    assert texts(record, "a") == ["one"]
    assert texts(record, "b") == ["x", "2", ""]
    assert texts(record, "c") == ["3.5"]
    assert texts(record, "d") == texts(record, "e") == texts(record, "missing") == [""]
    assert texts(record, "deep.in") == ["side"]


def test_turns_by_role_from_messages_and_from_a_field():
    record = Record((Message("system", "s"), Message("user", "u"), Message("assistant", "a"), Message("user", "v")))
    assert texts(record, "messages") == ["s", "u", "a", "v"]
    assert texts(record, "messages", ("user",)) == ["u", "v"]
    assert whole_text(Record(fields={"talk": [{"role": "user", "content": "u"}, {"content": None}]}), "talk") == "u\n"


def test_answers_are_read_by_their_source():
    assert texts(Record(responses=(Response("teacher", "yes"),)), "teacher") == ["yes"]


@pytest.mark.parametrize(
    ("held", "read"),
    [
        (3, 3.0),
        (2.5, 2.5),
        ("4.5", 4.5),
        (" 7 ", 7.0),
        (True, None),
        ("n/a", None),
        ("nan", None),
        (10**400, None),
        ([1], None),
    ],
)
def test_numbers(held, read):
    assert number(Record(fields={"score": held}), "score") == read


def test_no_number_at_all():
    assert number(Record(), "score") is None


def test_a_set_that_is_not_there_is_named():
    with pytest.raises(RecipeError, match=r"no set 'pol'.*pool, seeds"):
        list(members({"pool": [], "seeds": []}, ("pol",)))
