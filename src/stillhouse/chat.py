"""One question, three answers: teacher, untrained student, trained student."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from stillhouse.errors import ModelError, RunError
from stillhouse.records.types import Message
from stillhouse.run import Run

if TYPE_CHECKING:
    from stillhouse.models.load import LanguageModel

TITLES = {"teacher": "Teacher", "untrained": "Untrained student", "student": "Trained student"}
MAX_NEW_TOKENS = 200


def chat(run_folder: Path | str, prompt: str) -> dict[str, str]:
    """What each role of a run answers to one prompt, greedily.

    Raises:
        RunError: the folder is no run, or nothing is trained in it yet.
        ModelError: a model that is missing.
    """
    return {role: answer(model, prompt) for role, model in participants(run_folder).items()}


def converse(run_folder: Path | str, prompt: str | None) -> None:
    """Print the answers side by side: to `prompt`, or to every line that is typed until an empty one."""
    console = Console()
    models = participants(run_folder)
    if prompt is not None:
        show(console, {role: answer(model, prompt) for role, model in models.items()})
        return
    console.print("Ask something; an empty line ends.", style="dim")
    while True:
        try:
            line = console.input("[bold]> [/]").strip()
        except EOFError:
            return
        if not line:
            return
        show(console, {role: answer(model, line) for role, model in models.items()})


def participants(run_folder: Path | str) -> dict[str, "LanguageModel"]:
    """The models of a run; a teacher behind a url is not among them."""
    run = Run.open(run_folder, exclusive=False)
    if not run.model_dir.is_dir():
        raise RunError(f"{run.folder} has no trained student yet; train one with: stillhouse train {run.folder}")
    from stillhouse.models.load import load
    from stillhouse.models.student import read_origin, remake_student
    from stillhouse.party import Party

    recipe, teacher = run.recipe, Party(run).local_teacher
    models = {} if teacher is None else {"teacher": teacher}
    if origin := read_origin(run.student_file):
        models["untrained"] = remake_student(recipe.student, teacher, origin, seed=recipe.seed)
    return models | {"student": load(str(run.model_dir))}


def answer(model: "LanguageModel", prompt: str) -> str:
    """The greedy answer to one question. Raises ModelError when the question does not fit the model's window."""
    from stillhouse.endpoints.base import Sampling
    from stillhouse.endpoints.local import Local

    endpoint, turn = Local(model), (Message("user", prompt),)
    sampling = Sampling(max_new_tokens=MAX_NEW_TOKENS, temperature=0.0)
    if reason := endpoint.refuses(turn, sampling):
        raise ModelError(f"the question cannot be asked of {model.name}: {reason}; ask a shorter one.")
    _, found = next(iter(endpoint.generate([turn], sampling)))
    return found.text + (" ..." if found.finish == "length" else "")


def show(console: Console, answers: dict[str, str]) -> None:
    """The answers in columns, or below each other where the terminal is narrow."""
    width = max(24, console.width // len(answers) - 1)
    panels = [Panel(Text(text or "(no answer)"), title=TITLES[role], width=width) for role, text in answers.items()]
    console.print(Columns(panels, padding=(0, 1, 0, 0)))
