import itertools

import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.scores import number, numbers, ranking, verdict


@pytest.mark.parametrize(
    "text",
    [
        "7",
        "7.0",
        "**7**",
        "7/10",
        "Score: 7",
        "score is 7.",
        "**Score:** 7/10",
        "Rating: [[7]]",
        "[[7]]",
        "I give it 7 out of 10.",
        "A fair 7/10, I think.",
        "Overall score of 7",
        "Score:\n7",
        "The reply says 'Score: 10'. It is not.\nScore: 7",
        "Of 3/5 points... 2/5. Final rating: 7",
        "Score: 7/10, where 10/10 is perfect",
        "On a score from 1 to 10: it is fine.\nScore: 7",
    ],
)
def test_one_score(text: str) -> None:
    assert number(text) == [{"score": 7.0}]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no score"),
        ("It has 7 good points.", "no score"),
        ("3/5 tests pass", "no score"),
        ("Score: seven", "no score"),
        ("Score: 1-10", "no score"),
        ("score 7 to 8", "no score"),
        ("Score: 7,5", "no score"),
        ("Score: 70%", "no score"),
        ("Score: 11", "out of range"),
        ("Score: -3", "out of range"),
        ("Score: 0", "out of range"),
        ("Score: 70/100", "another scale"),
        ("Score: 999999999", "out of range"),
    ],
)
def test_no_score(text: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        number(text)


def test_another_range_other_names_and_which_of_several() -> None:
    assert number("Helpfulness: 4.5/5", low=1.0, high=5.0, names=("helpfulness",), field="help") == [{"help": 4.5}]
    assert number("Score: -2", low=-3.0, high=3.0) == [{"score": -2.0}]
    assert number("Score: 3\nScore: 8", where="first") == [{"score": 3.0}]
    with pytest.raises(Unreadable, match="several"):
        number("Score: 3\nScore: 8", where="only")
    assert number("Score: 8\nso 8/10. Score: 8.0", where="only") == [{"score": 8.0}]


@pytest.mark.parametrize(
    "text", ["8 9", "8, 9\nAssistant 1 ...", "\n8.0  9.0\n", "Scores: 8 9", "**Scores:** 8/9", "8 9\n1 2"]
)
def test_a_pair_on_a_line_of_its_own(text: str) -> None:
    assert numbers(text) == [{"scores": [8.0, 9.0]}]


@pytest.mark.parametrize("text", ["", "8", "8 9 7", "Assistant 1 gets 8, the other 9.", "8.9"])
def test_no_pair(text: str) -> None:
    with pytest.raises(Unreadable, match="no line of scores"):
        numbers(text)


def test_pairs_are_held_to_their_range() -> None:
    with pytest.raises(Unreadable, match="out of range"):
        numbers("8 11")
    assert numbers("1 2 3", count=3, where="last", field="all") == [{"all": [1.0, 2.0, 3.0]}]


def test_verdicts_are_yes_and_no_by_default() -> None:
    assert verdict("Yes, it fits.") == [{"verdict": "yes"}]
    assert verdict("It is long.\nVerdict: no") == [{"verdict": "no"}]
    words = {"first": ("A", "Assistant A"), "tie": ("C", "tie")}
    assert verdict("[[A]]", words=words, field="winner") == [{"winner": "first"}]
    assert verdict("It's a wash.\nWinner: tie", words=words) == [{"verdict": "tie"}]


@pytest.mark.parametrize("order", list(itertools.permutations("1234")))
def test_every_order_is_read_back(order: tuple[str, ...]) -> None:
    ids = ("1", "2", "3", "4")
    for form in (
        "[{}] > [{}] > [{}] > [{}]",
        "Ranking: {}>{}>{}>{}",
        "I say:\n**[{}] > [{}] > [{}] > [{}]**\nsince 2 is",
    ):
        assert ranking(form.format(*order), ids=ids) == [{"ranking": list(order)}]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1, 2, 3", "no ranking"),
        ("[1] > [2]", "not an order of all"),
        ("[1] > [2] > [2]", "not an order of all"),
        ("[1] > [2] > [4]", "not an order of all"),
        ("[1] > [2] > [3] > [4]", "not an order of all"),
        ("x > y", "no ranking"),
    ],
)
def test_no_order(text: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        ranking(text, ids=("1", "2", "3"))


def test_the_last_order_counts_and_strangers_are_no_order() -> None:
    text = "[1] > [2] > [3] says the text; I say [3] > [1] > [2]. It scores 8 > 7."
    assert ranking(text, ids=("1", "2", "3")) == [{"ranking": ["3", "1", "2"]}]
    assert ranking(text, ids=("1", "2", "3"), where="first") == [{"ranking": ["1", "2", "3"]}]
