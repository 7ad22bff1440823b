"""The three answers side by side."""

from pathlib import Path

import pytest
from rich.console import Console

from stillhouse import chat, recipes
from stillhouse.errors import ModelError, RunError
from stillhouse.models.saving import save_model
from stillhouse.models.student import Origin, write_origin
from stillhouse.run import Run
from stillhouse.tiny import tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tiny_model(seed=1, layers=3), tmp_path / "teacher")
    recipe = recipes.load("sft", [f"teacher={tmp_path / 'teacher'}", "student.keep_layers=2"])
    with Run.create(recipe, tmp_path / "run") as run:
        write_origin(run.student_file, Origin("layers by importance", (0, 2)))
        save_model(tiny_model(seed=2), run.model_dir)
    return run.folder


def test_every_role_answers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "MAX_NEW_TOKENS", 8)
    answers = chat.chat(folder, "Hello?")
    assert list(answers) == ["teacher", "untrained", "student"]
    assert answers == chat.chat(folder, "Hello?"), "answers are greedy"


def test_a_question_longer_than_the_window(folder: Path) -> None:
    with pytest.raises(ModelError, match="ask a shorter one"):
        chat.chat(folder, "a" * 1000)


def test_without_a_trained_student(tmp_path: Path) -> None:
    Run.create(recipes.load("sft"), tmp_path / "run").close()
    with pytest.raises(RunError, match="no trained student yet"):
        chat.chat(tmp_path / "run", "Hello?")


def test_answers_are_shown_as_they_are() -> None:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    chat.show(console, {"teacher": "[bold]no markup[/]", "student": ""})
    text = console.export_text()
    assert "[bold]no markup[/]" in text
    assert "(no answer)" in text
    assert "Trained student" in text
