import time

import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.pattern import pattern
from stillhouse.errors import RecipeError


def test_named_groups_become_fields() -> None:
    given = r"(?m)^Q: (?P<question>.*)\nA: (?P<answer>.*?)(?P<why> because .*)?$"
    text = "Q: Größe? \nA: 7\nQ: b\nA: 8 because x"
    assert pattern(text, pattern=given) == [{"question": "Größe?", "answer": "7", "why": ""}]
    assert [item["answer"] for item in pattern(text, pattern=given, many=True)] == ["7", "8"]


def test_no_match_and_broken_characters() -> None:
    with pytest.raises(Unreadable, match="no match"):
        pattern("abc", pattern="(?P<a>x)")
    with pytest.raises(Unreadable, match="broken characters"):
        pattern("x\ud800", pattern="(?P<a>x)")


def test_of_a_text_that_was_cut_off_the_match_at_its_end_is_left_out() -> None:
    given = r"(?m)^A: (?P<answer>.*)$"
    assert pattern("A: 7\nA: 8\n", False, pattern=given, many=True) == [{"answer": "7"}]
    assert pattern("A: 7\nA: 8\nBut", False, pattern=given, many=True) == [{"answer": "7"}, {"answer": "8"}]
    assert pattern("A: 7\nBut", False, pattern=given) == [{"answer": "7"}]
    for many in (True, False):
        with pytest.raises(Unreadable, match="cut off"):
            pattern("A: 7", False, pattern=given, many=many)


def test_a_pattern_that_would_hang_re_takes_no_time() -> None:
    start = time.process_time()
    with pytest.raises(Unreadable):
        pattern("a" * 500_000, pattern="(?P<x>(a|aa)+(a*)*)b")
    assert time.process_time() - start < 2


def test_the_settings_come_first() -> None:
    with pytest.raises(RecipeError, match="no named group"):
        pattern("", pattern="x")
