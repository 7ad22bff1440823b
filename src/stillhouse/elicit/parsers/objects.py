"""`fields.json`: JSON among a model's words."""

import json
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from referencing.exceptions import Unresolvable

from stillhouse.elicit.parsers.contract import Unreadable
from stillhouse.errors import RecipeError

DEEPEST = 64
"""Levels of nesting; nothing that was asked for has more."""

MOST = 1001
"""Items looked at: one more than `items.sound` lets pass by default is enough to say that there are too many."""

OPENING = re.compile(r"[\[{]")
# An object with a key, or a list of objects or texts; "[1]" and "{x}" in prose are not meant as JSON.
MEANT = re.compile(r'\{\s*"|\[\s*[{"]')
# A string (closed, or running to the end), or a bracket; every character is looked at once.
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.S)
STRING_OR_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*+")|,(?=\s*+[\]}])', re.S)


def objects(
    text: str, *, many: bool = False, under: str = "", field: str = "", schema: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The one JSON object in the text, or with `many` each object of its lists, or each that stands by itself.

    `under`: the list (or the object) is the value of that key. `field`: a list of texts becomes items with this field.
    `schema`: a JSON schema that every item must keep; its references stay within it.
    Words and fences around the JSON do not matter, and commas before a closing bracket are forgiven. Nothing else is:
    no NaN, no key twice, no number beyond a float, and nothing that is not closed.
    """
    validator = _validator(json.dumps(schema)) if schema else None
    found = (item for value in _values(text) for item in _items(value, many, under, field))
    items = list(islice(found, MOST if many else 2))
    if not items:
        raise Unreadable("no JSON")
    if len(items) > 1 and not many:
        raise Unreadable("several JSON objects")
    if validator and not all(_keeps(validator, item) for item in items):
        raise Unreadable("JSON against the schema")
    return items


def _items(value: Any, many: bool, under: str, field: str) -> list[dict[str, Any]]:
    """The objects that one value holds; a list of anything else holds none."""
    if under:
        value = value.get(under) if isinstance(value, dict) else None
    if isinstance(value, list) and many:
        listed = [{field: item} if field and isinstance(item, str) else item for item in value]
        return listed if all(isinstance(item, dict) for item in listed) else []
    return [value] if isinstance(value, dict) else []


def _values(text: str) -> Iterator[Any]:
    """Every JSON object or list, from left to right; other words in brackets are passed over."""
    opening = OPENING.search(text)
    while opening:
        start = opening.start()
        meant = MEANT.match(text, start)
        end = _closing(text, start)
        if meant and not end:
            raise Unreadable("JSON that is not closed")
        if meant:
            yield _value(text[start:end])
        opening = OPENING.search(text, end or start + 1)


def _closing(text: str, start: int) -> int:
    """Where the bracket that opens at `start` is closed; 0 when it is not."""
    depth = 0
    for token in TOKEN.finditer(text, start):
        if token[0] in "[{":
            depth += 1
            if depth > DEEPEST:
                raise Unreadable("JSON nested too deep")
        elif token[0] in "]}":
            depth -= 1
            if depth == 0:
                return token.end()
    return 0


def _value(text: str) -> Any:
    repaired = STRING_OR_TRAILING_COMMA.sub(lambda found: found[1] or "", text)
    try:
        value = json.loads(repaired, parse_constant=_refused, parse_float=_finite, object_pairs_hook=_once)
        json.dumps(value, ensure_ascii=False).encode()
    except Unreadable:
        raise
    except UnicodeEncodeError:
        raise Unreadable("broken characters") from None
    except ValueError:
        raise Unreadable("wrong JSON") from None
    return value


def _refused(constant: str) -> Any:
    raise Unreadable("a JSON number that is none")


def _finite(number: str) -> float:
    return value if math.isfinite(value := float(number)) else _refused(number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise Unreadable("a JSON key twice")
    return dict(pairs)


@lru_cache(maxsize=64)
def _validator(spelled: str) -> Draft202012Validator:
    schema = json.loads(spelled)
    if re.search(r'"\$(?:dynamicR|r)ef": "(?!#)', spelled):
        raise RecipeError("a schema may refer only to itself ('#/...')")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise RecipeError(f"the schema is none: {error.message} at {error.json_path}") from error
    return Draft202012Validator(schema)


def _keeps(validator: Draft202012Validator, item: dict[str, Any]) -> bool:
    try:
        return validator.is_valid(item)
    except (RecursionError, Unresolvable) as error:
        raise RecipeError("the schema refers to what it does not have, or to itself without end") from error
