from fractions import Fraction

import pytest

from stillhouse.elicit.parsers.numerals import numerals


@pytest.mark.parametrize(
    ("text", "value", "plain"),
    [
        ("42", 42, "42"),
        ("1,234", 1234, "1234"),
        ("1,234,567.50", Fraction(123456750, 100), "1234567.5"),
        ("12.", 12, "12"),
        ("$5.00", 5, "5"),
        ("-$5", -5, "-5"),
        ("$-5", -5, "-5"),
        ("\\$7", 7, "7"),
        ("−3", -3, "-3"),
        ("-0", 0, "0"),
        ("50%", 50, "50"),
        (".5", Fraction(1, 2), "0.5"),
        ("1/2", Fraction(1, 2), "1/2"),
        ("-4/6", Fraction(-2, 3), "-2/3"),
        ("2 1/2", Fraction(5, 2), "5/2"),
        ("4/2", 2, "2"),
        ("1.5e3", 1500, "1500"),
        ("2e-2", Fraction(1, 50), "0.02"),
        ("007", 7, "7"),
        ("5kg", 5, "5"),
    ],
)
def test_one_number(text: str, value: Fraction, plain: str) -> None:
    for form in ("{}", "it is {} now", "({})", "x = {}, so"):
        (only,) = numerals(form.format(text))
        assert (only.value, only.text) == (value, plain)
        assert form.format(text)[only.start :].startswith(text)


@pytest.mark.parametrize("text", ["", "none", "1.2.3", "3/4/2020", "1/0", "x2", "2^10"[1:], "9" * 31, "1,23"])
def test_what_is_no_number_as_a_whole(text: str) -> None:
    assert [n.text for n in numerals(text)] == []


def test_a_minus_between_numbers_is_not_a_sign() -> None:
    assert [n.value for n in numerals("5-3 = 2, 5 - 3, and -3")] == [5, 3, 2, 5, 3, -3]
