import itertools

import pytest

from stillhouse.elicit.parsers import Unreadable
from stillhouse.elicit.parsers.calls import Call, call, same_call


def test_a_call_as_it_is_written() -> None:
    text = "torch.hub.load('pytorch/vision', model=\"resnet\", n=[1, {'a': -2.5}], flag=None)"
    assert call(text) == Call(
        "torch.hub.load", {"0": "pytorch/vision", "model": "resnet", "n": [1, {"a": -2.5}], "flag": None}
    )


def test_the_same_call_in_other_words() -> None:
    same = ["f(1, b='x', c=[1,2])", 'f( 1,c = [1, 2], b="x" )', "f(1.0, b='x', c=[1, 2],)"]
    for a, b in itertools.product(same, repeat=2):
        assert same_call(a, b)


@pytest.mark.parametrize(
    "other", ["f(2, b='x')", "g(1, b='x')", "f('x', 1)", "f(1, b='X')", "f(1)", "f(1, b='x', c=0)", "", "f(1, b=x)"]
)
def test_another_call(other: str) -> None:
    assert not same_call("f(1, b='x')", other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "f",
        "f(x)",
        "f(*[1])",
        "f(**{'a': 1})",
        "f(a=1, a=2)",
        "f(1)(2)",
        "f()[0]",
        "(lambda: 0)()",
        "f(__import__('os').system('true'))",
        "f(1); g(2)",
        "import os",
        "f(\0)",
        "f(" * 2000,
        "f(" + "-" * 4900 + "1)",
        "f(" + "[" * 2000 + "]" * 2000 + ")",
        "f('" + "a" * 6000 + "')",
        "f(1" + "0" * 4900 + ")",
        "f({[]: 1})",
        "f(1+'a')",
    ],
)
def test_what_is_no_call_is_never_run(text: str) -> None:
    with pytest.raises(Unreadable):
        call(text)
    assert not same_call(text, text)
