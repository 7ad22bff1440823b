"""The student before it learns: layers of the teacher, an existing model, or random weights of a given shape."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from stillhouse.errors import ModelError
from stillhouse.models.load import LanguageModel, load, load_tokenizer
from stillhouse.models.prune import keep_layers, select_layers
from stillhouse.models.scratch import random_student
from stillhouse.models.tokenise import Encoded
from stillhouse.recipe import Student
from stillhouse.records.store import write_atomic


@dataclass(frozen=True, slots=True)
class Origin:
    """How a student was made; kept as student.json, from which it can be made again without the data."""

    how: str
    layers: tuple[int, ...] = ()
    scores: tuple[float | None, ...] = ()
    parameters: int = 0


def make_student(
    student: Student, teacher: LanguageModel | None, rows: Sequence[Encoded], *, seed: int
) -> tuple[LanguageModel, Origin]:
    """A new student with float32 weights. `rows` are answers on which layers are judged, if they are to be.

    Raises ModelError where it is made of a teacher that is not here.
    """
    if student.model is not None:
        made = load(student.model, dtype="float32")
        return made, Origin(f"model {student.model}", parameters=made.parameters)
    if student.config is not None:
        made = random_student(student.config, student_tokenizer(student, teacher), seed=seed)
        return made, Origin("random weights", parameters=made.parameters)
    teacher = at_hand(teacher)
    found = select_layers(teacher, student.select, student.keep_layers, rows)
    made = keep_layers(teacher, found.layers)
    return made, Origin(f"layers by {student.select}", found.layers, found.scores, made.parameters)


def remake_student(student: Student, teacher: LanguageModel | None, origin: Origin, *, seed: int) -> LanguageModel:
    """The same student again, without choosing anew."""
    if origin.layers:
        return keep_layers(at_hand(teacher), origin.layers)
    return make_student(student, teacher, (), seed=seed)[0]


def student_tokenizer(student: Student, teacher: LanguageModel | None) -> PreTrainedTokenizerBase:
    """The tokenizer that the student speaks with: its own, or the teacher's. Raises ModelError as `at_hand` does."""
    named = student.model or student.tokenizer
    return load_tokenizer(named) if named else at_hand(teacher).tokenizer


def at_hand(teacher: LanguageModel | None) -> LanguageModel:
    """The teacher, where it is here. Raises ModelError where it is not."""
    if teacher is None:
        raise ModelError(
            "the teacher answers at a url, so neither its layers nor its tokenizer are here; give student.model, or "
            "student.config with student.tokenizer."
        )
    return teacher


def write_origin(path: Path, origin: Origin) -> None:
    """Keep how a student was made."""
    write_atomic(path, json.dumps(asdict(origin), indent=1))


def read_origin(path: Path) -> Origin | None:
    """How the student was made, or None if that is still to be decided."""
    if not path.exists():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    return Origin(data["how"], tuple(data["layers"]), tuple(data["scores"]), data["parameters"])
