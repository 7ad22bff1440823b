"""The whole story on tiny models: files appear, a second call does nothing anew, faults end in one sentence."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from stillhouse import recipes
from stillhouse.endpoints.local import Local
from stillhouse.errors import DataError, Interrupted, ModelError, RecipeError, RunError
from stillhouse.models.saving import save_model
from stillhouse.models.student import read_origin, remake_student
from stillhouse.party import Party
from stillhouse.recipe import Recipe
from stillhouse.stages import distill, elicit, evaluate, prepare, report, train
from stillhouse.tiny import tiny_model
from tests.toy import TOY

SMALL = (*TOY, "train.probe_prompts=2", "train.rollout.max_new_tokens=4")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny teacher on disk, 4 layers."""
    folder = tmp_path_factory.mktemp("teacher") / "tiny"
    save_model(tiny_model(seed=1, layers=4, window=2048), folder)
    return str(folder)


def small(name: str, teacher: str, *changes: str) -> Recipe:
    """A shipped recipe at toy size."""
    step = ("step.max_new_tokens=4", "step.temperature=1.0") if recipes.load(name).stage[-1].step else ()
    return recipes.load(name, [f"teacher={teacher}", "student.keep_layers=2", *SMALL, *step, *changes])


def test_a_run_leaves_everything_a_user_looks_for(teacher: str, tmp_path: Path) -> None:
    run = distill(small("quickstart", teacher), folder=tmp_path / "run")
    names = {p.name for p in run.folder.iterdir()}
    assert names >= {"recipe.toml", "run.json", "records.jsonl", "journal.jsonl", "student.json", "model"}
    assert names >= {"scores.json", "report.html", "train"}
    models = json.loads(run.scores_file.read_text())["models"]
    assert list(models) == ["teacher", "untrained", "student"]
    assert models["untrained"]["parameters"] == models["student"]["parameters"] < models["teacher"]["parameters"]
    assert set(models["student"]["fidelity"]) >= {"kl", "top1", "first_kl", "reward_margin"}
    assert recipes.load(str(run.folder / "recipe.toml")) == run.recipe


def test_a_finished_run_is_left_as_it_is(teacher: str, tmp_path: Path) -> None:
    recipe = small("quickstart", teacher)
    run = distill(recipe, folder=tmp_path / "run")
    kept = ("journal.jsonl", "records.jsonl", "scores.json", "model/model.safetensors")
    before = {name: (run.folder / name).read_bytes() for name in kept}
    again = distill(recipe, folder=tmp_path / "run")
    assert {name: (again.folder / name).read_bytes() for name in kept} == before


TESTED = (Path(__file__).parent / "recipes/kitchen").glob("test_*.py")
KITCHEN = {path.stem.removeprefix("test_").replace("_", "-") for path in TESTED}
"""Recipes whose steps need a teacher that makes sense: tests/recipes/kitchen runs them."""


@pytest.mark.parametrize("name", [n for n in recipes.names() if n != "quickstart" and n not in KITCHEN])
def test_every_recipe_runs(name: str, teacher: str, tmp_path: Path) -> None:
    run = distill(small(name, teacher), folder=tmp_path / "run")
    stages = [stage.name for stage in run.recipe.stage if stage.train]
    for stage in stages:
        lines = [json.loads(x) for x in (run.train_dir(stage) / "metrics.jsonl").read_text().splitlines()]
        assert [x["step"] for x in lines] == [0, 1, 2]
        names = [use.use for s in run.recipe.stage if s.name == stage and s.train for use in s.train.objective]
        assert [n.partition("@")[0] for n in lines[1]["terms"]] == names
    assert run.report_file.exists()


@pytest.mark.parametrize(
    "changes",
    [
        ("student.lora.rank=2",),
        ("student.refit_tokens=400",),
        ("student.keep_layers=none", 'student.config={model_type="llama", hidden_size=16, num_hidden_layers=1, '
         'intermediate_size=32, num_attention_heads=2, num_key_value_heads=2}'),
        ("train.packing=false", "train.reduction=sequence", "train.precision=fp32"),
        ('train.objective.0.on="student"', "train.rollout.refresh=2"),
    ],
    ids=["lora", "refitted", "random student", "padded", "on-policy"],
)  # fmt: skip
def test_other_students_and_settings(changes: tuple[str, ...], teacher: str, tmp_path: Path) -> None:
    run = distill(small("quickstart", teacher, *changes), folder=tmp_path / "run")
    assert run.report_file.exists()


def test_ctrl_c_while_eliciting_keeps_what_is_under_way(
    teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate = Local.generate

    def interrupted(self: Local, *asked: Any, **how: Any) -> Iterator[Any]:
        for number, found in enumerate(generate(self, *asked, **how)):
            if number == 0:
                os.kill(os.getpid(), signal.SIGINT)
            yield found

    with prepare(small("quickstart", teacher, "step.batch_size=4"), tmp_path / "run") as run:
        monkeypatch.setattr(Local, "generate", interrupted)
        with pytest.raises(Interrupted, match="run the same command again"):
            elicit(run)
        assert len(run.journal.read_text().splitlines()) == 4
        monkeypatch.undo()
        assert len(elicit(run)) == 24
        rows = [json.loads(line)["row"] for line in run.journal.read_text().splitlines()]
        assert len({row["prompt"] for row in rows}) == 24  # an empty answer is asked again, so rows may be more
        assert len({row["key"] for row in rows}) == len(rows)


def test_a_refitted_student_is_made_again_as_it_was(teacher: str, tmp_path: Path) -> None:
    with prepare(small("quickstart", teacher, "student.refit_tokens=400"), tmp_path / "run") as run:
        elicit(run)
        made, again = (Party(run).untrained().model.state_dict() for _ in range(2))
        pruned = remake_student(run.recipe.student, Party(run).teacher, read_origin(run.student_file), seed=1)
    assert all(torch.equal(made[name], again[name]) for name in made)
    changed = {name for name, weight in pruned.model.state_dict().items() if not torch.equal(weight, made[name])}
    assert changed and all("down_proj" in name for name in changed)
    assert run.signals_file.exists()  # what the teacher thought of these answers is not asked again


def test_stages_one_at_a_time(teacher: str, tmp_path: Path) -> None:
    with prepare(small("quickstart", teacher), tmp_path / "run") as run:
        with pytest.raises(RunError, match="stillhouse elicit"):
            train(run)
        elicit(run)
        with pytest.raises(RunError, match="stillhouse train"):
            evaluate(run)
        train(run)
        evaluate(run)
        assert report(run) == run.report_file


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        (("teacher=/nowhere/at/all",), ModelError, "no model at /nowhere/at/all"),
        (("student.keep_layers=9",), ModelError, "4 layers"),
        (("data.max_prompt_tokens=1",), DataError, "none of the"),
        (("seeds=/nowhere.jsonl",), DataError, "/nowhere.jsonl"),
        (("train.objective=[]",), RecipeError, "objective is empty"),
    ],
)
def test_bad_input_ends_in_one_sentence(
    changes: tuple[str, ...], error: type[Exception], says: str, teacher: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says) as found:
        distill(small("quickstart", teacher, *changes), folder=tmp_path / "run")
    assert "\n" not in str(found.value)


def test_a_student_of_another_tokenizer_is_refused(teacher: str, tmp_path: Path) -> None:
    other = tiny_model(seed=3)
    other.tokenizer.add_tokens(["<odd>"])
    other.model.resize_token_embeddings(len(other.tokenizer))
    save_model(other, tmp_path / "other")
    changes: tuple[Any, ...] = ("student.keep_layers=none", f"student={tmp_path / 'other'}")
    with pytest.raises(ModelError, match="<odd>"):
        distill(small("quickstart", teacher, *changes), folder=tmp_path / "run")


def test_a_student_with_a_padded_vocabulary_simply_works(teacher: str, tmp_path: Path) -> None:
    save_model(tiny_model(seed=3, extra_rows=11, window=2048), tmp_path / "padded")
    changes = ("student.keep_layers=none", f"student={tmp_path / 'padded'}")
    assert distill(small("quickstart", teacher, *changes), folder=tmp_path / "run").report_file.exists()
