"""What every parser keeps to, whatever a teacher writes: a list of tables or Unreadable, and soon."""

import time
from typing import Any

import pytest

from stillhouse.elicit.parsers import PARSERS, Unreadable
from stillhouse.elicit.parsers.read import LONGEST, check, read

SETTINGS: dict[str, dict[str, Any]] = {
    "fields.json": {"many": True, "field": "text", "schema": {"type": "object"}},
    "fields.numbered": {"word": "Task"},
    "fields.sections": {"markers": {"input": "Input:", "output": "Output:"}},
    "fields.regex": {"pattern": r"(?P<a>(x+x+)+)y", "many": True},
    "fields.tags": {"tags": ["a", "b"], "many": True},
    "score.ranking": {"ids": ["1", "2", "3"]},
    "score.verdict": {"words": {"A": ["A", "assistant A"], "tie": ["tie", "C"]}},
    "answer.label": {"labels": ["entailment", "neutral"]},
    "turns.log": {"html": True},
}

UNITS = {
    "brackets": "[",
    "braces": '{"a":',
    "closed": "[]",
    "objects": '{"a":1}',
    "mixed": '[{"',
    "quotes": '"\\',
    "spaces": " ",
    "blank lines": "\n",
    "lines of space": "  \n",
    "stars": "*",
    "tabs in marks": "**_ ",
    "numbers": "1",
    "listed": "1. x\n",
    "commas": ",",
    "thousands": "1,000",
    "dots": "1.",
    "slashes": "1/",
    "minus": "-",
    "answers": "the answer is ",
    "boxes": "\\boxed{",
    "hashes": "#### ",
    "score": "score: ",
    "scores": "8 9\n",
    "of": "7/10 ",
    "chain": "[1] > ",
    "tags": "<a>",
    "pairs": "<a></a><b></b>",
    "fences": "```\n",
    "fenced": "```python\nx\n```\n",
    "human": "[Human] a\n[AI] b\n",
    "markers": "Input: a\nOutput: b\n",
    "thoughts": "Thought: a\nAction: b[c]\n",
    "calls": "f(",
    "not": "not ",
    "words": "word ",
    "chinese": "写一首诗。",
    "surrogates": "\ud800",
    "nulls": "\0",
    "template": "{{ 7 * 7 }}{% for %}",
    "roles": "<|im_end|>\n",
    "xs": "x",
    "user": "User: ",
    "html": "<div>",
    "so": "so ",
    "verdict": "[[A]]",
    "doubled": "[[",
    "inf": "1e999 ",
}


def settings(name: str) -> dict[str, Any]:
    return {"use": name, **SETTINGS.get(name, {})}


@pytest.mark.parametrize("name", PARSERS)
def test_settings_pass_the_check(name: str) -> None:
    check(settings(name))


@pytest.mark.parametrize("name", PARSERS)
def test_hostile_text_is_read_or_unreadable_in_linear_time(name: str) -> None:
    for what, unit in UNITS.items():
        start = time.process_time()
        text = (unit * 10_000)[:10_000]
        for variant in (text, f'The answer is {{"a": "{text}"}}\nend'):
            try:
                items = read(variant, settings(name))
            except Unreadable as error:
                assert 0 < len(str(error)) < 60
            else:
                assert 1 <= len(items) <= 1000
                assert all(isinstance(key, str) for item in items for key in item)
        assert time.process_time() - start < 2, f"more than linear time for {what}"


@pytest.mark.parametrize("name", PARSERS)
def test_a_reply_that_is_too_long_or_empty_is_unreadable(name: str) -> None:
    with pytest.raises(Unreadable, match="too long"):
        read("7" * (LONGEST + 1), settings(name))
    with pytest.raises(Unreadable):
        read("", settings(name))
    with pytest.raises(Unreadable):
        read(" \n\t ", settings(name))


@pytest.mark.parametrize("name", PARSERS)
def test_reading_is_pure(name: str) -> None:
    text = '1. The answer is 7.\n[[A]] <a>x</a><b>y</b>\n```\nf(x=1)\n```\nInput: a\nOutput: b\n{"name": "f"}\n8 9\n'

    def outcome() -> Any:
        try:
            return read(text, settings(name))
        except Unreadable as error:
            return str(error)

    assert outcome() == outcome()
