"""Every recipe with operators runs from seed to report: on its scripted teacher, and (slow) on the embedded model."""

import importlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from stillhouse import recipes
from stillhouse.doctor import diagnose_recipe
from stillhouse.elicit.catalogue import OPERATORS
from stillhouse.elicit.contract import needs
from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.endpoints.scripted import Scripted
from stillhouse.errors import DataError
from stillhouse.models.saving import save_model
from stillhouse.recipes.files import FOLDER
from stillhouse.records.types import Message
from stillhouse.run import Run
from stillhouse.stages import distill, report
from stillhouse.tiny import tiny_model
from tests.recipes.kitchen.cooking import skip_without_sandbox

NAMES = sorted(path.stem for batch in ("instruction", "reasoning") for path in (FOLDER / batch).glob("*.toml"))
TOY = (
    "data.limit=40",
    "data.max_tokens=900",
    "data.max_prompt_tokens=700",
    "student.refit_tokens=0",
    "train.steps=2",
    "train.growth=1",
    "train.batch_size=2",
    "train.probe_prompts=2",
    "train.rollout.max_new_tokens=4",
    "eval.max_new_tokens=4",
    "eval.limit=3",
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("teacher") / "tiny"
    save_model(tiny_model(seed=1, layers=4, window=4096), folder)
    return str(folder)


def toy(name: str) -> list[str]:
    """The changes that a recipe has the keys for."""
    recipe = recipes.load(name)
    trains, evaluates = (any(getattr(s, part) for s in recipe.stage) for part in ("train", "eval"))
    return [c for c in TOY if (trains or not c.startswith("train.")) and (evaluates or not c.startswith("eval."))]


@pytest.mark.parametrize("name", NAMES)
def test_on_the_scripted_teacher(name: str, tiny: str, tmp_path: Path) -> None:
    script = importlib.import_module(f"tests.recipes.kitchen.test_{name.replace('-', '_')}").script
    played = {role: Scripted(script, identity=role) for role in ("teacher", "student", "untrained")}
    recipe = recipes.load(name, [f"teacher={tiny}", "student.keep_layers=2", *toy(name)])
    skip_without_sandbox(recipe)
    run = distill(recipe, folder=tmp_path / "run", endpoints=played)
    steps = json.loads((run.kitchen / "steps.json").read_text())
    assert {s["step"] for s in steps} == {step.title for stage in recipe.stage for step in stage.step}
    assert run.model_dir.exists() and run.report_file.exists()
    learnt = [json.loads(line) for line in run.records.read_text().splitlines()]
    assert all(record["messages"] for record in learnt)
    assert any(record["lineage"] for record in learnt)


def test_where_nothing_is_left_to_learn_the_report_shows_why(tiny: str, tmp_path: Path) -> None:
    recipe = recipes.load("finetune-cot", [f"teacher={tiny}", "student.keep_layers=2", *toy("finetune-cot")])
    silly = Scripted(lambda prompt, sampling: "nonsense", identity="teacher")
    with pytest.raises(DataError, match=r"stage 'main' has nothing to learn from: .* stillhouse report .*run"):
        distill(recipe, folder=tmp_path / "run", endpoints={"teacher": silly})
    with Run.open(tmp_path / "run") as run:
        assert "right answers" in report(run).read_text()


def test_a_later_stage_with_nothing_to_learn_from_is_passed_over(tiny: str, tmp_path: Path) -> None:
    script = importlib.import_module("tests.recipes.kitchen.test_baize").script

    def no_ranking(prompt: tuple[Message, ...], sampling: Sampling) -> Answer | str:
        return "They are all fine." if "Rank the answers" in prompt[-1].content else script(prompt, sampling)

    played = {role: Scripted(no_ranking, identity=role) for role in ("teacher", "student", "untrained")}
    recipe = recipes.load("baize", [f"teacher={tiny}", "student.keep_layers=2", *toy("baize")])
    run = distill(recipe, folder=tmp_path / "run", endpoints=played)
    before, after = (
        load_file(place / "model.safetensors") for place in (run.train_dir("chat") / "model", run.model_dir)
    )
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert "Stage feedback had nothing to learn from" in run.report_file.read_text()
    distill(recipe, folder=tmp_path / "run", endpoints=played)


@pytest.mark.parametrize("name", NAMES)
def test_the_doctor_finds_nothing_wrong(name: str, tiny: str) -> None:
    report = diagnose_recipe(recipes.load(name, [f"teacher={tiny}", "student.keep_layers=2"]))
    assert [finding.text for finding in report.findings if finding.level == "error"] == []


@pytest.mark.parametrize("name", NAMES)
def test_at_full_size_nothing_is_cut_and_nearly_all_is_learnt(name: str) -> None:
    """What is asked for is a verdict of few words or has room; star's rationales have the paper's."""
    recipe = recipes.load(name, full=True)
    steps = [step for stage in recipe.stage for step in stage.step if step.use != "model"]  # a scorer
    for step in (step for step in steps if "ask" in needs(OPERATORS[step.use])):
        assert step.max_new_tokens <= 32 or step.max_new_tokens >= (96 if name == "star" else 256), step.title
    assert recipe.data.held_out <= 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_on_the_embedded_teacher(name: str, tmp_path: Path) -> None:
    """A model of 135M: what it writes is poor, and whatever it writes, the run comes to its end."""
    recipe = recipes.load(name, toy(name))
    skip_without_sandbox(recipe)
    run = distill(recipe, folder=tmp_path / "run")
    assert run.model_dir.exists() and run.report_file.exists()
