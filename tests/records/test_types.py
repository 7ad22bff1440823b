"""A record is the same thing after a round trip, and its key depends on the messages alone."""

import json
from dataclasses import replace

from stillhouse.records.types import Message, Record, Response, content_key

RECORD = Record(
    messages=(Message("system", "Be kind."), Message("user", "Grüß \x00 \ud800 dich")),
    responses=(Response("reference", "Hallo"), Response("teacher", "Hi", "length", 2)),
    split="valid",
    fields={"id": 7},
)


def test_round_trip_through_json():
    assert Record.from_json(json.loads(json.dumps(RECORD.to_json()))) == RECORD


def test_key_is_of_the_messages_alone():
    assert replace(RECORD, responses=(), split="test", fields={}).key == RECORD.key
    assert replace(RECORD, messages=RECORD.messages[1:]).key != RECORD.key


def test_key_is_known():
    """SHA-256 of `[{"content":"a","role":"user"}]`, computed with sha256sum."""
    assert Record((Message("user", "a"),)).key == "5168bd634e48454dad7ce9e9"


def test_answers_and_adding():
    more = RECORD.adding(Response("teacher", "Hey"))
    assert [r.text for r in more.answers("teacher")] == ["Hi", "Hey"]
    assert len(RECORD.responses) == 2


def test_content_key_ignores_the_order_of_names():
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
