from typing import Any

import pytest

from stillhouse.elicit.catalogue import resolve
from stillhouse.elicit.check import check_operator
from stillhouse.errors import RecipeError

PARSE = {"use": "fields", "kind": "json"}


@pytest.mark.parametrize(
    ("use", "settings", "said"),
    [
        ("label", {"templat": "x"}, "no setting 'templat'"),
        ("label", {"template": "{{ a"}, "not a template"),
        ("label", {"template": "@one"}, "no template '@one'"),
        ("label", {"template": "x", "parse": {"use": "feilds"}}, "no parser 'feilds'"),
        ("curate", {"template": "x"}, "needs the setting 'parse'"),
        ("judge", {"template": "x", "until": "a b"}, "not an expression"),
        ("refine", {"critique": "x", "revise": "{% if %}", "until": "a"}, "not a template"),
        ("refine", {"critique": "x", "revise": "y", "until": "a", "parse_revision": {"use": "nothing"}}, "no parser"),
        ("assemble", {"layouts": [{"prompt": "{{ a", "answer": "b"}]}, "not a template"),
        ("assemble", {"layouts": [{"when": "a b", "answer": "b"}]}, "not an expression"),
        ("assemble", {"layouts": [{"promt": "x"}]}, "Extra inputs"),
        ("write", {"fields": {"a": "{{ b"}}, "not a template"),
        ("evolve", {"ops": []}, "at least 1 item"),
        ("grid", {"axes": {}}, "at least 1 item"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_asked(use: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        check_operator(resolve(use), settings, {"two": "{{ b }}"})


@pytest.mark.parametrize(
    ("use", "settings"),
    [
        ("label", {"template": "@two"}),
        ("rules", {"blacklist": ["{{", "{% raw", "@"]}),  # words to look for, not templates
        ("curate", {"template": "{{ a }}", "parse": PARSE}),
        ("label", {"template": "x", "parse": {"use": "fields", "kind": "regex", "pattern": r"\{\{(?P<a>\w+)\}\}"}}),
        ("write", {"fields": {"a": 3, "b": ["{{"], "c": "{{ a }}"}}),
    ],
)
def test_what_can_work_is_let_through(use: str, settings: dict[str, Any]) -> None:
    check_operator(resolve(use), settings, {"two": "{{ b }}"})
