"""The run folder: begun, gone on with, locked, refused."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stillhouse import recipes
from stillhouse.errors import RunError, StorageError
from stillhouse.recipe import Recipe
from stillhouse.run import Run, find, home_of

HOLD = """
import sys, time
from stillhouse.run import Run
run = Run.open(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


def recipe(*changes: str) -> Recipe:
    return recipes.load("seqkd", changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "runs" / "it é"
    Run.create(recipe(), place).close()
    return place


@pytest.fixture
def holder(folder: Path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_new_run_keeps_its_recipe_and_a_manifest(folder: Path) -> None:
    assert recipes.load(folder / "recipe.toml") == recipe()
    manifest = json.loads((folder / "run.json").read_text())
    assert {"stillhouse", "recipe_key", "created", "stages", "changes", "recipe"} <= manifest.keys()


def test_the_same_recipe_goes_on(folder: Path) -> None:
    before = (folder / "run.json").read_text()
    with Run.create(recipe(), folder) as run, Run.open(folder) as again:
        assert run == again
    assert (folder / "run.json").read_text() == before


def test_times_add_up_and_facts_are_kept(folder: Path) -> None:
    with Run.open(folder) as run:
        run.note("elicit", 1.5, asked=3)
        run.note("elicit", 2.0, cached=3)
        assert run.manifest["stages"] == {"elicit": {"seconds": 3.5}}
        assert run.manifest["facts"] == {"elicit": {"asked": 3, "cached": 3}}


def test_paths(folder: Path) -> None:
    run = Run.open(folder, exclusive=False)
    names = [run.records, run.journal, run.student_file, run.model_dir, run.scores_file, run.report_file]
    assert [p.name for p in names] == [
        "records.jsonl",
        "journal.jsonl",
        "student.json",
        "model",
        "scores.json",
        "report.html",
    ]
    assert run.train_dir("main") == folder / "train" / "main"


def test_a_folder_in_use_by_another_process_is_refused(folder: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(RunError, match=f"in use by process {holder.pid} on "):
        Run.open(folder)
    assert Run.open(folder, exclusive=False).recipe == recipe()


def test_a_killed_process_leaves_no_lock(folder: Path, holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    Run.open(folder).close()


def test_a_closed_run_is_free_for_another_process(folder: Path) -> None:
    Run.open(folder).close()
    program = "import sys; from stillhouse.run import Run; Run.open(sys.argv[1])"
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True, timeout=60)


def test_another_recipe_is_refused_with_what_differs(folder: Path) -> None:
    with pytest.raises(RunError) as caught:
        Run.create(recipe("train.lr=1", "seed=9"), folder)
    for part in ("seed (1 there, 9 here)", "stage.main.train.lr (0.0005 there, 1.0 here)", "--folder", "recipe.toml"):
        assert part in str(caught.value)
    assert recipes.load(folder / "recipe.toml") == recipe()


def test_compatible_changes_are_taken_up_and_logged(folder: Path) -> None:
    (folder / "scores.json").write_text("{}")
    Run.create(recipe("train.steps=70"), folder).close()
    assert (folder / "scores.json").exists()
    with Run.create(recipe("train.steps=70", "eval.limit=3"), folder) as run:
        log = [(c["key"], c["old"], c["new"]) for c in run.manifest["changes"]]
    assert log == [("stage.main.train.steps", 50, 70), ("stage.main.eval.held_out.limit", None, 3)]
    assert recipes.load(folder / "recipe.toml") == recipe("train.steps=70", "eval.limit=3")
    assert not (folder / "scores.json").exists(), "scores of other tasks are no longer true"


def test_a_trained_run_does_not_change_its_steps(folder: Path) -> None:
    (folder / "model").mkdir()
    with pytest.raises(RunError, match=r"trained run .*train\.steps"):
        Run.create(recipe("train.steps=70"), folder)


def test_an_edited_recipe_is_noticed(folder: Path) -> None:
    path = folder / "recipe.toml"
    path.write_text(path.read_text().replace("lr = 0.0005", "lr = 0.5"))
    with pytest.raises(RunError, match=r"train\.lr .*undo the edit"):
        Run.open(folder)


@pytest.mark.parametrize("damage", ["", "{", "[]", "null"])
def test_a_damaged_manifest_is_made_again(folder: Path, damage: str) -> None:
    (folder / "run.json").write_text(damage)
    with Run.open(folder) as run:
        assert run.manifest["recipe"] == recipe().model_dump(mode="json")


def test_a_kill_before_the_manifest_leaves_a_usable_folder(folder: Path) -> None:
    (folder / "run.json").unlink()
    Run.create(recipe(), folder).close()
    (folder / "run.json").unlink()
    (folder / "recipe.toml").unlink()
    Run.create(recipe(), folder).close()


def test_folders_that_cannot_be_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "holiday.jpg").write_text("x")
    for place, said in [
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "run", "cannot be used"),
        (tmp_path / "full", r"holds holiday\.jpg"),
        (tmp_path / "no" / "such" / "parent", "does not exist"),
    ]:
        with pytest.raises(RunError, match=said):
            Run.create(recipe(), place)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that even root cannot write")
def test_a_folder_that_cannot_be_written() -> None:
    with pytest.raises(RunError, match="cannot be used"):
        Run.create(recipe(), "/proc/self/run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="yours to write"):
        Run.create(recipe(), tmp_path / "run")
    tmp_path.chmod(0o700)


def test_a_full_disk_is_resumable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(StorageError, match="No room"):
        Run.create(recipe(), tmp_path / "run")


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist; start one"):
        Run.open(tmp_path / "none")
    with pytest.raises(RunError, match=r"no recipe\.toml"):
        Run.open(tmp_path)


def test_runs_are_found_by_path_or_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent.parent)
    assert find(folder) == folder
    assert find("it é") == Path("runs") / "it é"
    assert find("other") is None
    assert home_of(str(folder / "recipe.toml")) == folder
    assert home_of(str(folder)) == folder
    assert home_of("quickstart") is None
