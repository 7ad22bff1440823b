"""Numbers as people write them: 1,234, $5.00, -3, 1/2, 2 1/2, 50%, 1.5e3."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3}){1,9}|[0-9]{1,30})"
DECIMAL = rf"(?:{DIGITS}(?:\.[0-9]{{1,30}})?|\.[0-9]{{1,30}})(?:[eE][+-]?[0-9]{{1,2}})?"
# Bounded in every repetition; a string of digits that is no number as a whole is none in part.
NUMBER = re.compile(
    r"(?<![\w.,/^])(?P<minus>[-−](?=[\d$€£¥₹\\.]))?(?:\\?[$€£¥₹][ \t]?)?(?P<minus_after>[-−](?=[\d.]))?"
    rf"(?:(?:(?P<whole>{DIGITS})[ \t])?(?P<above>{DIGITS})/(?P<below>[0-9]{{1,30}})|(?P<decimal>{DECIMAL}))"
    r"(?![0-9]|[.,/][0-9])"
)


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number in a text: what it is worth, one way to write it, and where it begins."""

    value: Fraction
    text: str
    start: int


def numerals(text: str) -> Iterator[Numeral]:
    """The numbers of a text, from left to right. Signs of currency and per cent are not part of them: 50% is 50."""
    for match in NUMBER.finditer(text):
        sign = "-" if match["minus"] or match["minus_after"] else ""
        if match["decimal"]:
            decimal = Decimal(sign + match["decimal"].replace(",", ""))
            yield Numeral(Fraction(decimal), _plain(decimal), match.start())
        elif int(match["below"]):
            whole, above = (int((match[group] or "0").replace(",", "")) for group in ("whole", "above"))
            value = (whole + Fraction(above, int(match["below"]))) * (-1 if sign else 1)
            yield Numeral(value, str(value), match.start())


def _plain(decimal: Decimal) -> str:
    """12.50 -> "12.5", 1e3 -> "1000", -0 -> "0"."""
    text = f"{decimal:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
