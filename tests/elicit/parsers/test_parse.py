from typing import Any

import pytest

from stillhouse.elicit.contract import Dropped
from stillhouse.elicit.parsers.parse import parse
from stillhouse.errors import RecipeError
from stillhouse.records.types import Message, Record, Response


def made(*records: Record, **settings: Any) -> list[Any]:
    return list(parse(records, **settings))


def test_one_item_becomes_fields() -> None:
    record = Record(fields={"raw": "2 + 2 is 4.\n#### 4", "question": "q"})
    (read,) = made(record, parse={"use": "answer", "kind": "number"})
    assert read.fields == record.fields | {"answer": "4", "rationale": "2 + 2 is 4."}
    (read,) = made(record, parse={"use": "answer.number"}, into="teacher")
    assert read.fields["teacher"]["answer"] == "4"


def test_many_become_children() -> None:
    record = Record(fields={"raw": "1. a\n2. b", "topic": "t"}, split="test")
    children = made(record, parse={"use": "fields.numbered", "field": "question"}, many=True)
    assert [child.fields["question"] for child in children] == ["a", "b"]
    assert all(child.fields["topic"] == "t" and child.split == "test" for child in children)
    assert all(child.lineage[-1].parent == record.key for child in children)


def test_lists_are_read_as_json() -> None:
    turns = [{"from": "human", "value": "Größe?"}, {"from": "gpt", "value": "7"}]
    (read,) = made(Record(fields={"conversations": turns}), field="conversations", parse={"use": "turns.log"})
    assert read.fields["turns"][0] == {"role": "user", "content": "Größe?"}


def test_a_cut_answer_is_known_to_be_cut() -> None:
    cut = Record((Message("user", "q"),), (Response("teacher", "1. a\n2. b", finish="length"),))
    (read,) = made(cut, field="teacher", parse={"use": "fields.numbered"})
    assert read.fields == {"text": "a"}


def test_what_cannot_be_read_is_dropped_with_the_reason() -> None:
    records = [Record(fields={"raw": raw}) for raw in ("", "hm", "1. a\n2. b", None)]
    reasons = [drop.reason for drop in made(*records, parse={"use": "fields.numbered"}) if isinstance(drop, Dropped)]
    assert reasons == [
        "nothing in 'raw'",
        "unreadable: no numbered list",
        "unreadable: several items",
        "nothing in 'raw'",
    ]


def test_a_wrong_table_is_the_recipes_mistake() -> None:
    with pytest.raises(RecipeError, match="no parser"):
        made(Record(fields={"raw": "x"}), parse={"use": "nothing"})
