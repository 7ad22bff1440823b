"""Evaluation tasks: prompts with golden answers, from the run's own test split or from elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from stillhouse.errors import DataError, RecipeError
from stillhouse.recipe import Eval
from stillhouse.records.read import read_records, sample_by_hash
from stillhouse.records.types import Record

HELD_OUT = "held_out"


@dataclass(frozen=True, slots=True)
class Task:
    """A name, the examples (each with at least one reference answer), and how to answer them."""

    name: str
    records: tuple[Record, ...]
    settings: Eval

    @property
    def references(self) -> list[list[str]]:
        """The golden answers of every example."""
        return [golden(record) for record in self.records]


def golden(record: Record) -> list[str]:
    """The answers to compare with: the data set's own, or where a record has none, those that were elicited for it."""
    return [r.text for r in record.answers("reference") or record.responses]


def load_tasks(settings: Sequence[Eval], own: Sequence[Record]) -> list[Task]:
    """The tasks of a stage; `own` are the run's records. Raises RecipeError if two tasks share a name."""
    names = [s.name for s in settings]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise RecipeError(f"two [[eval]] tasks are named {twice[0]!r}; give each a name of its own.")
    return [load_task(s, own) for s in settings]


def load_task(settings: Eval, own: Sequence[Record]) -> Task:
    """One task. `limit` takes a sample that depends on the contents alone, not on their order.

    Where no example has a reference answer, those that were elicited stand for them.
    Raises DataError if no example with an answer is left.
    """
    if settings.data == HELD_OUT:
        records = [r for r in own if r.split == "test"]
        remedy = "raise data.held_out, or give the task data of its own"
    else:
        records = read_records(settings.data)
        remedy = "give each row a reference answer"
    answered = [r for r in records if r.answers("reference")] or [r for r in records if r.responses]
    if not answered:
        raise DataError(
            f"evaluation task {settings.name!r}: none of the {len(records)} records of {settings.data} has a reference "
            f"answer; {remedy}."
        )
    return Task(settings.name, tuple(sample_by_hash(answered, settings.limit)), settings)
