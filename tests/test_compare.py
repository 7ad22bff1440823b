"""A comparison: what each run is, what is shared, what is not repeated."""

import json
from pathlib import Path
from types import ModuleType

import pytest

import stillhouse
from stillhouse import recipes
from stillhouse.compare import compare, parse_seeds
from stillhouse.errors import ConfigError, RecipeError, RunError
from stillhouse.recipe import Recipe
from stillhouse.run import Run


class Scripted:
    """Stages that answer from a script: 'asked' counts what the teacher was asked, 'died' kills one stage once."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.runs: dict[str, Recipe] = {}
        self.asked = 0
        self.examined = 0
        self.dies_at = ""

    def prepare(self, recipe: Recipe, folder: Path) -> Run:
        self.runs[folder.name] = recipe
        return Run.create(recipe, folder)

    def elicit(self, run: Run) -> None:
        if not run.journal.exists():
            self.asked += 1
            run.journal.write_text("answers\n")

    def train(self, run: Run) -> None:
        self.log.append(run.folder.name)
        if self.dies_at == run.folder.name:
            self.dies_at = ""
            raise KeyboardInterrupt
        run.model_dir.mkdir(exist_ok=True)

    def evaluate(self, run: Run) -> None:
        known = json.loads(run.known_scores_file.read_text())["models"]
        self.examined += "teacher" not in known
        run.scores_file.write_text(json.dumps({"models": {"teacher": {"label": "teacher"}} | known}))

    def report(self, run: Run) -> Path:
        return run.report_file


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scripted:
    scripted = Scripted()
    module = ModuleType("stillhouse.stages")
    vars(module).update(
        {name: getattr(scripted, name) for name in ("prepare", "elicit", "train", "evaluate", "report")}
    )
    monkeypatch.setattr(stillhouse, "stages", module, raising=False)
    monkeypatch.setattr("stillhouse.compare.write_page", lambda folder: scripted.log.append("page"))
    monkeypatch.chdir(tmp_path)
    return scripted


def test_every_method_has_the_same_conditions_but_its_own_objective(stages: Scripted) -> None:
    recipe = recipes.load("quickstart", ["train.steps=7", "eval.limit=3"])
    folder = compare(recipe, ["dpkd", "sft", "kd"], [1, 2])
    assert folder == Path("runs/compare-quickstart")
    assert list(stages.runs) == ["dpkd-1", "dpkd-2", "sft-1", "sft-2", "kd-1", "kd-2"]
    base = recipe.stage[0]
    for name, run in stages.runs.items():
        (stage,) = run.stage
        assert (run.teacher, run.student, run.data) == (recipe.teacher, recipe.student, recipe.data)
        assert (stage.step, stage.eval) == (base.step, base.eval)
        lent = {"objective", "pair", "reference", "rollout", "reduction"}
        assert stage.train.model_dump(exclude=lent) == base.train.model_dump(exclude=lent)
        assert run.seed == int(name[-1])
    dpkd, kd = stages.runs["dpkd-1"].stage[0].train, stages.runs["kd-2"].stage[0].train
    assert [term.use for term in dpkd.objective] == ["dpkd", "sft"]
    assert dpkd.rollout.refresh == 10
    assert [(term.use, term.weight) for term in kd.objective] == [("sft", 0.5), ("forward_kl", 0.5)]


def test_answers_and_the_teachers_scores_are_paid_for_once(stages: Scripted) -> None:
    compare(recipes.load("quickstart"), ["sft", "kd"], [1, 2])
    assert (stages.asked, stages.examined) == (1, 1)


def test_what_is_compared_is_written_down(stages: Scripted) -> None:
    folder = compare(recipes.load("quickstart"), ["sft", "kd"], [3])
    content = json.loads((folder / "compare.json").read_text())
    assert (content["name"], content["methods"], content["seeds"]) == ("quickstart", ["sft", "kd"], [3])
    assert [(r["method"], r["seed"], r["folder"]) for r in content["runs"]] == [("sft", 3, "sft-3"), ("kd", 3, "kd-3")]
    assert recipes.load(content["recipe"]) == recipes.load("quickstart")


def test_earlier_stages_are_a_warm_up_shared_by_all_methods_of_a_seed(stages: Scripted) -> None:
    compare(recipes.load("dpkd"), ["sft", "dpkd"], [1, 2], "c")
    assert stages.log.count("warmup-1") == stages.log.count("warmup-2") == 1
    assert [s.name for s in stages.runs["warmup-1"].stage] == ["warm-up"]
    for method in ("sft", "dpkd"):
        run = stages.runs[f"{method}-2"]
        assert run.student.model == str(Path("c/warmup-2/model").absolute())
        assert [s.name for s in run.stage] == ["distil"]
        assert run.stage[0].step == recipes.load("dpkd").stage[1].step


def test_stages_that_only_elicit_stay_as_they_are(stages: Scripted) -> None:
    recipe = recipes.load("vicuna")
    compare(recipes.load("alpaca"), ["sft"], [1], "alpaca")
    compare(recipe, ["sft"], [1], "vicuna")
    assert stages.log == ["sft-1", "page", "page"] * 2  # no warm-up: there is one training
    assert [s.step for s in stages.runs["sft-1"].stage] == [s.step for s in recipe.stage]
    assert [bool(s.train) for s in stages.runs["sft-1"].stage] == [bool(s.train) for s in recipe.stage]


def test_trainings_before_the_last_are_the_warm_up_and_their_steps_are_done_again(stages: Scripted) -> None:
    recipe = recipes.load("wizardmath")
    compare(recipe, ["sft"], [1], "c")
    assert [s.name for s in stages.runs["warmup-1"].stage] == ["tune", "evolve"]
    run = stages.runs["sft-1"]
    assert [(s.step, bool(s.train)) for s in run.stage] == [(s.step, s.name == "reinforce") for s in recipe.stage]
    assert [term.use for term in run.stage[-1].train.objective] == ["sft"]


def test_other_answers_stand_in_for_references(stages: Scripted) -> None:
    compare(recipes.load("alpaca"), ["kd", "seqkd"], [1], "c", on="teacher")
    for name in ("kd-1", "seqkd-1"):
        assert {term.on for term in stages.runs[name].stage[-1].train.objective} == {"teacher"}


def test_an_interrupted_comparison_goes_on(stages: Scripted) -> None:
    stages.dies_at = "sft-2"
    recipe = recipes.load("quickstart")
    with pytest.raises(KeyboardInterrupt):
        compare(recipe, ["sft", "kd"], [1, 2])
    stages.log.clear()
    compare(recipe, ["sft", "kd"], [1, 2])
    assert [name for name in stages.log if name != "page"] == ["sft-2", "kd-1", "kd-2"]
    assert stages.asked == 1
    stages.log.clear()
    compare(recipe, ["sft", "kd", "akl"], [1, 2])
    assert [name for name in stages.log if name != "page"] == ["akl-1", "akl-2"]


def test_other_tasks_are_measured_anew(stages: Scripted) -> None:
    compare(recipes.load("quickstart"), ["sft"], [1])
    compare(recipes.load("quickstart", ["eval.limit=2"]), ["sft"], [1])
    assert stages.examined == 2


def test_another_recipe_in_the_same_folder_is_refused(stages: Scripted) -> None:
    compare(recipes.load("quickstart"), ["sft"], [1])
    with pytest.raises(RunError, match=r"train\.lr"):
        compare(recipes.load("quickstart", ["train.lr=1"]), ["sft"], [1])


def test_what_cannot_be_compared(stages: Scripted, tmp_path: Path) -> None:
    recipe = recipes.load("quickstart")
    no_training = recipe.model_copy(update={"stage": (recipe.stage[0].model_copy(update={"train": None}),)})
    for broken, methods, seeds, said in [
        (recipe, [], [1], "no method"),
        (recipe, ["sft", "sft"], [1], "named twice"),
        (recipe, ["sfft"], [1], "did you mean 'sft'"),
        (recipe, ["sft"], [], "different whole numbers"),
        (recipe, ["sft"], [-1], "different whole numbers"),
        (no_training, ["sft"], [1], "does not train"),
    ]:
        with pytest.raises(ConfigError, match=said):
            compare(broken, methods, seeds)
    with pytest.raises(ConfigError, match="whole numbers"):
        parse_seeds("1,b")
    assert parse_seeds("1, 2,") == [1, 2]
    Run.create(recipe, tmp_path / "single").close()
    with pytest.raises(RunError, match="single run"):
        compare(recipe, ["sft"], [1], tmp_path / "single")
    with pytest.raises(RecipeError, match="did you mean"):
        compare(recipe, ["kdd"], [1])
    assert stages.runs == {}
