"""LIMA: thresholds at their edges, the best of each topic, diversity before size, three parts to one, no teacher."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stillhouse.endpoints.base import Sampling
from stillhouse.records.types import Message
from tests.recipes.kitchen.cooking import Cooked, cooked


def script(prompt: tuple[Message, ...], sampling: Sampling) -> str:
    raise AssertionError("there is no teacher")


def row(name: str, length: int, score: int, cluster: str = "", source: str = "stackexchange", **more: str) -> Any:
    prompt = more.get("prompt", f"What is to be known about {name}?")
    text = f"{more.get('begin', '')}{name} " + "word " * length
    return {"prompt": prompt, "response": text[:length], "score": score, "cluster": cluster or name, "source": source}


EDGES = [
    row("short", 1199, 50),
    row("just-long", 1200, 50),
    row("longest", 4096, 50),
    row("too-long", 4097, 50),
    row("low", 2000, 9),
    row("just-high", 2000, 10),
    row("first-person", 2000, 50, begin="In this case I would "),
    row("my", 2000, 50, begin="Look at my "),
    row("refers", 2000, 50, begin="As mentioned in the other answer, "),
    row("links", 2000, 50, begin="See https://example.org for "),
    row("own-words", 2000, 10, source="authored", begin="I think of "),
]
TOPICS = [row(f"topic {n}", 1300 + n, 10 + n, cluster="one") for n in range(4)]
MANY = [row(f"subject {n}", 1500, 20, prompt=f"{'How ' * n}{n} {n + 100} {n + 200}?") for n in range(20)]
SAME = [row(f"same {n}", 1500, 99, prompt="Why is the sky blue in the morning?") for n in range(2)]


@pytest.fixture(scope="module")
def taste(tmp_path_factory: pytest.TempPathFactory) -> Any:
    def cook(rows: list[Any]) -> Cooked:
        folder: Path = tmp_path_factory.mktemp("lima")
        (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return cooked("lima", script, folder, f"seeds={folder / 'rows.jsonl'}", "data.held_out=0.0")

    return cook


def names(run: Cooked) -> set[str]:
    return {r.fields["cluster"] for r in run.records}


def test_thresholds_and_style_at_their_edges(taste: Any) -> None:
    run = taste(EDGES)
    assert names(run) == {"just-long", "longest", "just-high", "own-words"}  # by hand one may say I
    assert run.funnel("one style")["dropped"] == {"forbidden pattern": 4}


def test_the_best_of_each_topic(taste: Any) -> None:
    run = taste(TOPICS)
    assert sorted(r.fields["score"] for r in run.records) == [12, 13]


def test_diversity_comes_before_the_score(taste: Any) -> None:
    prompts = Counter(r.messages[0].content for r in taste([*MANY, *SAME]).records)
    assert len(prompts) == 12 and sum(prompts.values()) == 12
    different = MANY + [
        row(f"twin {n}", 1500, 98, prompt=f"Why is the sky blue in the morning {'now' * n}?") for n in (1, 2)
    ]
    run = taste([*different, *SAME[:1]])
    sky = [r for r in run.records if "sky" in r.messages[0].content]
    assert len(run.records) == 12 and len(sky) < 3  # three of the best scores, but one question


def test_three_parts_of_the_community_and_one_by_hand(tmp_path: Path) -> None:
    run = cooked("lima", script, tmp_path)
    sources = Counter(r.fields["source"] == "authored" for r in run.records)
    assert sources[True] == 4 and 10 <= sources[False] <= 12
    assert not run.calls


def test_the_student_learns_the_humans_answers_as_they_are(tmp_path: Path) -> None:
    run = cooked("lima", script, tmp_path)
    for record in run.records:
        assert [m.role for m in record.messages] == ["user"]
        assert record.responses[0].text == record.answers("teacher")[0].text
        assert len(record.responses[0].text) >= 1200
