import json

import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.actions import function, python, react


def test_react_with_brackets() -> None:
    text = "Thought 1: I need cats.\nMaybe dogs.\nAction 1: Search[cats [big] ones]\nObservation 1: no\nAction 2: F[x]"
    expected = {"thought": "I need cats.\nMaybe dogs.", "action": "Search", "args": "cats [big] ones"}
    assert react(text) == [expected]


def test_react_with_an_input_below() -> None:
    text = 'Thought: look\nAction: get_weather\nAction Input: {"city": "Oslo"}\nObservation: sunny'
    assert react(text) == [{"thought": "look", "action": "get_weather", "args": '{"city": "Oslo"}'}]


def test_react_over_lines_and_before_a_second_thought() -> None:
    assert react("Action: Code[x = 1\ny = [2]\n]")[0]["args"] == "x = 1\ny = [2]"
    assert react("Action: Search[a]\nThought: next\nAction: Finish[b]")[0] == {
        "thought": "",
        "action": "Search",
        "args": "a",
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no action"),
        ("Thought: hm", "no action"),
        ("Observation: x\nAction: a[b]", "no action"),
        ("Action: dance", "another form"),
    ],
)
def test_no_step(text: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        react(text)


@pytest.mark.parametrize(
    "written",
    [
        {"name": "f", "arguments": {"a": 1}},
        {"name": "f", "arguments": '{"a": 1}'},
        {"action": "f", "action_input": {"a": 1}},
        {"tool": "f", "parameters": {"a": 1}},
        {"function": {"name": "f", "arguments": '{"a": 1}'}},
    ],
)
def test_calls_in_json(written: dict[str, object]) -> None:
    assert function(f"I will.\n<functioncall> {json.dumps(written)}") == [
        {"thought": "I will.", "action": "f", "args": {"a": 1}}
    ]


def test_several_calls_and_none() -> None:
    text = '[{"name": "f"}, {"name": "g", "arguments": ""}]'
    assert [(item["action"], item["args"]) for item in function(text, many=True)] == [("f", {}), ("g", {})]
    for wrong in ('{"arguments": {}}', '{"name": 3}', '{"name": "f", "arguments": [1]}', '{"name": {"name": {}}}'):
        with pytest.raises(Unreadable, match="another form"):
            function(wrong)


def test_calls_in_python() -> None:
    assert python("Use it:\n```python\nf(1, b='x')\n```") == [{"action": "f", "args": {"0": 1, "b": "x"}}]
    with pytest.raises(Unreadable):
        python("f(open('x'))")
