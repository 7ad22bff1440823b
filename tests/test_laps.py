from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.elicit.contract import Dropped
from stillhouse.elicit.funnel import Funnel
from stillhouse.elicit.kitchen import Dishes
from stillhouse.laps import Lap, key_of, laps, trains_later, write_account
from stillhouse.records.types import Record
from stillhouse.run import Run

TWO = """
name = "two"
[[stage]]
name = "a"
rounds = 3
until = "size.pool - was.pool < 2 and round > 1"
[[stage.step]]
use = "label"
template = "{{ x }}"
output = "pool"
[stage.train]
steps = 10
growth = 1.5
[[stage.train.objective]]
use = "sft"
[[stage]]
name = "b"
[[stage.step]]
use = "sample"
roles = ["teacher", "student"]
template = "{{ x }}"
[[stage.step]]
use = "converse"
[[stage.step.speakers]]
name = "u"
speaks_as = "user"
opening = "x"
role = "untrained"
[[stage.step.speakers]]
name = "a"
speaks_as = "assistant"
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "two.toml").write_text(TWO)
    return Run.create(recipes.load(tmp_path / "two.toml"), tmp_path / "run")


def pool(count: int) -> dict[str, list[Record]]:
    return {"pool": [Record(fields={"n": n, "pair": (1, 2)}) for n in range(count)], "same": [Record(fields={"s": 1})]}


def test_a_stage_goes_round_until_its_guard_is_true(run: Run) -> None:
    sizes, before, seen = {1: 1, 2: 5, 3: 6}, pool(0), []
    for lap in laps(run):
        after = pool(sizes[lap.round]) if lap.stage.name == "a" else before
        lap.keep("key", before, Dishes(after))
        seen.append((lap.name, lap.is_last_round))
        before = after
    assert seen == [("a-01", False), ("a-02", False), ("a-03", True), ("b", True)]
    early = Lap(run, run.recipe.stage[0], 2)
    early.keep("key", pool(5), Dishes(pool(6)))
    assert early.is_last_round and [lap.name for lap in laps(run)] == ["a-01", "a-02", "b"]
    assert not trains_later(run, early) and trains_later(run, Lap(run, run.recipe.stage[0], 1))


def test_a_lap_keeps_the_sets_that_it_changed(run: Run) -> None:
    lap = Lap(run, run.recipe.stage[0], 1)
    assert not lap.is_elicited("key") and lap.sets(pool(1)) == pool(1)
    funnel = Funnel("label", dropped=Funnel().dropped)
    lap.keep("key", pool(1), Dishes(pool(3), [funnel], [(funnel, Dropped(Record(fields={"x": 1}), "why"))]))
    assert lap.is_elicited("key") and not lap.is_elicited("other")
    assert [p.name for p in (lap.folder / "sets").iterdir()] == ["pool.jsonl"]
    assert [r.fields["n"] for r in lap.sets(pool(1))["pool"]] == [0, 1, 2] and lap.sets({})["pool"][0].fields[
        "pair"
    ] == [1, 2]
    write_account(run, [lap])
    assert (
        '"why"' in (run.kitchen / "dropped.jsonl").read_text() and '"label"' in (run.kitchen / "steps.json").read_text()
    )
    lap.keep("other", pool(3), Dishes(pool(3)))
    assert list((lap.folder / "sets").iterdir()) == [] and lap.sets(pool(2)) == pool(2)


def test_a_damaged_note_means_that_it_is_done_again(run: Run) -> None:
    lap = Lap(run, run.recipe.stage[0], 1)
    lap.keep("key", {}, Dishes(pool(1)))
    for damage in ("", "{", "[]", "null"):
        (lap.folder / "done.json").write_text(damage)
        assert not Lap(run, run.recipe.stage[0], 1).is_elicited("key")


def test_who_is_asked(run: Run) -> None:
    first, second = (Lap(run, stage) for stage in run.recipe.stage)
    assert (first.asks("student"), first.asks("untrained")) == (False, False)
    assert (second.asks("student"), second.asks("untrained")) == (True, True)
    assert [Lap(run, run.recipe.stage[0], n).train.steps for n in (1, 2, 3)] == [10, 15, 22]


def test_the_key_changes_with_all_that_changes_the_sets(run: Run, tmp_path: Path) -> None:
    def key(text: str = TWO, before: str = "", sets: object = None, again: object = None, student: str = "") -> str:
        (tmp_path / "two.toml").write_text(text)
        changed = Run(tmp_path / "run", recipes.load(tmp_path / "two.toml"))
        return key_of(Lap(changed, changed.recipe.stage[0]), before, sets or pool(2), again or {}, student)

    other = pool(2) | {"same": [Record(fields={"s": 1}, split="test")]}
    batched = TWO.replace('use = "label"', 'use = "label"\nbatch_size = 3')
    same = [key(), key(TWO.replace("steps = 10", "steps = 20")), key(batched)]
    changed = (TWO.replace("{{ x }}", "{{ y }}"), '[templates]\nt = "x"\n' + TWO, TWO.replace("round > 1", "round > 2"))
    begun = [key(before="x"), key(sets=pool(3)), key(sets=other)]
    different = [*map(key, changed), *begun, key(again={"a": 1}), key(student="train/a")]
    assert len(set(same)) == 1 and len({*different, same[0]}) == 1 + len(different)
