from dataclasses import replace
from pathlib import Path

import pytest

from stillhouse.report import words
from stillhouse.report.read import CompareFolder, RunFolder, read_folder, read_run
from stillhouse.report.tables import compare_table
from tests.report.folders import write_compare, write_nan, write_run, write_unfinished


def comparison(folder: Path, methods: dict[str, float], seeds: tuple[int, ...] = (1, 2, 3)) -> CompareFolder:
    found = read_folder(write_compare(folder / "methods", methods, seeds))
    assert isinstance(found, CompareFolder)
    return found


def test_a_result_in_plain_words(tmp_path: Path) -> None:
    sentence = words.run_sentence(read_run(write_run(tmp_path / "small")))
    assert sentence == (
        "The student keeps 74 % of the parameters, agrees with the teacher on 77 % of tokens (52 % before training) "
        "and writes 1.4 times as fast."
    )


def test_a_run_under_way_says_where_it_stands(tmp_path: Path) -> None:
    run = read_run(write_unfinished(tmp_path / "half"))
    assert words.run_sentence(run).startswith("Training stands at step 50 of 70; held-out KL was 1.87 and is 0.9")
    assert list(words.notices(run)) == [
        "This run is not finished: 50 of 70 steps are logged, and nothing is evaluated yet."
    ]
    fresh = RunFolder(tmp_path, "fresh", counts={"teacher answers": 1200})
    assert words.run_sentence(fresh) == "Nothing has been trained yet; the teacher has answered 1,200 prompts."


def test_a_nan_is_told(tmp_path: Path) -> None:
    run = read_run(write_nan(tmp_path / "nan"))
    assert "Stage dpkd, step 31: loss is not a finite number." in list(words.notices(run))
    assert "is NaN nats" in words.run_sentence(run)


@pytest.mark.parametrize(
    ("methods", "seeds", "end"),
    [
        ({"dpkd": 2.0, "sft": 0.5}, (1, 2, 3), "its interval over seeds overlaps that of no other method."),
        ({"dpkd": 1.01, "sft": 1.0}, (1, 2, 3), "but over these seeds it cannot be told from "),
        ({"dpkd": 2.0, "sft": 0.5}, (1,), "but a single seed cannot tell it from the others."),
        ({"dpkd": 2.0}, (1, 2), "no other method has been evaluated yet."),
    ],
)
def test_a_winner_is_named_with_its_doubt(tmp_path: Path, methods: dict[str, float], seeds: tuple, end: str) -> None:
    compare = comparison(tmp_path, methods, seeds)
    assert end in words.compare_sentence(compare, compare_table(compare))


def test_nothing_evaluated_is_said(tmp_path: Path) -> None:
    compare = replace(comparison(tmp_path, {"dpkd": 1.0}, (1,)), runs=())
    assert words.compare_sentence(compare, compare_table(compare)) == "No method has been evaluated yet."
    assert list(words.compare_notices(compare)) == ["dpkd: seed 1 not evaluated yet."]


def test_commands_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = read_run(write_run(tmp_path / "with space"))
    assert words.run_command(run) == "stillhouse run 'with space/recipe.toml'"
    compare = comparison(tmp_path, {"dpkd": 1.0, "sft": 1.0}, (1, 2))
    (compare.path / "compare.toml").write_text('name = "base"\n')
    again = read_folder(compare.path)
    assert isinstance(again, CompareFolder)
    assert words.compare_command(again) == "stillhouse compare methods/compare.toml --methods dpkd,sft --seeds 1,2"


def test_small_words() -> None:
    assert words.spans((0, 1, 2, 5, 7, 8)) == "0–2, 5, 7–8"
    assert [words.size(n) for n in (134_515_008, 1_700_000_000, 50_000, 12, None)] == [
        "135 M parameters", "1.7 B parameters", "50 k parameters", "12 parameters", ""
    ]  # fmt: skip
    assert [words.duration(s) for s in (0.25, 42.0, 252.0, 7500.0)] == ["0.2 s", "42 s", "4 min 12 s", "2 h 5 min"]
