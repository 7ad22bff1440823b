from typing import Any

import pytest

from stillhouse.elicit.view import text, value, view
from stillhouse.records.types import Message, Record, Response

RECORD = Record(
    (Message("system", "Be kind"), Message("user", "One"), Message("assistant", "Two"), Message("user", "Three")),
    (Response("teacher", "first"), Response("teacher", "second"), Response("reference", "gold")),
    "train",
    {"scores": {"help": 3}, "turns": [{"content": "a"}, "b"], "split": "mine", "none": None, "9": [[1, 2]]},
)


def test_a_view_has_the_turns_the_answers_and_the_fields() -> None:
    seen = view(RECORD)
    assert (seen["prompt"], seen["system"], seen["teacher"], seen["reference"]) == ("Three", "Be kind", "first", "gold")
    assert [turn["role"] for turn in seen["messages"]] == ["system", "user", "assistant", "user"]
    assert seen["split"] == "mine"  # a field goes first
    assert seen["key"] == RECORD.key
    assert view(Record()) == {"messages": [], "prompt": "", "system": "", "split": "train", "key": Record().key}


@pytest.mark.parametrize("name", [*view(RECORD), "nothing", ""])
def test_a_value_is_what_the_view_has(name: str) -> None:
    assert value(RECORD, name) == view(RECORD).get(name)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("scores.help", 3),
        ("scores.harm", None),
        ("scores.help.deeper", None),
        ("turns.0.content", "a"),
        ("turns.1", "b"),
        ("turns.2", None),
        ("turns.-1", None),
        ("turns.x", None),
        ("turns.²", None),
        ("9.0.1", 2),
        ("messages.1.content", "One"),
        ("none", None),
        ("none.x", None),
        (".", None),
        ("..", None),
        ("scores.", None),
    ],
)
def test_dotted_paths(path: str, found: Any) -> None:
    assert value(RECORD, path) == found
    assert text(RECORD, path) == ("" if found is None else str(found))


def test_a_view_is_a_copy_of_the_record() -> None:
    view(RECORD)["scores2"] = 1
    view(RECORD)["messages"].clear()
    assert "scores2" not in RECORD.fields and len(RECORD.messages) == 4
