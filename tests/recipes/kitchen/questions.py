"""The seeds of the reasoning recipes and what is known of them, for scripted teachers."""

from collections import Counter
from typing import Any

from stillhouse.records.read import read_set
from stillhouse.records.types import Record

MATH, SUMS, CHOICE = (
    {r.fields["question"]: r.fields for r in read_set(f"builtin:{name}")} for name in ("math", "sums", "choice")
)
LETTERS = "ABCD"


def last_question(asked: str) -> str:
    """The question that a prompt ends with, behind its demonstrations."""
    return asked.rsplit("Q: ", 1)[-1].partition("\n")[0]


def demonstrated(asked: str) -> list[str]:
    """The questions of its demonstrations."""
    return [block.partition("\n")[0] for block in asked.split("Q: ")[1:-1]]


def another(letter: str) -> str:
    """A wrong letter."""
    return LETTERS[(LETTERS.index(letter) + 1) % 4]


class Turns:
    """How often each prompt has been asked, so that a scripted teacher's samples differ."""

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()

    def next(self, asked: str) -> int:
        self._asked[asked] += 1
        return self._asked[asked] - 1


def learnt(records: list[Record]) -> list[Record]:
    return [r for r in records if r.split == "train"]


def held_out(records: list[Record]) -> list[Record]:
    return [r for r in records if r.split == "test"]


def questions(records: list[Record]) -> list[Any]:
    return [r.fields["question"] for r in records]
