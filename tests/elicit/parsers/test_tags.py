import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.tags import tags


def test_the_text_between() -> None:
    text = "well <think> a < b </think>\n<answer>7</answer> bye"
    assert tags(text, tags=("think", "answer")) == [{"think": "a < b", "answer": "7"}]


def test_many_pair_up() -> None:
    assert tags("<q>1</q><a>2</a>\n<q>3</q><a>4</a>", tags=("q", "a"), many=True) == [
        {"q": "1", "a": "2"},
        {"q": "3", "a": "4"},
    ]


@pytest.mark.parametrize(
    ("text", "many", "reason"),
    [
        ("<q>1</q>", False, "no such tag"),
        ("<q>1</q><a>2", False, "not closed"),
        ("<q>1</q><q>2</q><a>3</a>", False, "more than once"),
        ("<q>1</q><q>2</q><a>3</a>", True, "without their pairs"),
        ("<Q>1</Q><A>2</A>", False, "no such tag"),
    ],
)
def test_unreadable(text: str, many: bool, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        tags(text, tags=("q", "a"), many=many)
