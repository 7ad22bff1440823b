"""One model over all tasks: its answers, their scores, the scores by length band, and samples to look at."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from torch import nn

from stillhouse.evaluate.bands import members
from stillhouse.evaluate.intervals import bootstrap
from stillhouse.evaluate.scorers import exact_match, rouge_l, same_final
from stillhouse.evaluate.scores import BandScores, ModelScores, Sample, Score, TaskScores
from stillhouse.evaluate.tasks import Task
from stillhouse.recipe import Eval
from stillhouse.records.types import Message, Record, content_key

SAMPLES = 12
"""Answers kept of each task to look at."""

Answers = Callable[[Sequence[Record], Eval], Sequence[str]]
"""Answers every record's messages, in order; the settings that it is given hold exactly one seed."""

Progress = Callable[[str, int, int], None]
"""Told (task, rounds done, rounds in all) when a task has been answered once more."""

Floats = npt.NDArray[np.float64]


def measure(
    model: nn.Module | None,
    tasks: Sequence[Task],
    answer: Answers,
    *,
    label: str,
    fidelity: Mapping[str, Score] | None = None,
    tokens_per_second: float | None = None,
    progress: Progress | None = None,
) -> ModelScores:
    """Answer and score every task. `fidelity` and `tokens_per_second` are measured elsewhere and kept beside.

    A `model` that is not here (None) has no known size.
    """
    parameters, megabytes = (None, None) if model is None else size(model)
    return ModelScores(
        label=label,
        parameters=parameters,
        megabytes=megabytes,
        tokens_per_second=tokens_per_second,
        fidelity=fidelity or {},
        tasks={task.name: measure_task(task, answer, progress=progress) for task in tasks},
    )


def size(model: nn.Module) -> tuple[int, float]:
    """Parameters, each shared one counted once, and the megabytes (10^6 bytes) that they take in their present type."""
    parameters = list(model.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() * p.element_size() for p in parameters) / 1e6


def measure_task(task: Task, answer: Answers, *, progress: Progress | None = None) -> TaskScores:
    """Score one task. Each example's score is its mean over the seeds; intervals are over examples.

    Greedy answers (temperature 0) are the same for every seed and are asked for once.
    """
    settings, references = task.settings, task.references
    seeds = settings.seeds if settings.temperature > 0 else settings.seeds[:1] or (0,)
    answers = []
    for done, seed in enumerate(seeds, start=1):
        answers.append(answer(task.records, settings.model_copy(update={"seeds": (seed,)})))
        if progress is not None:
            progress(task.name, done, len(seeds))
    rouge = _scores(rouge_l, answers, references)
    same = exact_match if settings.exact == "text" else same_final(settings.exact)
    exact = _scores(same, answers, references)
    bands = {
        label: BandScores(rouge_l=bootstrap(rouge.mean(0)[chosen]), exact_match=bootstrap(exact.mean(0)[chosen]))
        for label, chosen in members(references, settings.bands).items()
        if chosen
    }
    return TaskScores(
        rouge_l=bootstrap(rouge.mean(0)),
        exact_match=bootstrap(exact.mean(0)),
        bands=bands,
        samples=_samples(task, answers[0], rouge[0]),
    )


def _scores(
    scorer: Callable[[str, Sequence[str]], float], answers: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> Floats:
    """Scores by seed and example."""
    return np.array([[scorer(a, r) for a, r in zip(one, references, strict=True)] for one in answers])


def _samples(task: Task, answers: Sequence[str], scores: Floats) -> tuple[Sample, ...]:
    """SAMPLES examples chosen by content, so that every model of every run shows its answers to the same prompts."""
    by_hash = sorted(range(len(task.records)), key=lambda i: content_key(["shown", task.records[i].key]))
    references = task.references
    return tuple(
        Sample(
            prompt=_shown(task.records[i].messages),
            references=tuple(references[i]),
            answer=answers[i],
            rouge_l=float(scores[i]),
        )
        for i in sorted(by_hash[:SAMPLES])
    )


def _shown(messages: Sequence[Message]) -> str:
    """A single turn as it is; a conversation with the role in front of each turn."""
    if len(messages) == 1:
        return messages[0].content
    return "\n".join(f"{message.role}: {message.content}" for message in messages)
