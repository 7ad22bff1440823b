from typing import Any

import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.read import check, read, resolve
from stillhouse.errors import RecipeError


def shouting(text: str, finished: bool = True, *, times: int = 1, kind: str = "") -> list[dict[str, Any]]:
    return [{"text": text.upper(), "finished": finished, "kind": kind}] * times


SHOUTING = f"{__name__}:shouting"


def test_a_parser_is_found_by_use_and_kind() -> None:
    assert read(" hello ", {"use": "fields", "kind": "text"}) == [{"text": "hello"}]
    assert read(" hello ", {"use": "fields.text", "field": "topic"}) == [{"topic": "hello"}]
    assert resolve({"use": "answer", "kind": "number"}) == resolve({"use": "answer.number"})


def test_a_parser_of_ones_own_gets_the_ending_and_its_own_kind() -> None:
    given = {"use": SHOUTING, "times": 2, "kind": "loud"}
    assert read("a", given, finished=False) == [{"text": "A", "finished": False, "kind": "loud"}] * 2


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "needs 'use'"),
        ({"use": 3}, "needs 'use'"),
        ({"use": "feilds"}, "there is no parser 'feilds'; there are fields.json"),
        ({"use": "fields", "kind": "xml"}, "no kind 'xml'; its kinds are json, numbered"),
        ({"use": "fields"}, "no kind None; its kinds are json"),
        ({"use": "nowhere:parser"}, "cannot be imported"),
        ({"use": "fields.text", "feild": "x"}, "parser 'fields.text' has no setting 'feild'; its settings are field"),
        ({"use": "fields.text", "field": 3}, "setting 'field' is 3"),
        ({"use": "fields.text", "finished": False}, "no setting 'finished'"),
        ({"use": "fields.text", "exactly": -1}, "parser 'fields.text': setting 'exactly' is -1"),
        ({"use": "fields.tags"}, "parser 'fields.tags' needs the setting 'tags'"),
        ({"use": "fields.tags", "tags": []}, "needs at least one name"),
        ({"use": "fields.regex", "pattern": "(?P<a>"}, "cannot be used"),
        ({"use": "fields.regex", "pattern": "(?P<a>x)(?=y)"}, "the syntax is RE2's"),
        ({"use": "fields.regex", "pattern": "x"}, "no named group"),
        ({"use": "fields.json", "schema": {"type": 3}}, "schema"),
        ({"use": "fields.json", "schema": {"$ref": "https://example.com/a.json"}}, "refer only to itself"),
        ({"use": "fields.sections", "markers": {}}, "needs 'markers'"),
        ({"use": "fields.sections", "markers": {"a": " : "}}, "needs 'markers'"),
        ({"use": "fields.sections", "markers": {"a": "A:"}, "leads": "b"}, "no marker for 'b'"),
        ({"use": "score.number", "low": 5, "high": 1}, "must be below"),
        ({"use": "score.number", "names": []}, "at least one word"),
        ({"use": "score.ranking", "ids": ["1", "1"]}, "each once"),
        ({"use": "score.verdict", "words": {"yes": []}}, "at least one way"),
        ({"use": "answer.label", "labels": [""]}, "at least one word"),
        ({"use": "answer.choice", "choices": []}, "at least one letter"),
        ({"use": "turns.transcript", "speakers": {"robot": ["R"]}}, "the roles user, assistant, system"),
        ({"use": "turns.transcript", "leads": "system"}, "none of the speakers"),
    ],
)
def test_a_wrong_table_says_what_is_possible(table: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check(table)
    assert words in str(caught.value)
    with pytest.raises(RecipeError):
        read("some text", table)


def test_what_every_parser_is_held_to() -> None:
    table = {"use": "fields.numbered", "exactly": 2, "required": ["text"], "longest": 3}
    assert len(read("1. a\n2. b", table)) == 2
    with pytest.raises(Unreadable, match="wrong number"):
        read("1. a\n2. b\n3. c", table)
    with pytest.raises(Unreadable, match="field too long"):
        read("1. a\n2. abcd", table)
    with pytest.raises(Unreadable, match="no topic"):
        read("1. a\n2. b", {"use": "fields.numbered", "required": ["topic"]})


def test_a_table_with_what_toml_has_and_json_has_not() -> None:
    with pytest.raises(RecipeError, match="no parser takes"):
        check({"use": "fields.text", "field": {1, 2}})
