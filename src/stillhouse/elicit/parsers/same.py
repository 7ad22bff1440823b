"""Whether two answers are the same."""

import re
from fractions import Fraction
from typing import Any, Literal

from stillhouse.elicit.parsers.answers import announced_number, boxed_text
from stillhouse.elicit.parsers.contract import Unreadable
from stillhouse.elicit.parsers.numerals import numerals
from stillhouse.elicit.parsers.statements import stated

Kind = Literal["number", "choice", "label", "yes_no", "math", "text"]

LATEX = [
    (re.compile(r"\\[dt]frac"), r"\\frac"),
    (re.compile(r"\\(?:left|right|displaystyle|,|;|!|:| )"), ""),
    (re.compile(r"\\(?:text|mathrm|mbox|textbf)\{([^{}]{0,200})\}"), r"\1"),
    (re.compile(r"\\[%$]|[$\s]"), ""),
    (re.compile(r"\\frac\{(-?[0-9]{1,30})\}\{([0-9]{1,30})\}"), r"\1/\2"),
    (re.compile(r"\\frac([0-9])([0-9])"), r"\1/\2"),
]
LETTERS = {letter: (letter,) for letter in "ABCDEFGH"}
"""Choices that a whole solution may state: QASC has eight. Not I, which is a word."""

LETTER = re.compile(r"([a-z])(?:[).:]|\Z)")
LONGEST = 10_000


def same_answer(a: Any, b: Any, kind: Kind = "text") -> bool:
    """Whether two answers agree, as `answer_key` says; what is no answer agrees with nothing."""
    key = answer_key(a, kind)
    return bool(key) and key == answer_key(b, kind)


def answer_key(answer: Any, kind: Kind = "text") -> str:
    """The same text for all answers that are the same; "" for what is none.

    "number": 1,234 = 1234.0 = $1234 = a whole solution that ends with "#### 1234"; 50% = 50; 1/3 = 0.333333333 (nine
    digits count, so that a float that a program printed equals the number that was meant). "math": what is in the box,
    as LaTeX without what does not change its meaning, or as a number. "choice": the letter in "B", "(b)", "B. bank",
    or what a whole solution states, "... The answer is (B)". "yes_no": also true and false. "label" and "text": the
    words, whatever their case, the space and the punctuation around them.
    """
    if isinstance(answer, bool):
        answer = "yes" if answer else "no"
    if answer is None or not isinstance(answer, str | int | float):
        return ""
    text = str(answer)[-LONGEST:]
    if kind == "number":
        return _number(text)
    if kind == "math":
        return _math(text)
    words = " ".join(text.casefold().split()).strip(" .,;:!?\"'`*()[]$")
    if kind == "choice":
        return _choice(words, text)
    return {"true": "yes", "false": "no"}.get(words, words) if kind == "yes_no" else words


def _choice(words: str, text: str) -> str:
    """The letter that is stated, else the one that stands first; the words, where there is none."""
    try:
        return stated(text, LETTERS).value.casefold()
    except Unreadable:
        first = LETTER.match(words)
        return first[1] if first else words


def _number(text: str) -> str:
    said = announced_number(text)
    alone = list(numerals(text)) if said is None else [said]
    return _rounded(alone[0].value) if len(alone) == 1 else ""


def _rounded(value: Fraction) -> str:
    """Whole numbers as they are, others to nine digits."""
    near = f"{float(value):.9g}" if abs(value) < 10**15 else ""
    return str(value.numerator) if value.denominator == 1 or not near else str(Fraction(near))


def _math(text: str) -> str:
    found = boxed_text(text)
    plain = found.value if found else text.strip().rstrip(".")
    for pattern, replacement in LATEX:
        plain = pattern.sub(replacement, plain)
    return (_number(plain) if re.fullmatch(r"[-−]?[0-9][0-9.,/%]*", plain) else "") or plain.casefold()
