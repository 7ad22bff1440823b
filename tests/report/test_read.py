import json
import math
from pathlib import Path

import pytest

from stillhouse.errors import DataError, RunError
from stillhouse.report.read import CompareFolder, RunFolder, read_folder, read_log, read_run
from tests.report.folders import write_compare, write_nan, write_run, write_unfinished


def test_a_run_is_read_wholly(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "small"))
    assert (run.name, run.version, run.steps_done, run.steps_planned) == ("small", "0.1.0", 70, 70)
    assert [log.name for log in run.logs] == ["warm-up", "dpkd"], "in the order of the recipe"
    assert run.timings == (("prepare", 4.2), ("elicit", 71.0), ("dpkd / train", 201.4), ("dpkd / evaluate", 48.9))
    assert run.counts == {"train prompts": 35, "test prompts": 5, "reference answers": 40, "teacher answers": 40}
    assert run.student is not None and len(run.student.layers) == 20
    student = run.model("student")
    assert student is not None and student.parameters == 99_100_000


def test_an_unfinished_run_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    run = read_run(write_unfinished(tmp_path / "half"))
    assert run.scores is None and run.model("teacher") is None
    assert run.logs[1].last_step == 30 and run.logs[1].unreadable == 0, "a torn last line is not damage"


def test_an_almost_empty_folder_is_a_run(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    run = read_folder(tmp_path)
    assert isinstance(run, RunFolder) and run.recipe is None and run.logs == () and run.counts is None


def test_what_is_not_finite_is_nan_and_what_is_broken_is_counted(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"step":1,"loss":Infinity,"probe":{"kl":null}}\n{"step":2,"lo\n[1]\n{"step":2,"loss":1.5}\n{"st')
    found = read_log(log, "main")
    assert math.isnan(found.rows[0].values["loss"]) and math.isnan(found.rows[0].values["probe.kl"])
    assert found.rows[1].values["loss"] == 1.5 and found.unreadable == 2


def test_of_a_step_logged_twice_the_later_line_holds(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"step":1,"loss":1}\n{"step":2,"loss":9}\n{"step":2,"loss":2}\n')
    assert [r.values["loss"] for r in read_log(log, "main").rows] == [1, 2]


def test_nan_survives_reading(tmp_path: Path) -> None:
    run = read_run(write_nan(tmp_path / "nan"))
    assert math.isnan(run.logs[1].rows[-1].values["loss"])


def test_a_comparison_knows_its_runs(tmp_path: Path) -> None:
    folder = write_compare(tmp_path / "methods", {"dpkd": 1.1, "sft": 1.0}, (2, 1))
    compare = read_folder(folder)
    assert isinstance(compare, CompareFolder) and compare.methods == ("dpkd", "sft")
    assert [run.name for run in compare.of("sft")] == ["sft-1", "sft-2"]
    assert compare.first is not None and compare.first.scores is not None


def test_runs_that_are_not_there_yet_are_left_out(tmp_path: Path) -> None:
    folder = write_compare(tmp_path / "methods", {"dpkd": 1.0}, (1,))
    data = json.loads((folder / "compare.json").read_text())
    data["runs"].append({"method": "dpkd", "seed": 2, "folder": "dpkd-2", "finished": None})
    (folder / "compare.json").write_text(json.dumps(data))
    compare = read_folder(folder)
    assert isinstance(compare, CompareFolder) and len(compare.runs) == 1


def test_the_student_of_a_warmed_up_comparison_is_known_from_its_warm_up(tmp_path: Path) -> None:
    folder = write_compare(tmp_path / "methods", {"dpkd": 1.0}, (1,))
    (folder / "dpkd-1" / "student.json").write_text('{"how": "model /warmup-1/model", "layers": [], "parameters": 5}')
    (folder / "warmup-1").mkdir()
    (folder / "warmup-1" / "student.json").write_text('{"layers": [0, 2, 3], "parameters": 5}')
    (folder / "compare.toml").write_text('name = "base"\n[[stage]]\nname = "main"\n')
    compare = read_folder(folder)
    assert isinstance(compare, CompareFolder) and compare.base.student is not None
    assert compare.base.student.layers == (0, 2, 3)
    assert compare.base.recipe is not None and compare.base.recipe.name == "base"


def test_folders_that_are_no_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        read_folder(tmp_path)
    with pytest.raises(RunError, match="is not a run folder"):
        read_folder(tmp_path / "absent")


@pytest.mark.parametrize("text", ["[1]", "{", ""])
def test_damaged_files_end_in_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError, match=r"run\.json is not a JSON object"):
        read_folder(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "scores.json").write_text(text)
    with pytest.raises(DataError, match=r"scores\.json"):
        read_folder(tmp_path)


def test_a_recipe_of_another_version_is_shown_as_text(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('name = "later"\nunheard = "of"\n')
    run = read_run(tmp_path)
    assert run.recipe is None and "unheard" in run.recipe_text
