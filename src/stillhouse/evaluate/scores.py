"""What evaluation found, as a run folder keeps it in scores.json. Torch-free, so that reports can be made anywhere."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, NonNegativeInt, TypeAdapter, ValidationError

from stillhouse.errors import DataError

Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""A float that is null in JSON when it is not finite, and NaN again when read."""


@dataclass(frozen=True, slots=True)
class Score:
    """A mean over `n` independent examples (or seeds) and its 95 % interval, which is None where `n` gives none.

    rouge_l, exact_match and top1 are percentages; divergences and rewards are in nats.
    """

    value: Number
    low: float | None = None
    high: float | None = None
    n: NonNegativeInt = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer to look at, beside the references that it was scored against."""

    prompt: str
    references: tuple[str, ...]
    answer: str
    rouge_l: Number


@dataclass(frozen=True, slots=True)
class BandScores:
    """The scores of the examples of one golden-response length band."""

    rouge_l: Score
    exact_match: Score


@dataclass(frozen=True, slots=True)
class TaskScores:
    """The scores of one model on one task. A length band without examples is absent from `bands`."""

    rouge_l: Score
    exact_match: Score
    bands: Mapping[str, BandScores] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelScores:
    """Everything measured on one model; `fidelity` is empty for the teacher itself, the size unknown behind a url."""

    label: str
    parameters: NonNegativeInt | None
    megabytes: Number | None
    tokens_per_second: float | None = None
    fidelity: Mapping[str, Score] = field(default_factory=dict)
    tasks: Mapping[str, TaskScores] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scores:
    """All models of a run by role: "teacher", "untrained", "student"."""

    models: Mapping[str, ModelScores]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; a number that is not finite becomes null."""
        return json.loads(_FORM.dump_json(self))

    @classmethod
    def from_json(cls, data: Any, where: str = "scores") -> "Scores":
        """The inverse of `to_json`. Raises DataError that names the part of `where` that does not fit."""
        try:
            return _FORM.validate_json(json.dumps(data), strict=True)
        except (ValidationError, TypeError, ValueError) as error:
            raise DataError(f"{where}: {_reason(error)}; make it anew with `stillhouse evaluate`.") from error

    @classmethod
    def read(cls, path: Path) -> "Scores":
        """Read a scores.json. Raises DataError if it is missing, not JSON, or not of this form."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); make it with `stillhouse evaluate`.") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path} is not JSON ({error}); make it anew with `stillhouse evaluate`.") from error
        return cls.from_json(data, str(path))


_FORM = TypeAdapter(Scores)


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"not JSON ({error})"
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"at {place or 'the top'}: {first['msg'][:1].lower()}{first['msg'][1:]}"
