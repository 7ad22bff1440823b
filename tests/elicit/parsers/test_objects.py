import json
import random
from typing import Any

import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.objects import DEEPEST, objects
from stillhouse.errors import RecipeError


def made_up(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(7 if depth < 4 else 5)
    if kind == 5:
        return [made_up(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 6:
        return {f'k{n}"]}}[\\,': made_up(rng, depth + 1) for n in range(rng.randrange(4))}
    return [None, True, rng.randrange(-999, 999), rng.random(), '"}],\\ {"é\n```'][kind]


@pytest.mark.parametrize("seed", range(40))
def test_any_object_among_words_is_read_back(seed: int) -> None:
    rng = random.Random(seed)
    value = {"first": made_up(rng), **{f"k{n}": made_up(rng) for n in range(3)}}
    spelled = json.dumps(value, indent=rng.choice([None, 2]), ensure_ascii=rng.random() < 0.5)
    for form in ("{}", "Sure [1], f(x) = {{x}}:\n```json\n{}\n```\nBye [2]", "set {{1, 2}} {}"):
        text = form.replace("{{", "\0").replace("}}", "\1").replace("{}", spelled).replace("\0", "{").replace("\1", "}")
        assert objects(text) == [value]


def test_commas_before_a_closing_bracket_are_forgiven_but_not_in_a_string() -> None:
    assert objects('{"a": [1, 2, ], "b": ",]",\n}') == [{"a": [1, 2], "b": ",]"}]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON"),
        ("no braces at all", "no JSON"),
        ("[1, 2]", "no JSON"),
        ("{'a': 1}", "no JSON"),
        ("{}", "no JSON"),
        ('{"a": NaN}', "a JSON number that is none"),
        ('{"a": -Infinity}', "a JSON number that is none"),
        ('{"a": 1e999}', "a JSON number that is none"),
        ('{"a": 1, "a": 2}', "a JSON key twice"),
        ('{"a": {"b": 1, "b": 2}}', "a JSON key twice"),
        ('{"a": {"b": 1}', "not closed"),
        ('{"a": "cut he', "not closed"),
        ('[{"a": 1}, {"b": ', "not closed"),
        ('{"a": 1 "b": 2}', "wrong JSON"),
        ('{"a": __import__("os")}', "wrong JSON"),
        ('{"a": ' + "1" * 5000 + "}", "wrong JSON"),
        ('{"a": 1} {"a": 2}', "several"),
        ('{"a":' * 100_000, "nested too deep"),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' + "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1) + "}", "nested too deep"),
        (r'{"a": "\ud800"}', "broken characters"),
    ],
)
def test_unreadable(text: str, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        objects(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1}, {"a": 2}]',
        '{"a": 1}\n{"a": 2}',
        '```json\n[{"a": 1}]\n```\nand {"a": 2}',
        '{"x": [{"a": 1}, {"a": 2},]}',
    ],
)
def test_many(text: str) -> None:
    under = "x" if '"x"' in text else ""
    assert objects(text, many=True, under=under) == [{"a": 1}, {"a": 2}]


def test_a_list_of_texts() -> None:
    assert objects('Topics: ["a", "b"]', many=True, field="topic") == [{"topic": "a"}, {"topic": "b"}]
    with pytest.raises(Unreadable, match="no JSON"):
        objects('["a", "b"]', many=True)
    with pytest.raises(Unreadable, match="no JSON"):
        objects('["a", 2]', many=True, field="topic")


def test_under_one_object() -> None:
    assert objects('{"result": {"a": 1}}', under="result") == [{"a": 1}]
    with pytest.raises(Unreadable, match="no JSON"):
        objects('{"other": {"a": 1}}', under="result")


def test_a_schema_holds_every_item() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/small"}, "$ref": {"type": "string"}},
        "required": ["a"],
        "$defs": {"small": {"type": "integer", "maximum": 9}},
    }
    assert objects('{"a": 3}', schema=schema) == [{"a": 3}]
    for wrong in ('{"a": "3"}', '{"a": 10}', '{"b": 3}', '{"a": true}'):
        with pytest.raises(Unreadable, match="against the schema"):
            objects(wrong, schema=schema)
    with pytest.raises(Unreadable, match="against the schema"):
        objects('[{"a": 3}, {"a": 11}]', many=True, schema=schema)


def test_a_schema_that_leads_nowhere_is_the_recipes_mistake() -> None:
    with pytest.raises(RecipeError):
        objects('{"a": 3}', schema={"$ref": "#"})
    with pytest.raises(RecipeError):
        objects('{"a": 3}', schema={"$ref": "#/$defs/none"})
