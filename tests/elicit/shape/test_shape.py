from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stillhouse.errors import RecipeError
from stillhouse.records.types import Record
from tests.elicit.cooking import cook, of


def test_later_fields_see_earlier_ones(tmp_path: Path) -> None:
    step = {
        "use": "write",
        "fields": {"b": "{{ a }}!", "c": "{{ b }}{{ number }}", "n": 3},
        "number": True,
        "drop": ["b"],
    }
    made = cook(tmp_path, of({"a": "x"}, {"a": "{{ 7*7 }}"}), step)
    assert [(r["c"], r["n"], "b" in r) for r in (m.fields for m in made.out)] == [
        ("x!1", 3, False),
        ("{{ 7*7 }}!2", 3, False),
    ]


def test_clean(tmp_path: Path) -> None:
    step = {"use": "clean", "remove": [r"^as an? \w+, "], "replace": {r"colou?r": "hue"}}
    made = cook(tmp_path, of({"output": "As a biologist, colour it"}, {"output": "As a judge, "}, {}), step)
    assert made.all("output") == ["Hue it"] and made.why == ["empty after cleaning"] * 2
    for wrong in ({"remove": ["("]}, {"replace": {"x": r"\2"}}):
        with pytest.raises(RecipeError, match="clean"):
            cook(tmp_path, of({"output": "x"}), {"use": "clean"} | wrong)


def test_spread_makes_children_of_elements(tmp_path: Path) -> None:
    data = of({"t": 1, "xs": [{"a": 1, "t": 2, "self": 3, "origin": 4}, "text"]}, {"xs": []}, {"xs": "abc"})
    made = cook(tmp_path, data, {"use": "spread", "field": "xs", "into": "x", "number": "i"})
    assert [r.fields for r in made.out] == [
        {"t": 2, "a": 1, "self": 3, "origin": 4, "i": 0},
        {"t": 1, "x": "text", "i": 1},
    ]
    assert made.why == ["no list in xs"] * 2 and {r.lineage[-1].parent for r in made.out} == {data[0].key}


def test_gather_never_mixes_what_is_held_out(tmp_path: Path) -> None:
    data = [
        Record(split=s, fields={"g": g, "n": n})
        for n, (s, g) in enumerate([("train", 1), ("test", 1), ("train", 1), ("train", [2])])
    ]
    made = cook(tmp_path, data, {"use": "gather", "by": ["g"], "into": "all", "fields": ["n"]})
    assert [(r.split, [m["n"] for m in r.fields["all"]]) for r in made.out] == [
        ("train", [0, 2]),
        ("test", [1]),
        ("train", [3]),
    ]
    few = cook(tmp_path, data, {"use": "gather", "by": ["g"], "at_least": 2, "at_most": 1})
    assert few.out == [] and few.funnels[0].dropped == {"fewer than 2 in its group": 3}


def test_draw(tmp_path: Path) -> None:
    data = of(*({"n": n, "task": n % 3} for n in range(30)))

    def drawn(**settings: Any) -> list[int]:
        return cook(tmp_path, data, {"use": "draw", **settings}).all("n")

    assert drawn() == list(range(30)) and drawn(n=40) == list(range(30)) and drawn(share=0.0) == []
    assert len(drawn(n=7)) == 7 and drawn(n=7) == sorted(drawn(n=7)) and drawn(n=7) != drawn(n=7, seed=1)
    assert Counter(n % 3 for n in drawn(n=4, per="task")) == {0: 4, 1: 4, 2: 4}
    assert sorted(drawn(shuffle=True)) == list(range(30)) != drawn(shuffle=True)
