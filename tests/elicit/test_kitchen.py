"""Steps over sets: who is worked on, where it goes, in which order, and what stays the same from run to run."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stillhouse.elicit.contract import Dropped, Result
from stillhouse.errors import RecipeError
from stillhouse.recipe import Model, Step
from stillhouse.records.read import split_by_hash
from stillhouse.records.types import Message, Origin, Record
from tests.elicit.cooking import cook, of

NUMBERS = of(*({"n": n} for n in range(6)))


def odd(records: Iterable[Record]) -> Iterator[Result]:
    """Keep the odd ones."""
    for record in records:
        yield record if record.fields["n"] % 2 else Dropped(record, "even")


def twins(records: Iterable[Record]) -> Iterator[Result]:
    """Two children of each, the last ones first."""
    for record in reversed(list(records)):
        for side in "ab":
            yield record.child(Origin("twins"), n=record.fields["n"], side=side)


def numbers(records: Iterable[Record]) -> list[str]:
    return [f"{r.fields['n']}{r.fields.get('side', '')}" for r in records]


def step(function: str, **settings: object) -> dict[str, object]:
    return {"use": f"{__name__}:{function}", **settings}


def test_the_input_is_replaced_and_what_is_dropped_can_be_kept(tmp_path: Path) -> None:
    made = cook(tmp_path, NUMBERS, step("odd", name="odd ones", dropped="rest"))
    assert (numbers(made.out), numbers(made.sets["rest"])) == (["1", "3", "5"], ["0", "2", "4"])
    (funnel,) = made.funnels
    assert (funnel.step, funnel.took, funnel.kept, funnel.dropped) == ("odd ones", 6, 3, {"even": 3})


@pytest.mark.parametrize(
    ("settings", "records", "pool"),
    [
        ({"output": "pool"}, "012345", "135"),
        ({"output": "pool", "add": True}, "012345", "78135"),
        ({"add": True}, "012345135", "78"),
        ({"input": ["pool", "records"]}, "012345", "7135"),
        ({"input": ["records", "pool"], "output": "pool", "add": True}, "012345", "781357"),
        ({"input": ["records", "pool"]}, "1357", "78"),
        ({"when": "n > 3"}, "01235", "78"),
        ({"when": "n > 3", "output": "pool"}, "012345", "5"),
        ({"when": "n > 9"}, "012345", "78"),
        ({"when": "missing > 9"}, "012345", "78"),
    ],
)
def test_where_it_goes(settings: dict[str, object], records: str, pool: str, tmp_path: Path) -> None:
    made = cook(tmp_path, NUMBERS, step("odd", **settings), sets={"pool": of({"n": 7}, {"n": 8})})
    assert ("".join(numbers(made.out)), "".join(numbers(made.sets["pool"]))) == (records, pool)


def test_other_splits_stay_as_they_are_and_where_they_are(tmp_path: Path) -> None:
    data = [replace(r, split="valid" if r.fields["n"] in (0, 3) else "train") for r in NUMBERS]
    kept = cook(tmp_path, data, {"use": "write", "fields": {"m": "{{ n }}!"}})
    assert [(r.fields["n"], r.fields.get("m")) for r in kept.out] == [
        (0, None), (1, "1!"), (2, "2!"), (3, None), (4, "4!"), (5, "5!"),
    ]  # fmt: skip
    assert kept.funnels[0].took == 4
    made = cook(tmp_path, data, step("twins", splits=["train"]))
    assert numbers(r for r in made.out if r.split == "train") == ["5a", "5b", "4a", "4b", "2a", "2b", "1a", "1b"]
    assert numbers(r for r in made.out if r.split == "valid") == ["0", "3"]


def test_an_order_that_a_step_made_is_kept(tmp_path: Path) -> None:
    data = [*NUMBERS, Record(split="valid", fields={"n": 9})]
    made = cook(tmp_path, data, {"use": "draw", "shuffle": True})
    assert sorted(numbers(made.out)) == ["0", "1", "2", "3", "4", "5", "9"] != numbers(made.out)


def test_events_know_their_step_and_round_and_children_their_parent(tmp_path: Path) -> None:
    made = cook(
        tmp_path, NUMBERS[:1], step("twins", name="doubled"), step("twins"), step("odd"), round=3, split=split_by_hash
    )
    assert made.out == []
    made = cook(tmp_path, NUMBERS[1:2], step("twins", name="doubled"), step("twins", name="again"), round=3)
    first, second = made.out[0].lineage
    assert (first.step, first.round, first.parent) == ("doubled", 3, NUMBERS[1].key)
    assert (second.step, second.round) == ("again", 3) and second.parent != first.parent
    dropped = cook(tmp_path, NUMBERS[:1], step("twins"), step("odd", dropped="rest"), split=split_by_hash).sets["rest"]
    assert all(origin.step for record in dropped for origin in record.lineage)


def test_new_records_get_a_split_and_children_their_parents(tmp_path: Path) -> None:
    grid = {"use": "grid", "axes": {"a": list(range(60))}, "output": "cells"}
    made = cook(tmp_path, [Record(split="test", fields={"n": 1})], grid, step("twins"), split=split_by_hash)
    assert {r.split for r in made.sets["cells"]} == {"train", "valid", "test"}
    assert {r.split for r in made.out} == {"test"}
    assert cook(tmp_path, [], grid, split=split_by_hash).sets["cells"] == made.sets["cells"]


def test_what_is_wrong_says_in_which_step(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="step 'first' reads the set 'nothing'; there are pool, records"):
        cook(tmp_path, [], step("odd", name="first", input="nothing"), sets={"pool": []})
    with pytest.raises(RecipeError, match=r"step 'second': .*no setting 'x'"):
        cook(tmp_path, [], step("odd", name="second", x=1))
    with pytest.raises(RecipeError, match=r"step 'third': every record was dropped .*'m' is undefined.*\bn\b"):
        cook(tmp_path, NUMBERS, {"use": "write", "name": "third", "fields": {"a": "{{ m }}"}})
    with pytest.raises(RecipeError, match="step 'odd': operator 'demos' draws from the set 'x'"):
        cook(tmp_path, NUMBERS, {"use": "demos", "name": "odd", "pools": {"x": 1}})


def test_samples_of_what_was_dropped_are_few_per_reason(tmp_path: Path) -> None:
    made = cook(tmp_path, of(*({"n": 2 * n} for n in range(40))), step("odd"))
    assert made.funnels[0].dropped == {"even": 40} and made.why == ["even"] * 5


def test_chance_is_the_steps_own(tmp_path: Path) -> None:
    draw = {"use": "draw", "n": 2}
    runs = [cook(tmp_path, NUMBERS, draw | more, round=r).out for more in ({}, {"seed": 1}) for r in (1, 1, 2, 3, 4)]
    assert runs[0] == runs[1] and len({tuple(numbers(run)) for run in runs}) > 2


SAMPLED = {"use": "label", "template": "{{ n }}", "temperature": 1.0, "name": "ask"}


def test_again_asks_sampled_answers_anew_and_keeps_the_old_ones(tmp_path: Path) -> None:
    count = iter(range(100))
    counts = [
        len(cook(tmp_path, NUMBERS, SAMPLED, script=lambda p, s: f"{next(count)}", again=again, round=round).calls)
        for again, round in [
            ({}, 1),
            ({"ask": 1}, 1),
            ({}, 1),
            ({"ask": 1}, 1),
            ({"other": 1}, 1),
            ({}, 1001),
            ({"ask": 2}, 1),
        ]
    ]
    assert counts == [6, 6, 0, 0, 0, 6, 6]
    greedy = SAMPLED | {"temperature": 0.0}
    for again, calls in (({}, 6), ({"ask": 1}, 0)):
        assert len(cook(tmp_path, NUMBERS, greedy, script=lambda p, s: "x", again=again).calls) == calls


def test_another_parser_reads_what_is_paid_for(tmp_path: Path) -> None:
    def script(*_: object) -> str:
        return '{"a": "1"} so 7'

    cook(tmp_path, NUMBERS, SAMPLED | {"parse": {"use": "fields", "kind": "json"}}, script=script)
    made = cook(tmp_path, NUMBERS, SAMPLED | {"parse": {"use": "fields", "kind": "text", "field": "b"}})
    assert made.calls == [] and made.all("b") == ['{"a": "1"} so 7'] * 6
    made = cook(tmp_path, NUMBERS, SAMPLED, {"use": "rules", "field": "output", "min_words": 2})
    assert made.calls == [] and made.all("output") == ['{"a": "1"} so 7'] * 6


def test_a_role_without_a_price_of_its_own_is_paid_as_the_teacher(tmp_path: Path) -> None:
    models = {"teacher": Model(price=(0.0, 1e6)), "cheap": Model(price=(0.0, 1.0)), "free": Model(), "student": Model()}
    for role, cost in (("teacher", 6.0), ("judge", 6.0), ("cheap", 6e-6), ("free", 0.0), ("student", 0.0)):
        (tmp_path / role).mkdir()
        made = cook(tmp_path / role, NUMBERS, SAMPLED | {"role": role}, script=lambda p, s: "one", models=models)
        assert made.funnels[0].cost == pytest.approx(cost)


def test_a_hundred_thousand_records_in_seconds(tmp_path: Path) -> None:
    data = [
        Record((Message("user", f"Do {n} things"),), split="valid" if n % 9 == 0 else "train") for n in range(10_000)
    ]
    began = time.process_time()
    steps = [{"use": "write", "fields": {"a": "Task: {{ prompt }}"}}, {"use": "rules", "field": "a", "min_words": 2}]
    made = cook(tmp_path, data, *steps, {"use": "join", "output": "pool"}, sets={"pool": []}, split=split_by_hash)
    assert [r.messages for r in made.out] == [r.messages for r in data]
    assert [r.messages for r in made.sets["pool"]] == [r.messages for r in data if r.split == "train"]
    assert time.process_time() - began < 5  # a tenth of that many


def test_a_step_is_checked_as_a_step() -> None:
    for name in ("../out", "a/b", ".hidden", "a.b", "", "a\n"):
        with pytest.raises(ValueError, match=r"input|output|dropped"):
            Step.model_validate({"output": name or "/", "dropped": name})
