"""scores.json: what is written is read back, and what does not fit is named."""

import json
import math

import pytest

from stillhouse.errors import DataError
from stillhouse.evaluate.scores import BandScores, ModelScores, Sample, Score, Scores, TaskScores


@pytest.fixture
def scores() -> Scores:
    score = Score(value=24.62, low=20.0, high=29.5, n=60)
    task = TaskScores(
        rouge_l=score,
        exact_match=Score(value=0.0),
        bands={"(0,30]": BandScores(rouge_l=score, exact_match=score)},
        samples=(Sample(prompt="Name a metal.", references=("Iron", "Tin"), answer="Iron é \u2028", rouge_l=100.0),),
    )
    student = ModelScores(
        label="Student (dpkd)", parameters=100, megabytes=0.2, fidelity={"kl": score}, tasks={"held_out": task}
    )
    teacher = ModelScores(label="Teacher", parameters=200, megabytes=0.4, tokens_per_second=31.5)
    return Scores(models={"teacher": teacher, "student": student})


def test_what_is_written_is_read_back(scores, tmp_path):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(scores.to_json(), allow_nan=False), encoding="utf-8")
    assert Scores.read(path) == scores


def test_the_form_is_the_one_that_reports_read(scores):
    student = scores.to_json()["models"]["student"]
    assert student["fidelity"]["kl"] == {"value": 24.62, "low": 20.0, "high": 29.5, "n": 60}
    assert student["tokens_per_second"] is None
    assert student["tasks"]["held_out"]["bands"]["(0,30]"]["exact_match"]["n"] == 60
    assert student["tasks"]["held_out"]["samples"][0]["references"] == ["Iron", "Tin"]


def test_a_number_that_is_not_finite_is_null_in_json_and_shown_again():
    data = Scores(models={"student": ModelScores("x", 1, 1.0, fidelity={"kl": Score(math.inf, n=3)})}).to_json()
    assert data["models"]["student"]["fidelity"]["kl"]["value"] is None
    assert math.isnan(Scores.from_json(data).models["student"].fidelity["kl"].value)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda d: d.pop("models"), "models"),
        (lambda d: d["models"].update(student=[]), "models.student"),
        (lambda d: d["models"]["teacher"].pop("label"), "models.teacher.label"),
        (lambda d: d["models"]["student"]["fidelity"]["kl"].update(value="low"), "fidelity.kl.value"),
        (lambda d: d["models"]["student"]["tasks"]["held_out"]["samples"][0].update(references=3), "samples.0"),
        (lambda d: d["models"]["teacher"].update(parameters=-1), "models.teacher.parameters"),
    ],
)
def test_a_malformed_part_is_named(scores, change, place):
    data = scores.to_json()
    change(data)
    with pytest.raises(DataError, match=place):
        Scores.from_json(data, "scores.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"models": 3}'])
def test_a_malformed_file_is_named(tmp_path, content):
    path = tmp_path / "scores.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"scores\.json"):
        Scores.read(path)


def test_a_missing_file_says_what_to_run(tmp_path):
    with pytest.raises(DataError, match="stillhouse evaluate"):
        Scores.read(tmp_path / "scores.json")
    with pytest.raises(DataError, match="not JSON"):
        Scores.from_json({"models": {1, 2}})
