"""What the doctor says, on tiny models."""

import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from stillhouse import recipes
from stillhouse.doctor import Report, diagnose_recipe
from stillhouse.doctor.data import Amount
from stillhouse.doctor.models import outline, shortened
from stillhouse.doctor.needs import disk_of, memory_of, seconds_of
from stillhouse.models.saving import save_model
from stillhouse.recipe import Recipe
from stillhouse.tiny import tiny_model


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    save_model(tiny_model(layers=3), folder / "model")
    return folder / "model"


def recipe(teacher: Path, *changes: str, name: str = "seqkd") -> Recipe:
    own = [f"teacher={teacher}", "student.keep_layers=2", "data.max_tokens=300"]
    return recipes.load(name, [*own, *changes])


def faults(report: Report) -> list[str]:
    return [f"{finding.topic}: {finding.text}" for finding in report.findings if finding.level == "error"]


def test_an_outline_has_the_shapes_of_the_model_and_no_weights(teacher: Path) -> None:
    found, real = outline(str(teacher)), tiny_model(layers=3)
    assert found.parameters == real.parameters
    assert found.head_rows == real.head_rows
    assert all(weight.device == torch.device("meta") for weight in found.model.parameters())
    assert shortened(found.model.config, 2).num_hidden_layers == 2
    assert found.model.config.num_hidden_layers == 3


def test_a_recipe_that_works(teacher: Path) -> None:
    report = diagnose_recipe(recipe(teacher))
    assert faults(report) == []
    assert report.healthy
    topics = list(dict.fromkeys(finding.topic for finding in report.findings))
    assert topics == ["teacher", "student", "tokenizer", "data", "evaluation", "memory", "time", "disk"]
    console = Console(width=120, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(report.to_rich())
    assert "2 of the 3 layers" in console.export_text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["teacher=/no/such/model"], "teacher: there is no model at /no/such/model"),
        (["student.keep_layers=9"], "the teacher has 3 layers"),
        (["student=/no/such/model"], "student: there is no model"),
        (["seeds=none.jsonl"], "data: none.jsonl does not exist"),
        (["data.max_tokens=4000"], "window of 512 tokens"),
        (["step=[]"], "no [[step]] asks for them"),
        (['student.config={model_type = "llamma"}'], "llamma"),
    ],
)
def test_what_cannot_work(teacher: Path, changes: list[str], said: str) -> None:
    report = diagnose_recipe(recipe(teacher, *changes))
    assert not report.healthy
    assert said in " ".join(faults(report))


def test_another_tokenizer_is_an_error_where_probabilities_are_compared(teacher: Path, tmp_path: Path) -> None:
    other = tiny_model()
    other.tokenizer.add_tokens(["<new>"])
    save_model(other, tmp_path / "other")
    report = diagnose_recipe(recipe(teacher, f"student={tmp_path / 'other'}", name="kd"))
    assert "different tokenizers" in " ".join(faults(report))
    report = diagnose_recipe(recipe(teacher, f"student={tmp_path / 'other'}"))
    assert faults(report) == [] and "different tokenizers" in " ".join(f.text for f in report.of("tokenizer"))


def test_padded_vocabularies_are_fine(teacher: Path, tmp_path: Path) -> None:
    save_model(tiny_model(extra_rows=64), tmp_path / "padded")
    report = diagnose_recipe(recipe(teacher, f"student={tmp_path / 'padded'}"))
    assert faults(report) == []


def test_rows_without_references_or_too_long(teacher: Path, tmp_path: Path) -> None:
    rows = [
        {"prompt": f"question {i} " + "long " * 99 * (i % 2), "split": ["train", "test"][i > 15]} for i in range(20)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = diagnose_recipe(recipe(teacher, f"seeds={data}", "eval=[]", name="sft"))
    assert "no training row has one" in " ".join(faults(report))
    assert any("longer than data.max_prompt_tokens" in finding.text for finding in report.of("data"))
    assert any("no [[eval]]" in finding.text for finding in report.of("evaluation"))


def test_estimates_follow_the_formulas(teacher: Path) -> None:
    model = tiny_model(layers=2)
    n = model.parameters
    amount = Amount({"train": 100}, 20.0, 30.0, asked=10, asked_tokens=1000, examined=5, examined_tokens=500)
    made = recipe(teacher, "teacher.dtype=float32", "train.steps=10", "train.batch_size=4", "train.micro_tokens=100")
    memory = memory_of(made, model, model, amount)
    assert memory.teacher == 4 * n and memory.student in (9 * n, 16 * n)
    assert memory.activations in (100 * 2 * 32 * 17 * 2, 100 * 2 * 32 * 17 * 4), (
        "bf16 or float32, as the machine computes"
    )
    times = seconds_of(made, model, model, amount, speed=1e9)
    assert times["elicit"] == pytest.approx(1000 * 2 * n / 0.1 / 1e9)
    assert times["train"] == pytest.approx(10 * 4 * 50 * 6 * n / 0.4 / 1e9), (
        "sft on the teacher's text needs no teacher pass"
    )
    assert times["evaluate"] == pytest.approx(500 * 2 * 3 * n / 0.1 / 1e9)
    assert disk_of(made, model) == (2 + 1) * 12 * n + 4 * n
    exact = memory_of(recipe(teacher, "train.moments=float32"), model, model, amount)
    assert exact.student == 16 * n
    lora = recipe(teacher, "student.lora.rank=2")
    assert memory_of(lora, model, model, amount).student < 9 * n
