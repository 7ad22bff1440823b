import pytest

from stillhouse.elicit.search.hits import Find, Hit
from stillhouse.elicit.search.library import library
from stillhouse.errors import RecipeError
from stillhouse.records.types import Record


def document(text: str, split: str = "", **fields: object) -> Record:
    return Record(split=split, fields={"text": text, **fields})


def web(texts: list[str]) -> Find:
    return lambda query, most: [("found for " + query, 1), (f"{len(texts)} given", 0.5)]  # type: ignore[return-value]


def broken(texts: list[str]) -> Find:
    return lambda query, most: ["only a text"]  # type: ignore[return-value, list-item]


def endless(texts: list[str]) -> Find:
    return lambda query, most: [Hit("x", float("inf"))]


def test_equal_texts_are_one_document_and_held_out_ones_are_none() -> None:
    records = [document("a cat", title="first"), document("a cat"), document("the cat", "test"), document(" ")]
    shelf = library({"d": records}, "d", document="text")
    assert [h.text for h in shelf.hits("cat", 9)] == ["a cat"]
    assert shelf.entry(shelf.hits("cat", 9)[0], ("title", "absent"))["title"] == "first"
    everything = library({"d": records}, "d", document="text", among=("", "test"))
    assert {h.text for h in everything.hits("cat", 9)} == {"a cat", "the cat"}


def test_what_is_left_out_makes_room_for_others() -> None:
    shelf = library({"d": [document(f"cat {i}") for i in range(5)]}, "d", document="text")
    found = shelf.hits("cat", 3, without=frozenset({"cat 0", "cat 1"}))
    assert [h.text for h in found] == ["cat 2", "cat 3", "cat 4"]


def test_a_plugged_in_backend_may_have_documents_of_its_own() -> None:
    shelf = library({}, "", document="text", backend="tests.elicit.search.test_library:web")
    hits = shelf.hits("me", 5)
    assert [shelf.entry(h) for h in hits] == [{"text": "found for me", "score": 1.0}, {"text": "0 given", "score": 0.5}]


@pytest.mark.parametrize("name", ["broken", "endless"])
def test_a_backend_that_gives_no_hits_is_named(name: str) -> None:
    shelf = library({}, "", document="text", backend=f"tests.elicit.search.test_library:{name}")
    with pytest.raises(RecipeError, match=f"{name}.*pairs"):
        shelf.hits("x", 1)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"over": "e"}, "there is no set 'e' to search; there are d"),
        ({"over": "d", "document": "body"}, r"has a text in 'body'; .*text"),
        ({"over": "d", "backend": "google"}, "no search backend 'google'; there are bm25, dense"),
        ({"over": "d", "backend": "dense"}, "needs a `model`"),
    ],
)
def test_wrong_settings_are_told(settings: dict[str, str], fault: str) -> None:
    with pytest.raises(RecipeError, match=fault):
        library({"d": [document("a cat")]}, **({"document": "text"} | settings))  # type: ignore[arg-type]


def test_an_empty_set_finds_nothing() -> None:
    assert library({"d": []}, "d", document="text").hits("cat", 3) == []
