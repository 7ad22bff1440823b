"""Whether a step can be done at all, before anything is asked."""

from collections.abc import Mapping
from typing import Any

from stillhouse.elicit import templates
from stillhouse.elicit.contract import Operator, settings_of
from stillhouse.elicit.parsers.read import check as check_parse

PARSE, GUARDS = ("parse", "parse_revision"), ("when", "until")
"""Settings whose values are parsers' tables, and guards."""


def check_operator(operator: Operator, settings: Mapping[str, Any], shared: Mapping[str, str]) -> None:
    """Raises RecipeError for a setting that the operator has not, and for a faulty template, parser or guard in one."""
    given = templates.shared_in(dict(settings), shared)
    settings_of(operator, given)
    _look(given)


def _look(value: Any, key: str = "") -> None:
    if key in PARSE and isinstance(value, dict):
        check_parse(value)
    elif isinstance(value, dict):
        for name, inner in value.items():
            _look(inner, name)
    elif isinstance(value, list | tuple):
        for inner in value:
            if not isinstance(inner, str):  # a list of words, as "{{" in a blacklist, holds no templates
                _look(inner)
    elif isinstance(value, str) and key in GUARDS:
        templates.check_guard(value)
    elif isinstance(value, str) and ("{{" in value or "{%" in value):
        templates.check(value)
