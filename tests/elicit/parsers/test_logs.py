import json

import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.logs import log

SHARED = [
    {"from": "human", "value": "How do I print?"},
    {
        "from": "gpt",
        "value": "<div><p>Like this:</p><pre><code>pythonCopy code`print(<b>1</b> &lt; 2)`</code></pre></div>",
    },
]


def test_both_ways_to_write_a_log() -> None:
    chat = [{"role": "user", "content": " a "}, {"role": "assistant", "content": "b"}]
    same = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    (one,), (other,) = log(json.dumps(chat)), log(json.dumps(same))
    assert one == other == {"turns": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}


def test_html_becomes_markdown_on_the_assistants_side_alone() -> None:
    user = [{"from": "human", "value": "What is <b>?"}, {"from": "gpt", "value": "<b>bold</b>"}]
    (item,) = log(json.dumps(user), html=True, field="talk")
    assert [turn["content"] for turn in item["talk"]] == ["What is <b>?", "**bold**"]
    (item,) = log(json.dumps(SHARED), html=True)
    assert "Copy code" not in item["turns"][1]["content"]
    assert "print(" in item["turns"][1]["content"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no log"),
        ("{}", "no log"),
        ("[" * 100_000, "no log"),
        ("[]", "too few"),
        ("[1]", "another form"),
        ('[{"from": "alien", "value": "x"}]', "another form"),
        ('[{"from": "human", "value": null}]', "another form"),
        ('[{"from": ["human"], "value": "x"}]', "another form"),
        ('[{"from": "human", "value": "x"}]', "too few"),
    ],
)
def test_unreadable(text: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        log(text)


def test_long_logs_are_cut_into_pieces() -> None:
    turns = [{"from": who, "value": "x" * 50} for _ in range(4) for who in ("human", "gpt")]
    assert [len(item["turns"]) for item in log(json.dumps(turns), max_chars=250)] == [4, 4]
