import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stillhouse.errors import RecipeError
from stillhouse.records.types import Message, Record
from tests.elicit.cooking import cook, of

POOL = of(
    *(
        {"q": f"question {n} about {w}", "a": n, "kind": n % 2}
        for n, w in enumerate(["tea", "tea pots", "cars", "tea cups"])
    )
)


def demos(folder: Path, records: list[Record], **settings: Any) -> list[list[Any]]:
    made = cook(folder, records, {"use": "demos", "near": "q"} | settings, sets={"pool": POOL})
    return [[d["a"] for d in r.fields["demos"]] for r in made.out]


def test_first_near_and_random_demonstrations(tmp_path: Path) -> None:
    asked = of({"q": "tell of tea pots", "kind": 1})
    assert demos(tmp_path, asked, pools={"pool": 2}) == [[0, 1]]
    assert demos(tmp_path, asked, pools={"pool": 2}, choose="near") == [[1, 0]]
    assert demos(tmp_path, asked, pools={"pool": 9}, choose="near") == [[1, 0, 3, 2]]
    assert demos(tmp_path, asked, pools={"pool": 9}, same="kind") == [[1, 3]]
    assert demos(tmp_path, of({"q": "x", "kind": 7}), pools={"pool": 9}, same="kind") == [[]]
    drawn = Counter(n for row in demos(tmp_path, asked * 40, pools={"pool": 2}, choose="random") for n in row)
    assert set(drawn) == {0, 1, 2, 3} and drawn.total() == 80


@pytest.mark.parametrize("choose", ["first", "near", "random"])
def test_never_the_record_itself_nor_what_is_held_out(choose: str, tmp_path: Path) -> None:
    later = [r.having(rationale="new") for r in POOL]  # the same records, a step later
    for records in (POOL, later, [r.without("a") for r in POOL]):
        for row, record in zip(demos(tmp_path, records, pools={"pool": 4}, choose=choose), POOL, strict=True):
            assert sorted(row) == [n for n in range(4) if n != record.fields["a"]]
    held = [Record((Message("user", "x"),), split=s) for s in ("test", "valid")]
    made = cook(tmp_path, POOL[:1], {"use": "demos", "pools": {"pool": 2}, "choose": choose}, sets={"pool": held})
    assert made.out[0].fields["demos"] == []


def test_two_pools_give_no_record_twice(tmp_path: Path) -> None:
    made = cook(
        tmp_path, of({"q": "x"}), {"use": "demos", "pools": {"one": 2, "two": 2}}, sets={"one": POOL, "two": POOL}
    )
    assert [d["a"] for d in made.out[0].fields["demos"]] == [0, 1, 2, 3]


def test_many_records_and_demonstrations_take_no_square(tmp_path: Path) -> None:
    pool = of(*({"q": f"word{n % 700} word{n % 31}", "n": n} for n in range(4000)))
    for choose in ("first", "random"):
        began = time.process_time()
        cook(tmp_path, pool, {"use": "demos", "pools": {"pool": 4}, "choose": choose, "near": "q"}, sets={"pool": pool})
        assert time.process_time() - began < 3


def test_grid(tmp_path: Path) -> None:
    def cells(**settings: Any) -> list[dict[str, Any]]:
        return [r.fields for r in cook(tmp_path, [], {"use": "grid", **settings}, sets={"pool": POOL}).out]

    axes = {"a": [1, 2], "b": "pool.kind"}
    assert cells(axes=axes, carry={"c": 0}) == [{"c": 0, "a": a, "b": b} for a in (1, 2) for b in (0, 1)]
    assert [c["copy"] for c in cells(axes={"a": [1]}, copies=3)] == [0, 1, 2]
    drawn = cells(axes=axes, draw=3)
    assert len(drawn) == 3 and all(drawn.count(c) == 1 for c in drawn)
    assert len(cells(axes=axes, draw=99)) == 4
    huge = cells(axes={name: list(range(100)) for name in "abcdef"}, draw=50)
    assert len({tuple(c.values()) for c in huge}) == 50
    weighted = {
        "a": [{"value": "x", "weight": 9}, {"value": "y", "weight": 1}, {"value": "z", "weight": 0}],
        "b": list(range(40)),
    }
    counts = Counter(c["a"] for c in cells(axes=weighted, draw=30))
    assert counts["x"] > counts["y"] and counts["z"] == 0
    for wrong, said in (({"b": "nothing.kind"}, "nothing.kind"), ({"b": "pool"}, "set.field")):
        with pytest.raises(RecipeError, match=said):
            cells(axes=wrong)


def test_mix(tmp_path: Path) -> None:
    sets = {"voices": of({"id": "kind", "text": "Be kind"}, {"id": "short", "text": "Be short"})}
    data = of(*({"task": t} for t in ("a", "b", "c") * 30))
    rules = [{"value": "a", "choices": {"kind": 1}}, {"value": "b", "choices": {"kind": 0, "short": 3}}]
    made = cook(
        tmp_path, data, {"use": "mix", "choices": "voices", "by": "task", "rules": rules, "into": "v"}, sets=sets
    )
    assert Counter((r.fields["task"], r.fields["v"]["id"]) for r in made.out) == {("a", "kind"): 30, ("b", "short"): 30}
    assert made.funnels[0].dropped == {"no rule for its task": 30}
    free = {"voices": of({"text": "one"}, {"text": "two"})}  # nothing has an id
    drawn = Counter(
        r.fields["drawn"]["text"] for r in cook(tmp_path, data, {"use": "mix", "choices": "voices"}, sets=free).out
    )
    assert min(drawn["one"], drawn["two"]) > 20
    assert cook(tmp_path, data[:1], {"use": "mix", "choices": "voices"}, sets={"voices": []}).why == [
        "nothing to draw from"
    ]
    for wrong in ({"choices": "none"}, {"choices": "voices", "rules": [{"value": "a", "choices": {"loud": 1}}]}):
        with pytest.raises(RecipeError, match="mix"):
            cook(tmp_path, data, {"use": "mix"} | wrong, sets=sets)


def test_mine(tmp_path: Path) -> None:
    pattern = {
        "name": "because",
        "find": r"(?P<claim>[^.]+) because (?P<why>[^.]+)(?P<rest>z)?",
        "fields": {"q": "Why: {{ claim }}?", "a": "{{ why }}{{ rest }}", "pattern": "x"},
    }
    data = of({"text": "It rains because clouds are full. I sleep because I am tired."}, {"text": "Nothing."})
    made = cook(tmp_path, data, {"use": "mine", "patterns": [pattern]})
    assert made.all("q") == ["Why: It rains?", "Why:  I sleep?"] and made.all("a") == ["clouds are full", "I am tired"]
    assert set(made.all("pattern")) == {"because"} and made.why == ["no match"]
    assert len(cook(tmp_path, data, {"use": "mine", "patterns": [pattern], "per_record": 1}).out) == 1
    with pytest.raises(RecipeError, match="because"):
        cook(tmp_path, data, {"use": "mine", "patterns": [pattern | {"find": "("}]})
