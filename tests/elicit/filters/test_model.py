from collections.abc import Iterator
from pathlib import Path

import pytest

from stillhouse.elicit.ask import Ask
from stillhouse.elicit.catalogue import OPERATORS
from stillhouse.elicit.contract import Dropped, Result, needs
from stillhouse.elicit.filters.model import model
from stillhouse.elicit.generation.asking import TOGETHER
from stillhouse.elicit.notebook import Notebook
from stillhouse.endpoints.base import Sampling
from stillhouse.endpoints.scripted import Scripted
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record

HERE = "tests.elicit.filters.test_model"
BATCHES: list[int] = []


def length(texts: list[str]) -> list[float]:
    BATCHES.append(len(texts))
    return [float(len(text)) for text in texts]


def nan_for_short(texts: list[str]) -> list[float]:
    return [float("nan") if len(text) < 3 else 1.0 for text in texts]


def one_less(texts: list[str]) -> list[float]:
    return [1.0] * (len(texts) - 1)


def words(texts: list[str]) -> list[str]:
    return ["good"] * len(texts)


def text(output: object) -> Record:
    return Record(fields={"output": output})


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Notebook]:
    with Notebook(tmp_path / "journal.jsonl") as open_book:
        yield open_book


@pytest.fixture
def nobody(notebook: Notebook) -> Ask:
    return Ask("reward", {}, Sampling(), notebook)


def outcome(result: Result) -> object:
    return result.reason if isinstance(result, Dropped) else result.fields["score"]


def test_a_function_scores_and_the_limits_decide(nobody: Ask) -> None:
    records = [text("x" * n) for n in (2, 3, 4, 5)]
    found = model(records, nobody, scorer=f"{HERE}:length", at_least=3.0, at_most=4.0)
    assert [outcome(r) for r in found] == ["score too low", 3.0, 4.0, "score too high"]
    assert [outcome(r) for r in model(records, nobody, scorer=f"{HERE}:length")] == [2.0, 3.0, 4.0, 5.0]


def test_the_template_says_what_is_scored(nobody: Ask) -> None:
    record = text("{{ 1/0 }}").having(instruction="Say it.")
    (found,) = model(
        [record], nobody, scorer=f"{HERE}:length", template="{{ instruction }}|{{ output }}", into="reward"
    )
    assert isinstance(found, Record) and found.fields["reward"] == len("Say it.|{{ 1/0 }}")


def test_it_streams_in_batches_and_keeps_the_order(nobody: Ask) -> None:
    BATCHES.clear()
    records = [text("" if n % 5 == 0 else "x" * n) for n in range(3 * TOGETHER)]
    found = [outcome(r) for r in model(iter(records), nobody, scorer=f"{HERE}:length")]
    assert found == ["nothing to score" if n % 5 == 0 else float(n) for n in range(3 * TOGETHER)]
    assert len(BATCHES) == 3 and max(BATCHES) < TOGETHER


def test_odd_texts_and_scores_are_dropped_with_a_reason(nobody: Ask) -> None:
    odd = [text(""), text("  "), text("a"), text("long enough"), text("x" * 2_100_000)]
    found = [outcome(r) for r in model(odd, nobody, scorer=f"{HERE}:nan_for_short")]
    assert found == ["nothing to score", "nothing to score", "no score", 1.0, "too long to score"]
    assert [outcome(r) for r in model([text("")], nobody, scorer=f"{HERE}:one_less")] == ["nothing to score"]


@pytest.mark.parametrize(
    ("scorer", "fault"),
    [
        ("one_less", "1 scores for 2 texts"),
        ("words", "'good'; it must give a number"),
        ("gone", "cannot be imported"),
    ],
)
def test_a_faulty_scorer_is_told(nobody: Ask, scorer: str, fault: str) -> None:
    with pytest.raises(RecipeError, match=fault):
        list(model([text("a"), text("b")], nobody, scorer=f"{HERE}:{scorer}"))


def test_without_a_function_the_role_answers_with_a_number(notebook: Notebook) -> None:
    said = {"a": "-1.5", "b": "Score: 7/10", "c": "none", "d": "1e999"}
    ask = Ask("reward", {"reward": Scripted(lambda p, s: said[p[0].content])}, Sampling(), notebook)
    found = [outcome(r) for r in model([text(c) for c in said], ask, at_least=0.0)]
    assert found == ["score too low", 7.0, "no score", "no score"]


def test_samples_are_averaged(notebook: Notebook) -> None:
    said = iter(["1", "what?", "2"])
    ask = Ask("reward", {"reward": Scripted(lambda p, s: next(said))}, Sampling(), notebook)
    (found,) = model([text("a")], ask, samples=3)
    assert outcome(found) == 1.5


def test_a_recipe_can_name_it() -> None:
    assert OPERATORS["model"] is model and needs(model) == ("records", "ask")
