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
    row("own-words", 200, 1, source="authored", begin="I think of "),
    row("guide", 300, 2, source="wikihow", begin="My way is this: "),
]
TOPICS = [row(f"topic {n}", 1300 + n, 10 + n, cluster="one") for n in range(14)]
LARGE = [row(f"much {n}", 1300, 20 + n, cluster="large") for n in range(64)]
SMALL = [row(f"few {n}", 1300, 20, cluster=f"small {n}") for n in range(8)]


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
    assert names(run) == {"just-long", "longest", "just-high", "own-words", "guide"}  # others may say I, at any length
    dropped = run.funnel("good answers in one style")["dropped"]
    assert dropped.pop("forbidden pattern") == 4 and sum(dropped.values()) == 3


def test_the_ten_best_of_each_topic(taste: Any) -> None:
    assert sorted(r.fields["score"] for r in taste(TOPICS).records) == list(range(14, 24))


def test_a_large_topic_counts_for_less(taste: Any) -> None:
    run = taste([*LARGE, *SMALL])
    chances = {r.fields["cluster"]: float(r.fields["chance"]) for r in run.laps[0]["community"]}
    assert chances["large"] == 4 / 10
    assert {chance for topic, chance in chances.items() if topic != "large"} == {1.0}
    topics = Counter(r.fields["cluster"] for r in run.records)
    assert topics.total() == 12 and len(topics) >= 7  # of 72 answers 64 are on one topic


def test_three_parts_of_the_community_and_one_by_hand(tmp_path: Path) -> None:
    run = cooked("lima", script, tmp_path)
    sources = Counter(r.fields["source"] == "authored" for r in run.records if r.split == "train")
    assert sources == {True: 4, False: 12}
    assert not run.calls


def test_what_is_held_out_is_chosen_by_nobody(tmp_path: Path) -> None:
    run = cooked("lima", script, tmp_path)
    held = {r.fields["prompt"] for r in run.laps[0]["seeds"] if r.split == "test"}
    measured = {r.messages[0].content for r in run.records if r.split == "test"}
    assert measured and measured <= held
    assert not held & {r.messages[0].content for r in run.records if r.split == "train"}


def test_the_student_learns_the_humans_answers_as_they_are(tmp_path: Path) -> None:
    run = cooked("lima", script, tmp_path)
    for record in run.records:
        assert [m.role for m in record.messages] == ["user"]
        assert record.responses[0].text == record.answers("teacher")[0].text
        assert record.responses[0].text in {r.fields["response"] for r in run.laps[0]["seeds"]}
