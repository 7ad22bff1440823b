import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.numbered import numbered


def texts(*args: object, **settings: object) -> list[str]:
    return [item["text"] for item in numbered(*args, **settings)]  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["{}. {}", "{}) {}", "{}: {}", "  {}. {}", "#{}. {}", "{} . {}"])
def test_any_list_that_is_written_is_read_back(form: str) -> None:
    words = [f"thing number {n * 7} costs 3. Really, 12. of them" for n in range(15)]
    assert texts("\n".join(form.format(n, word) for n, word in enumerate(words, start=1))) == words


def test_an_item_has_all_its_lines_and_the_words_before_the_list_none() -> None:
    assert texts("Sure! Here you go:\n\n1. a\n   b\n\n2. c") == ["a\n   b", "c"]


def test_a_list_within_an_item_stays_in_it() -> None:
    assert texts("1. Sort these:\n   1. x\n   2. y\n2. Next\n1. again") == [
        "Sort these:\n   1. x\n   2. y",
        "Next\n1. again",
    ]
    assert texts("1. In the year\n1999. Yes\n2. b") == ["In the year\n1999. Yes", "b"]


def test_the_first_item_goes_on_where_the_prompt_ended() -> None:
    assert texts(" Write a poem.\n10. Sum two numbers.\n11.", continues=True) == ["Write a poem.", "Sum two numbers."]
    assert texts("only one", continues=True) == ["only one"]


def test_a_word_before_the_number() -> None:
    assert texts("Task 9: a\ntask 10: b\n", word="Task") == ["a", "b"]
    assert texts("1、写一首诗\n2、翻译") == ["写一首诗", "翻译"]


def test_a_cut_list_loses_its_last_item() -> None:
    assert texts("1. a\n2. b\n3. c", False) == ["a", "b"]
    with pytest.raises(Unreadable, match="cut off"):
        texts("1. a", False)


@pytest.mark.parametrize("text", ["no list here", "3.5 metres", "Version 1.2.3", "- a\n- b"])
def test_no_list(text: str) -> None:
    with pytest.raises(Unreadable, match="no numbered list"):
        numbered(text)
