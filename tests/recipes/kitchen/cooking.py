"""A shipped recipe cooked by a scripted teacher: its sets after every lap, and everything that was asked."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stillhouse import recipes
from stillhouse.elicit.sandbox import working_box
from stillhouse.elicitation import Elicitation
from stillhouse.endpoints.base import Answer, Sampling
from stillhouse.endpoints.scripted import Scripted
from stillhouse.errors import RecipeError
from stillhouse.laps import laps
from stillhouse.recipe import Recipe
from stillhouse.records.types import Message, Record
from stillhouse.stages import prepare

Script = Callable[[tuple[Message, ...], Sampling], str | Answer]


@dataclass
class Call:
    """One question as it was put."""

    system: str
    user: str
    messages: tuple[Message, ...]
    sampling: Sampling


@dataclass
class Cooked:
    """`laps[i]`: all sets after lap i. `calls`: what the teacher's side was asked, `student_calls` the student."""

    laps: list[dict[str, list[Record]]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    student_calls: list[Call] = field(default_factory=list)
    funnels: list[dict[str, Any]] = field(default_factory=list)

    @property
    def records(self) -> list[Record]:
        """What is learnt from in the end."""
        return self.laps[-1]["records"]

    def asked(self, words: str) -> list[Call]:
        """The questions to the teacher's side in which these words stand."""
        return [call for call in self.calls if words in call.user or words in call.system]

    def funnel(self, step: str, round: int = 1) -> dict[str, Any]:
        """The account of a step."""
        return next(f for f in self.funnels if (f["step"], f["round"]) == (step, round))


def skip_without_sandbox(recipe: Recipe) -> None:
    """A recipe that runs programs refuses where no sandbox works: its test says so instead."""
    if any(step.use == "execute" for stage in recipe.stage for step in stage.step):
        try:
            working_box()
        except RecipeError as error:
            pytest.skip(str(error))


def cooked(name: str, script: Script, folder: Path, *changes: str, student: Script | None = None) -> Cooked:
    """All laps of the recipe, nobody being trained: the teacher, and every role that it plays, answers by `script`."""
    made, recipe = Cooked(), recipes.load(name, changes)
    skip_without_sandbox(recipe)

    def heard(calls: list[Call], answer: Script) -> Script:
        def listen(prompt: tuple[Message, ...], sampling: Sampling) -> str | Answer:
            said = {m.role: m.content for m in prompt}
            calls.append(Call(said.get("system", ""), said.get("user", ""), prompt, sampling))
            return answer(prompt, sampling)

        return listen

    teacher = Scripted(heard(made.calls, script), identity="teacher")
    learner = Scripted(heard(made.student_calls, student or script), identity="student")
    with prepare(recipe, folder / "run") as run:
        work = Elicitation(run, {"teacher": teacher, "student": learner, "untrained": learner})
        for lap in laps(run):
            work.do(lap)
            made.laps.append(work.sets)
        made.funnels = json.loads((run.kitchen / "steps.json").read_text())
    return made
