"""The command line: verbs, exit codes, and one sentence for whatever goes wrong."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

import stillhouse
from stillhouse import recipes
from stillhouse.cli import app
from stillhouse.errors import Interrupted, ModelError, StorageError, TrainingError
from stillhouse.recipe import Recipe
from stillhouse.run import Run

runner = CliRunner()
VERBS = ("run", "elicit", "train", "evaluate", "report", "compare", "chat", "doctor", "recipes")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("STILLHOUSE_DEBUG", raising=False)


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stages that only write down that they were called."""
    called: list[str] = []
    module = ModuleType("stillhouse.stages")

    def prepare(recipe: Recipe, folder: Path | None = None) -> Run:
        return Run.create(recipe, folder or Path("runs") / recipe.name)

    def stage(name: str):
        def work(run: Run, again: str = "") -> Path:
            called.append(f"{name} {run.folder}{f' again={again}' if again else ''}")
            return run.report_file

        return work

    def distill(recipe: str, *overrides: str, folder: Path | None = None, full: bool = False) -> Run:
        with prepare(recipes.load(recipe, overrides, full=full), folder) as run:
            called.append(f"distill {run.folder} steps={run.recipe.stage[-1].train.steps}")
        return run

    vars(module).update(prepare=prepare, distill=distill)
    vars(module).update({name: stage(name) for name in ("elicit", "train", "evaluate", "report")})
    monkeypatch.setattr(stillhouse, "stages", module, raising=False)
    monkeypatch.setitem(sys.modules, "stillhouse.stages", module)
    monkeypatch.setattr("stillhouse.cli.table", lambda folder: print(f"the table of {folder}"))
    return called


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def distill(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(stillhouse.stages, "distill", distill)  # pyright: ignore[reportAttributeAccessIssue]


def test_help_is_instant() -> None:
    program = (
        "import sys; from stillhouse.cli import app\n"
        "heavy = {'torch', 'pydantic', 'transformers'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    result = runner.invoke(app, [verb, "--help"])
    assert result.exit_code == 0, result.output
    assert verb == "recipes" or f"Example: stillhouse {verb}" in result.stdout


def test_version() -> None:
    assert runner.invoke(app, ["--version"]).stdout == f"stillhouse {stillhouse.__version__}\n"


def test_recipes_are_listed_and_shown() -> None:
    listed = runner.invoke(app, ["recipes", "list"]).stdout
    assert all(f"{name} " in listed for name in recipes.names())
    assert runner.invoke(app, ["recipes", "show", "kd"]).stdout == recipes.path_of("kd").read_text()


def test_run_does_everything_and_shows_the_table(staged: list[str]) -> None:
    result = runner.invoke(app, ["run", "quickstart", "train.steps=7"])
    assert result.exit_code == 0, result.output
    assert staged == ["distill runs/quickstart steps=7"]
    assert result.stdout.splitlines() == ["the table of runs/quickstart", "runs/quickstart/report.html"]


def test_a_run_goes_on_in_its_own_folder(staged: list[str]) -> None:
    runner.invoke(app, ["run", "quickstart", "--folder", "here"])
    assert runner.invoke(app, ["run", "here/recipe.toml"]).exit_code == 0
    assert runner.invoke(app, ["run", "here/recipe.toml", "--folder", "there"]).exit_code == 0
    assert [line.split()[1] for line in staged] == ["here", "here", "there"]


def test_one_stage_at_a_time(staged: list[str]) -> None:
    assert runner.invoke(app, ["elicit", "quickstart"]).exit_code == 0
    for verb in ("train", "evaluate"):
        assert runner.invoke(app, [verb, "quickstart"]).exit_code == 0
    assert runner.invoke(app, ["elicit", "runs/quickstart"]).exit_code == 0
    assert staged == [f"{verb} runs/quickstart" for verb in ("elicit", "train", "evaluate", "elicit")]


TWO_SIZES = """
[[step]]
use = "label"
template = "{{ instruction }}"
[[train.objective]]
use = "sft"
on = "teacher"
[train]
steps = 3
[full]
"train.steps" = 700
"""


def test_full_is_as_large_as_published_and_changes_come_after_it(staged: list[str]) -> None:
    Path("mine.toml").write_text(TWO_SIZES)
    for number, changes in enumerate(([], ["--full"], ["--full", "train.steps=9"])):
        result = runner.invoke(app, ["run", "mine.toml", *changes, "--folder", f"run-{number}"])
        assert result.exit_code == 0, result.output
    assert [line.split("=")[1] for line in staged] == ["3", "700", "9"]
    assert runner.invoke(app, ["elicit", "mine.toml", "--full"]).exit_code == 0
    assert Run.open("runs/mine").recipe.stage[0].train.steps == 700


def test_elicit_takes_changes_of_the_steps_and_a_step_to_ask_again(staged: list[str]) -> None:
    Path("mine.toml").write_text(TWO_SIZES)
    for args in (["mine.toml"], ["runs/mine", "step.0.max_new_tokens=7"], ["runs/mine", "--again", "label"]):
        result = runner.invoke(app, ["elicit", *args])
        assert result.exit_code == 0, result.output
    assert staged == ["elicit runs/mine", "elicit runs/mine", "elicit runs/mine again=label"]
    run = Run.open("runs/mine", exclusive=False)
    assert run.recipe.stage[0].step[0].max_new_tokens == 7
    assert [change["key"] for change in run.manifest["changes"]] == ["stage.main.step.0.max_new_tokens"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run", "quikstart"], "did you mean 'quickstart'?"),
        (["run", "quickstart", "train.lrr=1"], "did you mean 'lr'?"),
        (["run", "quickstart", "train.lr=fast"], "should be a number"),
        (["run", "quickstart", "nonsense"], "train.lr=2e-5"),
        (["run", "bad.toml"], "bad.toml is not valid TOML"),
        (["run", "quickstart", "--folder", "no/such/place/x"], "does not exist"),
        (["run", "quickstart", "--folder", "bad.toml"], "is a file"),
        (["train", "runs/none"], "start one with"),
        (["report", "none"], "not a run folder"),
        (["chat", "none", "hello"], "start one with"),
        (["compare", "quickstart", "--methods", "dkpd"], "did you mean 'dpkd'?"),
        (["compare", "quickstart", "--methods", ","], "no method"),
        (["compare", "quickstart", "--seeds", "one"], "whole numbers"),
        (["compare", "quickstart", "--seeds", "1,1"], "different whole numbers"),
        (["recipes", "show", "kdd"], "did you mean 'kd'?"),
    ],
)
def test_bad_input_is_one_sentence_and_2(staged: list[str], args: list[str], said: str) -> None:
    Path("bad.toml").write_text('name = "x\n')
    result = runner.invoke(app, args)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output
    assert staged == []


@pytest.mark.parametrize("args", [["runn"], ["run"], ["run", "quickstart", "--foldr", "x"]])
def test_bad_usage_is_2(args: list[str]) -> None:
    assert runner.invoke(app, args).exit_code == 2


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ModelError("no such model; name another."), 2, "no such model; name another."),
        (TrainingError("loss is nan at step 3."), 4, "loss is nan at step 3."),
        (StorageError("No room."), 3, "No room; go on with: stillhouse run quickstart"),
        (Interrupted("Stopped after step 4."), 3, "Stopped after step 4; go on with: stillhouse run quickstart"),
        (KeyboardInterrupt(), 3, "nothing is lost, go on with: stillhouse run quickstart"),
        (OSError(28, "No space left on device"), 3, "go on with: stillhouse run quickstart"),
        (PermissionError(13, "Permission denied", "x/y"), 4, "x/y: Permission denied."),
        (MemoryError(), 4, "train.micro_tokens"),
        (
            ZeroDivisionError("division by zero\nin a line"),
            4,
            "ZeroDivisionError: division by zero in a line (this is a bug",
        ),
    ],
)
def test_every_ending_has_its_sentence_and_code(
    staged: list[str], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    failing(monkeypatch, error)
    result = runner.invoke(app, ["run", "quickstart"])
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_debug_shows_the_traceback(staged: list[str], monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    failing(monkeypatch, ZeroDivisionError("oops"))
    if how == "variable":
        monkeypatch.setenv("STILLHOUSE_DEBUG", "1")
    result = runner.invoke(app, [*(["--debug"] if how == "flag" else []), "run", "quickstart"])
    assert result.exit_code == 4
    assert "Traceback" in result.stderr


def test_a_folder_of_another_recipe_is_refused(staged: list[str]) -> None:
    runner.invoke(app, ["run", "quickstart"])
    result = runner.invoke(app, ["run", "quickstart", "train.lr=1"])
    assert result.exit_code == 2
    assert "train.lr" in result.stderr


WAIT = """
import sys, time
from types import ModuleType
import stillhouse
from stillhouse import recipes
from stillhouse.run import Run
from pathlib import Path
module = ModuleType("stillhouse.stages")
def distill(recipe, *overrides, folder=None, full=False):
    with Run.create(recipes.load(recipe), Path("held")) as run:
        print("held", flush=True)
        time.sleep(60)
module.distill = distill
sys.modules["stillhouse.stages"] = stillhouse.stages = module
from stillhouse.cli import main
sys.argv = ["stillhouse", "run", "quickstart", "--folder", "held"]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_with_3_and_says_how_to_go_on(staged: list[str], number: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", WAIT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    refused = runner.invoke(app, ["run", "quickstart", "--folder", "held"])
    assert refused.exit_code == 2
    assert f"in use by process {process.pid}" in refused.stderr
    time.sleep(0.1)
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert said == "Stopped; nothing is lost, go on with: stillhouse run quickstart --folder held\n"
    assert runner.invoke(app, ["run", "quickstart", "--folder", "held"]).exit_code == 0


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m stillhouse recipes show dpkd | head -1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=True)
    assert result.stderr == ""


def test_the_public_names_are_there() -> None:
    assert all(name in dir(stillhouse) for name in stillhouse.__all__)
    assert stillhouse.Recipe is Recipe
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = stillhouse.nothing  # pyright: ignore[reportAttributeAccessIssue]
