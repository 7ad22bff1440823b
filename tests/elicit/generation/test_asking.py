from collections import Counter
from pathlib import Path

import pytest

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.generation.asking import asked, prompt_of, replies
from stillhouse.elicit.notebook import Notebook
from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.endpoints.scripted import Scripted
from stillhouse.errors import RecipeError
from stillhouse.records.types import Message
from tests.elicit.cooking import Script

JSON = {"use": "fields", "kind": "json"}


def reasons(folder: Path, script: Script, prompts: list[str], *, temperature: float = 1.0, **how: int):
    endpoint = Scripted(script)
    with Notebook(folder / "j") as notebook:
        ask = Ask("teacher", {"teacher": endpoint}, Sampling(temperature=temperature), notebook)
        found = replies(ask, [prompt_of(p, {"a": "x"}) for p in prompts], JSON, **how)
    return [[reply.reason for reply in row] for row in found], endpoint.calls, found


def test_what_cannot_be_read_is_asked_again_so_often(tmp_path: Path) -> None:
    count = Counter()

    def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
        count[prompt] += 1
        return '{"n": 1}' if count[prompt] > 2 else "no"

    for retries, reason, calls in ((0, "unreadable", 1), (1, "unreadable", 1), (2, "", 1)):
        (found,), made, _ = reasons(tmp_path, script, ["one"], retries=retries)
        assert found[0].startswith(reason) and len(made) == calls  # the earlier ones are in the journal
    assert reasons(tmp_path, script, ["one"], retries=2)[1] == []


def test_greedy_and_failed_answers_are_not_asked_again(tmp_path: Path) -> None:
    assert len(reasons(tmp_path, lambda p, s: "no", ["one"], temperature=0.0, retries=5)[1]) == 1
    found, calls, _ = reasons(tmp_path, lambda p, s: Answer("", "error", error="no"), ["two"], retries=5)
    assert (found, len(calls)) == ([["failed"]], 1)


def test_equal_prompts_are_asked_again_each_for_itself(tmp_path: Path) -> None:
    said = iter(["no", "no", '{"n": 1}', '{"n": 2}'])
    _, calls, found = reasons(tmp_path, lambda p, s: next(said), ["one", "one"], retries=1)
    assert sorted(row[0].items[0]["n"] for row in found) == [1, 2] and len(calls) == 4


def test_a_prompt_that_cannot_be_made_is_not_asked(tmp_path: Path) -> None:
    found, calls, _ = reasons(tmp_path, lambda p, s: '{"n": 1}', ["{{ a }}", "{{ b }}"])
    assert found == [[""], ["template without values: 'b' is undefined"]] and len(calls) == 1
    with pytest.raises(RecipeError, match="fits no record"):
        reasons(tmp_path, lambda p, s: "x", ["{{ b }}", "{{ c }}"])
    assert prompt_of("{{ a }}{{ a }}", {"a": "x" * 1_500_000}) == "prompt too long"


def test_the_event_has_the_prompts_hash(tmp_path: Path) -> None:
    with Notebook(tmp_path / "j") as notebook:
        ask = Ask("judge", {}, Sampling(), notebook)
        one, two = (asked(ask, "label", (Message("user", text),)) for text in "ab")
    assert (one.operation, one.role) == ("label", "judge") and one.prompt != two.prompt != ""
