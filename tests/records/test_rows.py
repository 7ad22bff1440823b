"""Every convention of field names gives the same record, and what is wrong is named."""

import pytest

from stillhouse.errors import DataError
from stillhouse.records.rows import read_row
from stillhouse.records.types import Message, Record, Response


def user(text):
    return (Message("user", text),)


@pytest.mark.parametrize(
    ("row", "prompt", "references"),
    [
        ({"instruction": "Add.", "input": "1 2", "output": "3"}, "Add.\n\n1 2", ["3"]),
        ({"instruction": "Add.", "context": "1 2", "response": "3"}, "Add.\n\n1 2", ["3"]),
        ({"instruction": "Sing.", "input": "", "output": "La"}, "Sing.", ["La"]),
        ({"instruction": "Sing.", "input": None, "output": "La"}, "Sing.", ["La"]),
        ({"instruction": "Sing.", "input": " \n", "output": "La"}, "Sing.", ["La"]),
        ({"instruction": "Sing.", "references": ["La", "Li", "La"]}, "Sing.", ["La", "Li"]),
        ({"instruction": "Sing.", "output": ["La", "", "Li"]}, "Sing.", ["La", "Li"]),
        ({"instruction": "Sing.", "answer": "La"}, "Sing.", ["La"]),
        ({"instruction": "Sing."}, "Sing.", []),
        ({"instruction": "Sing.", "output": "", "response": "La"}, "Sing.", ["La"]),
        ({"prompt": "Why?", "completion": "So."}, "Why?", ["So."]),
        ({"prompt": "Why?", "response": "So."}, "Why?", ["So."]),
        ({"prompt": "Why?", "answer": "So."}, "Why?", ["So."]),
        ({"prompt": "Why?", "output": "So."}, "Why?", ["So."]),
        ({"prompt": "Why?", "responses": ["So.", "Thus."]}, "Why?", ["So.", "Thus."]),
        ({"question": "Why?", "answer": "So."}, "Why?", ["So."]),
        ({"query": "Why?", "reference": "So."}, "Why?", ["So."]),
        ({"instruction": "Add.", "instances": [{"input": "1 2", "output": "3"}]}, "Add.\n\n1 2", ["3"]),
        (
            {
                "instruction": "Name one.",
                "instances": [
                    {"input": "fruit", "output": "fig"},
                    {"input": "tree", "output": "oak"},
                    {"input": "fruit", "output": "pear"},
                ],
            },
            "Name one.\n\nfruit",
            ["fig", "pear"],
        ),
        ({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]}, "Hi", ["Yo"]),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "Hi", []),
        ({"messages": [{"role": "user", "content": "Hi"}], "references": ["Yo", "Ho"]}, "Hi", ["Yo", "Ho"]),
        ({"messages": None, "prompt": "Hi", "output": "Yo"}, "Hi", ["Yo"]),
    ],
)
def test_conventions(row, prompt, references):
    record = read_row(row, "here")
    assert record.messages == user(prompt)
    assert record.responses == tuple(Response("reference", text) for text in references)
    assert record.split == ""


def test_conversation_of_several_turns():
    turns = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Yo"), ("user", "Bye"), ("assistant", "So long")]
    record = read_row({"messages": [{"role": r, "content": c} for r, c in turns]}, "here")
    assert record.messages == tuple(Message(r, c) for r, c in turns[:-1])
    assert [r.text for r in record.answers("reference")] == ["So long"]


def test_a_written_record_is_read_back():
    record = Record(user("Hi"), (Response("teacher", "Yo", "length", 3), Response("teacher", "Ho")), "test", {"id": 1})
    assert read_row(record.to_json(), "here") == record


@pytest.mark.parametrize(
    ("given", "split"),
    [("train", "train"), ("valid", "valid"), ("validation", "valid"), ("dev", "valid"), ("test", "test"), ("", "")],
)
def test_splits(given, split):
    assert read_row({"prompt": "a", "split": given}, "here").split == split


def test_all_other_fields_are_kept():
    row = {"id": "seed_1", "category": "poem", "prompt": "a", "embedding": [0.1], "topic": None}
    assert read_row(row, "here").fields == {"id": "seed_1", "category": "poem", "prompt": "a", "embedding": [0.1]}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({}, "no prompt.*found no fields"),
        ({"text": "a", "label": 1}, "no prompt.*found text, label"),
        ({"instruction": "  "}, "prompt is empty"),
        ({"prompt": ""}, "prompt is empty"),
        ({"prompt": ["a"]}, "`prompt` must be a text, found a list"),
        ({"instruction": "a", "input": 3}, "`input` must be a text"),
        ({"prompt": "a", "output": 3}, "`output` must be a text or a list of texts"),
        ({"prompt": "a", "output": [3]}, "`output` must be a text or a list of texts"),
        ({"prompt": "a", "split": "trian"}, "split 'trian' is unknown; use train, valid or test"),
        ({"prompt": "a", "split": ["train"]}, "is unknown"),
        ({"messages": []}, "prompt is empty"),
        ({"messages": "Hi"}, "`messages` must be a list"),
        ({"messages": 3}, "`messages` must be a list"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "needs a role"),
        ({"messages": [{"role": "user", "content": None}]}, "a text as content"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "prompt is empty"),
        ({"instruction": "a", "instances": []}, "`instances` must be a list"),
        ({"instruction": "a", "instances": [3]}, "`instances` must be a list"),
        ({"messages": [{"role": "user", "content": "a"}], "responses": [{"source": "x"}]}, "needs a `text`"),
        (
            {"messages": [{"role": "user", "content": "a"}], "responses": [{"source": "x", "text": "b", "c": 1}]},
            "unknown",
        ),
    ],
)
def test_bad_rows_are_named(row, why):
    with pytest.raises(DataError, match=rf"^data\.jsonl line 7: .*{why}"):
        read_row(row, "data.jsonl line 7")
