"""expand, evolve, curate: new records of what was shown, and nothing held out among it."""

import re
from pathlib import Path

from stillhouse.endpoints.base import Answer
from stillhouse.records.types import Record
from tests.elicit.cooking import cook, of

NUMBERED = {"use": "fields", "kind": "numbered", "field": "instruction"}
EXPAND = {
    "use": "expand",
    "output": "fresh",
    "parse": NUMBERED,
    "template": "{% for d in demos %}<{{ d.i }}>{% endfor %}",
}


def pool(name: str, count: int, split: str = "train") -> list[Record]:
    return [Record(split=split, fields={"i": f"{name}{n}"}) for n in range(count)]


def test_demonstrations_are_drawn_from_each_pool_and_the_first_makes_up(tmp_path: Path) -> None:
    sets = {"human": pool("h", 9) + pool("held", 9, "test"), "machine": pool("m", 1) + pool("valid", 9, "valid")}
    step = EXPAND | {"demos": {"human": 3, "machine": 2}, "calls": 8, "carry": {"by": "us"}, "temperature": 1.0}
    made = cook(tmp_path, [], step, sets=sets | {"fresh": []}, script=lambda p, s: "1. Do it\n2. Do that")
    for asked in made.asked:
        shown = re.findall("<(.*?)>", asked)
        assert (
            len(set(shown)) == 5
            and shown.count("m0") == 1
            and all(one[0] in "hm" and "held" not in one for one in shown)
        )
    assert len({*made.asked}) > 4
    assert len(made.sets["fresh"]) == 16 and made.sets["fresh"][0].fields == {"by": "us", "instruction": "Do it"}


def test_a_small_pool_gives_what_it_has(tmp_path: Path) -> None:
    step = EXPAND | {
        "demos": {"human": 8},
        "draws": {"kinds": 2},
        "template": "{{ demos | length }} {{ kinds | map(attribute='i') | join }}",
    }
    made = cook(
        tmp_path,
        [],
        step,
        sets={"human": pool("h", 3), "kinds": pool("k", 1) + pool("t", 5, "test")},
        script=lambda p, s: "1. a",
    )
    assert made.asked == ["3 k0"]
    assert made.sets["fresh"][0].fields["drawn"]["kinds"][0]["i"] == "k0"


EVOLVE = {
    "use": "evolve",
    "ops": [{"name": "deeper", "template": "D {{ instruction }}"}, {"name": "never", "template": "N", "weight": 1e-9}],
}


def test_an_item_is_rewritten_and_remembers_where_it_is_from(tmp_path: Path) -> None:
    made = cook(
        tmp_path,
        of({"instruction": "a", "topic": "t", "generation": 2}),
        EVOLVE | {"keep": ["topic"]},
        script=lambda p, s: "b",
    )
    assert made.out[0].fields == {
        "topic": "t",
        "operation": "deeper",
        "parent": "a",
        "generation": 3,
        "finish": "stop",
        "instruction": "b",
    }
    odd = cook(tmp_path, of({"instruction": "a", "generation": "third"}), EVOLVE)
    assert odd.all("generation") == [1]


def test_what_fails_is_dropped_or_carried_once(tmp_path: Path) -> None:
    data = of({"instruction": "a"})
    assert cook(tmp_path, data, EVOLVE, script=lambda p, s: "").why == ["empty"]
    carried = cook(tmp_path, data, EVOLVE | {"on_fail": "carry", "each": "all"}, script=lambda p, s: "")
    assert carried.out == data and carried.why == ["empty"]


def test_the_other_one_is_another_one_of_the_same_split(tmp_path: Path) -> None:
    data = [Record(split=split, fields={"i": f"{split}{n}"}) for split in ("train", "test") for n in range(4)]
    step = {"use": "evolve", "arity": 2, "ops": [{"name": "mix", "template": "{{ i }}+{{ other.i }}"}]}
    for asked in cook(tmp_path, data, step, script=lambda p, s: "x").asked:
        one, other = asked.split("+")
        assert one != other and one[:-1] == other[:-1]
    alone = cook(tmp_path, data[:1], step, script=lambda p, s: "x")
    assert alone.asked == ["train0+train0"]


def test_children_inherit_the_split_and_the_fields(tmp_path: Path) -> None:
    data = [Record(split="test", fields={"topic": "t", "id": 1})]
    step = {"use": "curate", "template": "About {{ topic }}", "parse": NUMBERED, "per_record": 2}
    made = cook(tmp_path, data, step, script=lambda p, s: "1. a\n2. b\n3. c")
    assert made.all("instruction") == ["a", "b"] and made.all("id") == [1, 1]
    assert {r.split for r in made.out} == {"test"} and {r.lineage[0].parent for r in made.out} == {data[0].key}
    few = cook(tmp_path, data, step | {"keep": ["id"]})
    assert few.all("topic") == [None, None] and few.all("id") == [1, 1]


def test_how_a_parent_s_answer_ended_says_nothing_of_its_children(tmp_path: Path) -> None:
    data = of({"topic": "t", "finish": "length"})
    step = {"use": "curate", "template": "About {{ topic }}", "parse": NUMBERED}
    made = cook(tmp_path, data, step, script=lambda p, s: Answer("1. a\n2. b\n3. half of", "length"))
    assert made.all("instruction") == ["a", "b"] and made.all("finish") == ["stop", "stop"]
