"""Answers side by side. What a model wrote is data: control characters are made visible and long answers are cut."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stillhouse.evaluate.scores import ModelScores, Sample
from stillhouse.report.printable import printable

LIMIT = 2_000
PER_TASK = 8


@dataclass(frozen=True, slots=True)
class Text:
    """Text that is safe to show; `note` says what was left out."""

    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    label: str
    answer: Text | None
    rouge_l: float | None = None


@dataclass(frozen=True, slots=True)
class SideBySide:
    """One prompt with its references and everyone's answer."""

    prompt: Text
    references: tuple[Text, ...]
    answers: tuple[Answer, ...]


def side_by_side(models: Mapping[str, ModelScores], per_task: int = PER_TASK) -> dict[str, tuple[SideBySide, ...]]:
    """By task: the first samples of the first model that has any, with the others' answers to the same prompts."""
    tasks = dict.fromkeys(task for m in models.values() for task in m.tasks)
    found = {
        task: _of_task({k: m.tasks[task].samples for k, m in models.items() if task in m.tasks}, per_task)
        for task in tasks
    }
    return {task: rows for task, rows in found.items() if rows}


def visible(text: str, limit: int = LIMIT) -> Text:
    """`text` cut to `limit` characters, its hidden characters made visible."""
    note = f"cut here: {limit:,} of {len(text):,} characters are shown" if len(text) > limit else ""
    shown = text[:limit].replace("\r\n", "\n")
    return Text(printable(shown), note)


def _of_task(samples: Mapping[str, Sequence[Sample]], per_task: int) -> tuple[SideBySide, ...]:
    """Samples are matched by prompt; of a prompt asked twice, the first answer is taken."""
    answers = {label: {s.prompt: s for s in reversed(found)} for label, found in samples.items()}
    prompts = list(dict.fromkeys(s.prompt for found in samples.values() for s in found))[:per_task]
    rows = []
    for prompt in prompts:
        by_label = {label: found.get(prompt) for label, found in answers.items()}
        references = next(s.references for s in by_label.values() if s)
        rows.append(
            SideBySide(
                visible(prompt),
                tuple(visible(r) for r in references[:3]),
                tuple(
                    Answer(k, visible(s.answer) if s else None, s.rouge_l if s else None) for k, s in by_label.items()
                ),
            )
        )
    return tuple(rows)
