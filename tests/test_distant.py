"""A teacher of whom there is only text: behind a url, or with tokens of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stillhouse import recipes
from stillhouse.chat import participants
from stillhouse.doctor import diagnose_recipe
from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.endpoints.scripted import Scripted
from stillhouse.errors import ModelError, RecipeError
from stillhouse.models.saving import save_model
from stillhouse.party import Party
from stillhouse.recipe import Model, Recipe, Student
from stillhouse.records.types import Message
from stillhouse.stages import distill, evaluate, prepare
from stillhouse.tiny import tiny_model
from tests.toy import TOY

URL = "teacher.url=http://127.0.0.1:9/v1"
SMALL = (*TOY, "train.probe_every=1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student, and a teacher that knows one token more."""
    folder = tmp_path_factory.mktemp("models")
    save_model(tiny_model(seed=3, window=2048), folder / "student")
    other = tiny_model(seed=1, window=2048)
    other.tokenizer.add_tokens(["<odd>"])
    other.model.resize_token_embeddings(len(other.tokenizer))
    save_model(other, folder / "teacher")
    return folder


def recipe(name: str, folder: Path, *changes: str) -> Recipe:
    return recipes.load(name, ["student.keep_layers=none", f"student={folder / 'student'}", *SMALL, *changes])


def test_a_teacher_behind_a_url_is_measured_by_its_answers(folder: Path, tmp_path: Path) -> None:
    answering = {"teacher": Scripted(lambda prompt, sampling: "so it is")}
    run = distill(recipe("seqkd", folder, URL), folder=tmp_path / "run", endpoints=answering)
    models = json.loads(run.scores_file.read_text())["models"]
    assert list(models) == ["teacher", "untrained", "student"]
    assert all(not m["fidelity"] and m["tasks"] for m in models.values())
    teacher = models.pop("teacher")
    assert teacher["parameters"] is teacher["megabytes"] is teacher["tokens_per_second"] is None
    assert all(m["tokens_per_second"] and m["parameters"] for m in models.values())
    (task,) = teacher["tasks"].values()
    assert {sample["answer"] for sample in task["samples"]} == {"so it is"}
    kept = len(run.journal.read_text().splitlines())
    evaluate(run, {"teacher": Scripted(lambda prompt, sampling: pytest.fail("was asked twice"))})
    assert kept == len(run.journal.read_text().splitlines())
    assert run.report_file.exists() and list(participants(run.folder)) == ["untrained", "student"]
    lines = [json.loads(x) for x in (run.train_dir("main") / "metrics.jsonl").read_text().splitlines()]
    assert [line["probe"] for line in lines] == [{}, {}, {}]
    assert Party(run).tokenizer.get_vocab() == tiny_model().tokenizer.get_vocab()


def test_a_teacher_that_no_longer_answers_has_no_row(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def forgetful(prompt: tuple[Message, ...], sampling: Sampling) -> Answer | str:
        return Answer("", "error", error="gone") if sampling.max_new_tokens == 7 else "so it is"

    answering = {"teacher": Scripted(forgetful)}
    run = distill(recipe("seqkd", folder, URL, "eval.max_new_tokens=7"), folder=tmp_path / "run", endpoints=answering)
    assert list(json.loads(run.scores_file.read_text())["models"]) == ["untrained", "student"]
    assert "the teacher is not measured" in " ".join(capsys.readouterr().out.split())


def test_a_random_student_brings_its_tokenizer(folder: Path, tmp_path: Path) -> None:
    shape = 'student.config={model_type="llama", hidden_size=16, num_hidden_layers=1, intermediate_size=32, '
    shape += "num_attention_heads=2, num_key_value_heads=2}"
    own = ("student.model=none", shape, f"student.tokenizer={folder / 'student'}")
    with prepare(recipe("seqkd", folder, *own, URL), tmp_path / "run") as run:
        made = Party(run).untrained()
    assert made.vocabulary == tiny_model().vocabulary


def test_a_teacher_with_other_tokens_teaches_by_its_text(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = recipe("seqkd", folder, f"teacher={folder / 'teacher'}", "step.max_new_tokens=4")
    run = distill(made, folder=tmp_path / "run")
    models = json.loads(run.scores_file.read_text())["models"]
    assert list(models) == ["teacher", "untrained", "student"]
    assert not any(m["fidelity"] for m in models.values())
    said = " ".join("".join(capsys.readouterr()).split())
    assert said.count("divergences from the teacher are not measured") == 1 and "<odd>" in said


@pytest.mark.parametrize("name", ["kd", "dpkd"])
def test_an_objective_that_needs_its_probabilities_is_refused(name: str, folder: Path, tmp_path: Path) -> None:
    answering = {"teacher": Scripted(lambda prompt, sampling: "so it is")}
    with pytest.raises(ModelError, match=r"needs the teacher's probabilities, but the teacher .* gives text alone"):
        distill(recipe(name, folder, URL), folder=tmp_path / "run", endpoints=answering)
    faults = [f.text for f in diagnose_recipe(recipe(name, folder, URL)).findings if f.level == "error"]
    assert any("needs the teacher's probabilities" in text for text in faults)


def test_the_doctor_knows_what_is_not_here(folder: Path) -> None:
    report = diagnose_recipe(recipe("seqkd", folder, URL))
    assert report.healthy and "gives text alone" in report.of("teacher")[0].text
    assert "teacher 0 B" in report.of("memory")[0].text
    other = diagnose_recipe(recipe("seqkd", folder, f"teacher={folder / 'teacher'}"))
    assert other.healthy and "will not be measured" in other.of("tokenizer")[0].text


@pytest.mark.parametrize(
    "student", [{"keep_layers": 2}, {"config": {"model_type": "llama"}}], ids=["its layers", "its tokenizer"]
)
def test_a_student_cannot_have_what_is_not_here(student: dict[str, Any]) -> None:
    stage: Any = [{"train": {"objective": [{"use": "sft"}]}}]
    with pytest.raises(ValidationError, match="answers at a url"):
        Recipe(name="x", teacher=Model(url="http://x"), student=Student(**student), stage=stage)


def test_a_tokenizer_goes_with_a_config() -> None:
    with pytest.raises(RecipeError, match="tokenizer goes with a config"):
        recipes.load("sft", ["student.tokenizer=embedded"])
