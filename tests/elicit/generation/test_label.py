from pathlib import Path
from typing import Any

import pytest

from stillhouse.endpoints.base import Answer
from stillhouse.records.types import Message, Record
from tests.elicit.cooking import cook, of

LABEL = {"use": "label", "template": "Q: {{ q }}"}
JSON = {"parse": {"use": "fields", "kind": "json"}}
TWO = of({"q": "one"}, {"q": "two"})


def test_an_answer_becomes_a_field_and_an_event(tmp_path: Path) -> None:
    made = cook(tmp_path, TWO, LABEL | {"system": "Be brief"}, script=lambda p, s: f" {p[-1].content}! ")
    assert made.all("output") == ["Q: one!", "Q: two!"] and made.all("finish") == ["stop", "stop"]
    assert made.calls[0][0] == Message("system", "Be brief")
    assert [o.operation for r in made.out for o in r.lineage] == ["label", "label"]
    assert all(o.prompt and o.role == "teacher" and o.step == "label" for r in made.out for o in r.lineage)


def test_a_parser_reads_fields_but_never_how_it_ended(tmp_path: Path) -> None:
    made = cook(
        tmp_path, TWO[:1], LABEL | JSON, script=lambda p, s: Answer('{"a": 1, "finish": 7, "self": 2}', "length")
    )
    assert made.out[0].fields == {"q": "one", "a": 1, "self": 2, "finish": "length"}


@pytest.mark.parametrize(
    ("settings", "out", "why"),
    [
        ({}, [], ["unreadable: no JSON"]),
        ({"on_fail": "drop"}, [], ["unreadable: no JSON"]),
        ({"on_fail": "keep"}, ["unreadable: no JSON"], []),
    ],
)
def test_what_cannot_be_read(settings: dict[str, Any], out: list[str], why: list[str], tmp_path: Path) -> None:
    made = cook(tmp_path, TWO[:1], LABEL | JSON | settings, script=lambda p, s: "words")
    assert [bool(s) for s in made.all("status")] == [True] * len(out) and len(made.why) == len(why)


def test_several_items_are_not_one_answer(tmp_path: Path) -> None:
    numbered = {"parse": {"use": "fields", "kind": "numbered"}}
    made = cook(
        tmp_path,
        TWO,
        LABEL | numbered,
        script=lambda p, s: "1. a\n2. b\n3. c" if "one" in p[-1].content else "1. a\n2. b",
    )
    assert made.why == ["unreadable: several items instead of one"] * 2


def test_messages_of_its_own_are_asked_as_they_are(tmp_path: Path) -> None:
    data = [Record((Message("user", "Hi"),)), Record(split="train", fields={"q": "x"})]
    made = cook(tmp_path, data, {"use": "label"}, script=lambda p, s: "Ho")
    assert [r.text for r in made.out[0].responses] == ["Ho"]
    assert made.out[1].fields["status"] == "neither messages nor a template" and len(made.calls) == 1
    dropped = cook(tmp_path, data[:1], {"use": "label", "on_fail": "drop", "max_new_tokens": 3}, script=lambda p, s: "")
    assert dropped.why == ["empty"]


def test_samples_are_records_or_a_list(tmp_path: Path) -> None:
    count = iter(range(100))
    how = {"use": "sample", "template": "{{ q }}", "samples": 3, "temperature": 1.0}
    made = cook(tmp_path, TWO, how, script=lambda p, s: f"a{next(count)}")
    assert made.all("sample") == [0, 1, 2, 0, 1, 2] and len(set(made.all("output"))) == 6
    again = cook(tmp_path, TWO, how | {"as_list": "all"})  # from the journal
    assert [[c["output"] for c in r.fields["all"]] for r in again.out] == [
        made.all("output")[:3],
        made.all("output")[3:],
    ]
    assert {(c["role"], c["finish"]) for r in again.out for c in r.fields["all"]} == {("teacher", "stop")}


def test_several_roles_answer_each(tmp_path: Path) -> None:
    how = {"use": "sample", "template": "{{ q }}", "roles": ["teacher", "second"], "as_list": "all"}
    made = cook(tmp_path, TWO[:1], how, script=lambda p, s: "x")
    assert [c["role"] for c in made.out[0].fields["all"]] == ["teacher", "second"]
    made = cook(tmp_path, TWO[:1], how, {"use": "join"}, script=lambda p, s: "x")
    none = cook(tmp_path / "..", [], how)
    assert none.out == []
