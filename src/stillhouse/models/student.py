"""The student before it learns: layers of the teacher, an existing model, or random weights of a given shape."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stillhouse.models.load import LanguageModel, load
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
    student: Student, teacher: LanguageModel, rows: Sequence[Encoded], *, seed: int
) -> tuple[LanguageModel, Origin]:
    """A new student with float32 weights. `rows` are answers on which layers are judged, if they are to be."""
    if student.model is not None:
        made = load(student.model, dtype="float32")
        return made, Origin(f"model {student.model}", parameters=made.parameters)
    if student.config is not None:
        made = random_student(student.config, teacher.tokenizer, seed=seed)
        return made, Origin("random weights", parameters=made.parameters)
    found = select_layers(teacher, student.select, student.keep_layers, rows)
    made = keep_layers(teacher, found.layers)
    return made, Origin(f"layers by {student.select}", found.layers, found.scores, made.parameters)


def remake_student(student: Student, teacher: LanguageModel, origin: Origin, *, seed: int) -> LanguageModel:
    """The same student again, without choosing anew."""
    if origin.layers:
        return keep_layers(teacher, origin.layers)
    return make_student(student, teacher, (), seed=seed)[0]


def write_origin(path: Path, origin: Origin) -> None:
    """Keep how a student was made."""
    write_atomic(path, json.dumps(asdict(origin), indent=1))


def read_origin(path: Path) -> Origin | None:
    """How the student was made, or None if that is still to be decided."""
    if not path.exists():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    return Origin(data["how"], tuple(data["layers"]), tuple(data["scores"]), data["parameters"])
