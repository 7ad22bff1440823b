import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.plain import plain


def test_the_text_without_the_space_around_it() -> None:
    assert plain("\n a\n b \n", field="topic") == [{"topic": "a\n b"}]


def test_nothing_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="empty"):
        plain(" \n")
