"""Laps of a run: what is done is read, what changed is done anew from the journal, and nothing is paid for twice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stillhouse import recipes, stages
from stillhouse.elicitation import Elicitation
from stillhouse.endpoints.scripted import Scripted
from stillhouse.errors import Interrupted, RecipeError, RunError
from stillhouse.laps import laps
from stillhouse.records.store import read_jsonl
from stillhouse.records.types import Record
from stillhouse.run import Run

GROW = """
name = "toy"
[data]
seeds = "SEEDS"
held_out = 0.2
valid = 0.0
[[stage]]
name = "grow"
rounds = 5
until = "size.pool >= 6"
[[stage.step]]
use = "expand"
name = "new"
output = "fresh"
template = "{% for d in demos %}{{ d.instruction }} {% endfor %}"
demos = { seeds = 2, pool = 1 }
parse = { use = "fields", kind = "numbered", field = "instruction" }
[[stage.step]]
use = "join"
input = "fresh"
output = "pool"
add = true
[[stage]]
name = "teach"
[[stage.step]]
use = "label"
name = "answers"
input = "pool"
template = "Do {{ instruction }}"
[[stage.step]]
use = "assemble"
input = "pool"
output = "records"
layouts = [{ prompt = "{{ instruction }}", answer = "{{ output }}" }]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"instruction": f"Seed {n}", "output": f"Gold {n}"} for n in range(20)]
    (tmp_path / "seeds.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def answer(prompt: Any, sampling: Any) -> str:
    asked = prompt[-1].content
    return f"about {asked}" if asked.startswith("Do") else f"1. {asked} more\n2. {asked} less"


def recipe_of(folder: Path, text: str = GROW) -> Any:
    (folder / "toy.toml").write_text(text.replace("SEEDS", str(folder / "seeds.jsonl")))
    return recipes.load(folder / "toy.toml")


def elicit(
    folder: Path, text: str = GROW, *, again: str = "", script: Callable[..., Any] = answer
) -> tuple[list[Record], Scripted, Run]:
    endpoint = Scripted(script)
    with stages.prepare(recipe_of(folder, text), folder / "run") as run:
        return stages.elicit(run, {"teacher": endpoint}, again=again), endpoint, run


def funnels(run: Run) -> list[dict[str, Any]]:
    return json.loads((run.kitchen / "steps.json").read_text())


def files(run: Run) -> dict[str, bytes]:
    found = [*run.kitchen.rglob("*.jsonl"), run.records, run.journal]
    return {str(path.relative_to(run.folder)): path.read_bytes() for path in found}


def test_rounds_go_on_until_the_pool_is_full(folder: Path) -> None:
    learnt, endpoint, run = elicit(folder)
    assert [(f["stage"], f["round"], f["step"]) for f in funnels(run)] == [
        *(("grow", n, step) for n in (1, 2, 3) for step in ("new", "join")),
        *(("teach", 1, step) for step in ("answers", "assemble")),
    ]
    assert [json.loads((run.kitchen / f"grow-{n:02d}/done.json").read_text())["sizes"]["pool"] for n in (1, 2, 3)] == [
        2,
        4,
        6,
    ]
    assert len(endpoint.calls) == 3 + 6
    made = [r for r in learnt if r.lineage]
    assert len(made) == 6 and all(r.answers("teacher")[0].text == f"about Do {r.messages[0].content}" for r in made)
    assert {r.split for r in learnt} <= {"train", "test"} and any(r.split == "test" for r in learnt)
    assert [Record.from_json(row) for _, row in read_jsonl(run.records)] == learnt


def test_a_second_time_nothing_is_asked_and_nothing_changes(folder: Path) -> None:
    first, _, run = elicit(folder)
    before = files(run)
    again, endpoint, _ = elicit(folder)
    assert (again, endpoint.calls, files(run)) == (first, [], before)


def test_another_parser_or_filter_reads_what_is_paid_for(folder: Path) -> None:
    first, _, run = elicit(folder)
    stricter = GROW.replace(
        '[[stage.step]]\nuse = "assemble"',
        '[[stage.step]]\nuse = "rules"\ninput = "pool"\nfield = "output"\nmatches = ["less$"]\n'
        '[[stage.step]]\nuse = "assemble"',
    )
    filtered, endpoint, _ = elicit(folder, stricter)
    assert endpoint.calls == [] and len([r for r in filtered if r.lineage]) == 3
    assert elicit(folder)[0] == first
    unbroken = files(run)
    for path in (run.kitchen / "grow-01", run.kitchen / "teach"):
        for file in path.rglob("*.*"):
            file.unlink()
    back, endpoint, _ = elicit(folder)
    assert (back, endpoint.calls, files(run)) == (first, [], unbroken)


def test_sets_of_an_earlier_recipe_do_not_come_back(folder: Path) -> None:
    kept = GROW.replace(
        'use = "label"\nname = "answers"',
        'use = "rules"\ndropped = "extra"\nfield = "instruction"\nmin_words = 99\ninput = "pool"\noutput = "none"\n'
        '[[stage.step]]\nuse = "label"\nname = "answers"',
    )
    _, _, run = elicit(folder, kept)
    assert (run.kitchen / "teach/sets/extra.jsonl").exists()
    _, _, run = elicit(folder)
    assert not (run.kitchen / "teach/sets/extra.jsonl").exists()
    with stages.prepare(recipe_of(folder), folder / "run") as run:
        work = Elicitation(run, {})
        for lap in laps(run):
            work.do(lap)
        assert "extra" not in work.sets


@pytest.mark.parametrize("calls", [1, 2, 4, 8])
def test_a_stopped_run_goes_on(folder: Path, calls: int) -> None:
    unbroken, endpoint, run = elicit(folder)
    asked, before = len(endpoint.calls), files(run)
    for path in sorted(run.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    left = iter(range(calls))

    def stopping(prompt: Any, sampling: Any) -> str:
        if next(left, None) is None:
            raise Interrupted("Stopped.")
        return answer(prompt, sampling)

    with pytest.raises(Interrupted):
        elicit(folder, script=stopping)
    resumed, endpoint, run = elicit(folder)
    assert resumed == unbroken and len(endpoint.calls) == asked - calls
    assert {k: v for k, v in files(run).items() if "sets" in k} == {k: v for k, v in before.items() if "sets" in k}


def test_new_data_are_noticed_and_only_they_are_asked(folder: Path) -> None:
    first, _, _ = elicit(folder)
    rows = (folder / "seeds.jsonl").read_text()
    (folder / "seeds.jsonl").write_text(rows.replace("Gold", "Silver"))
    second, _, _ = elicit(folder)
    held = [r for r in second if r.split == "test" and not r.lineage]
    assert second != first and all("Silver" in r.responses[0].text for r in held) and held


def test_again_asks_one_step_anew_and_once_however_often_it_is_stopped(folder: Path) -> None:
    count = iter(range(1000))

    def counted(prompt: Any, sampling: Any) -> str:
        return answer(prompt, sampling) + ("" if not prompt[-1].content.startswith("Do") else f" {next(count)}")

    first, _, _ = elicit(folder, script=counted)
    left = iter(range(3))

    def stopping(prompt: Any, sampling: Any) -> str:
        if next(left, None) is None:
            raise Interrupted("Stopped.")
        return counted(prompt, sampling)

    with pytest.raises(Interrupted):
        elicit(folder, again="answers", script=stopping)
    second, endpoint, _ = elicit(folder, again="answers", script=counted)
    assert len(endpoint.calls) == 3 and second != first  # the other three were answered before it stopped
    assert elicit(folder, script=counted)[0] == second
    third, endpoint, _ = elicit(folder, again="answers", script=counted)
    assert len(endpoint.calls) == 6 and third != second
    with pytest.raises(RunError, match=r"no step 'nothing'; its steps are new, join, answers, assemble"):
        elicit(folder, again="nothing")
    (folder / "run/train").mkdir()
    with pytest.raises(RunError, match="has learnt from"):
        elicit(folder, again="answers")


ASKS_STUDENT = GROW.replace('[[stage]]\nname = "teach"\n', """
[[stage]]
name = "teach"
[stage.train]
steps = 1
[[stage.train.objective]]
use = "sft"
""") + """
[[stage]]
name = "own"
[[stage.step]]
use = "label"
name = "own answers"
role = "student"
input = "pool"
template = "Own {{ instruction }}"
"""  # fmt: skip


def test_a_lap_that_asks_the_student_waits_for_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    student = Scripted(lambda p, s: "me", identity="student")
    with stages.prepare(recipe_of(folder, ASKS_STUDENT), folder / "run") as run:
        stages.elicit(run, {"teacher": Scripted(answer), "student": student})
        assert student.calls == [] and "own asks the student" in " ".join(capsys.readouterr().out.split())
        assert not (run.kitchen / "own").exists() and run.records.exists()
        (run.train_dir("teach") / "model").mkdir(parents=True)  # as if it had been trained
        stages.elicit(run, {"teacher": Scripted(answer), "student": student})
        assert len(student.calls) == 6
        assert {r["output"] for _, row in read_jsonl(run.kitchen / "own/sets/pool.jsonl") for r in [row["fields"]]} == {
            "me"
        }


def test_a_later_stage_may_learn_from_another_set(folder: Path) -> None:
    text = GROW + '[[stage]]\nname = "more"\ntrain_on = "seeds"\n'
    learnt, _, run = elicit(folder, text)
    assert {r.messages[0].content.split()[0] for r in learnt} == {"Seed"}
    assert [Record.from_json(row) for _, row in read_jsonl(run.records)] == learnt


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('input = "fresh"', 'input = "frehs"', "no set 'frehs'; did you mean 'fresh'"),
        ('name = "teach"', 'name = "teach"\ntrain_on = "recrods"', "train_on: there is no set 'recrods'"),
        ('output = "fresh"', 'output = "../../fresh"', "output"),
        ("[data]", '[data]\nsets = { records = "builtin" }', "data.sets has 'records'"),
        ("[data]", '[roles.student]\nmodel = "embedded"\n[data]', "roles has 'student'"),
        ("Do {{ instruction }}", "Do {{ instruction", "not a template"),
        ('until = "size.pool >= 6"', 'until = "size pool"', "stage.grow.until"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_asked(folder: Path, old: str, new: str, said: str) -> None:
    assert old in GROW
    with pytest.raises(RecipeError, match=said):
        recipe_of(folder, GROW.replace(old, new))
