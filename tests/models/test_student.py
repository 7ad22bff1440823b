"""How students are made and made again, and saved whole or not at all."""

from pathlib import Path

import pytest
import torch

from stillhouse.errors import StorageError
from stillhouse.models.load import load
from stillhouse.models.saving import save_model
from stillhouse.models.student import make_student, read_origin, remake_student, write_origin
from stillhouse.models.tokenise import Encoded
from stillhouse.recipe import Student
from stillhouse.tiny import tiny_model

TEACHER = tiny_model(seed=1, layers=4)
ROWS = [Encoded(tuple(range(1, 12)), 4), Encoded(tuple(range(20, 29)), 3)]
SHAPE = {"model_type": "llama", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
SHAPE |= {"num_attention_heads": 2, "num_key_value_heads": 2}


@pytest.mark.parametrize(
    "student",
    [
        Student(keep_layers=2),
        Student(keep_layers=2, select="greedy"),
        Student(select=(0, 3)),
        Student(config=SHAPE),
    ],
    ids=["importance", "greedy", "explicit", "config"],
)
def test_a_student_is_made_again_without_choosing_anew(student: Student, tmp_path: Path) -> None:
    made, origin = make_student(student, TEACHER, ROWS, seed=3)
    write_origin(tmp_path / "student.json", origin)
    found = read_origin(tmp_path / "student.json")
    assert found == origin and found.parameters == made.parameters
    again = remake_student(student, TEACHER, found, seed=3)
    for a, b in zip(made.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b) and a.dtype == torch.float32


def test_a_saved_student_loads_as_it_was(tmp_path: Path) -> None:
    made, _ = make_student(Student(keep_layers=2), TEACHER, ROWS, seed=3)
    save_model(made, tmp_path / "model")
    again = load(str(tmp_path / "model"), dtype="float32")
    ids = torch.arange(6)[None]
    assert torch.equal(made.model(ids).logits, again.model(ids).logits)


def test_a_full_disk_leaves_no_half_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TEACHER.model, "save_pretrained", full)
    with pytest.raises(StorageError):
        save_model(TEACHER, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
