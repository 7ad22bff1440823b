"""`steps`: a judge marks every step of a solution right or wrong (WizardMath, RLMEC)."""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import Field

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.contract import Dropped, Result
from stillhouse.elicit.generation.asking import prompt_of, replies
from stillhouse.elicit.judges.gate import VERDICT
from stillhouse.elicit.view import text, view
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record


def steps(
    records: Iterable[Record],
    ask: Ask,
    *,
    template: str,
    system: str = "",
    field: str = "output",
    unit: str = r"\n+",
    at_most: Annotated[int, Field(ge=1)] = 20,
    retries: Annotated[int, Field(ge=0, le=20)] = 1,
    into: str = "steps",
) -> Iterator[Result]:
    """The field in parts, split by the regular expression `unit`, each judged yes or no after those before it.

    The template sees the record, `before` (the parts so far, joined) and `part`. `into` becomes a list of {text,
    right}, `right_share` their share, and `first_wrong` the place of the first wrong one, from 0 (-1: none).
    """
    held, split = list(records), _compiled(unit).split
    parts = [[p.strip() for p in split(text(record, field)) if p and p.strip()][:at_most] for record in held]
    jobs = [(i, j) for i, found in enumerate(parts) for j in range(len(found))]
    prompts = [
        prompt_of(template, view(held[i]) | {"before": "\n".join(parts[i][:j]), "part": parts[i][j]}, system=system)
        for i, j in jobs
    ]
    marks: dict[int, list[dict[str, Any]]] = {}
    for (i, j), (reply,) in zip(jobs, replies(ask, prompts, VERDICT, retries=retries), strict=True):
        if not reply.reason:
            marks.setdefault(i, []).append({"text": parts[i][j], "right": reply.items[0]["verdict"] == "yes"})
    for i, record in enumerate(held):
        found = marks.get(i, [])
        if not parts[i] or len(found) < len(parts[i]):
            yield Dropped(record, "a step without a verdict" if parts[i] else "no steps")
            continue
        right = [mark["right"] for mark in found]
        wrong = right.index(False) if False in right else -1
        noted = {into: found, "right_share": sum(right) / len(right), "first_wrong": wrong}
        yield record.having(**noted)


def _compiled(unit: str) -> re.Pattern[str]:
    try:
        return re.compile(unit)
    except re.error as error:
        raise RecipeError(f"operator 'steps': unit {unit!r} is no regular expression ({error})") from error
