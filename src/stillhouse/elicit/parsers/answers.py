"""`answer.*`: the final answer of a reasoned text, and the reasoning before it."""

import re
from typing import Any

from stillhouse.elicit.parsers.contract import Unreadable
from stillhouse.elicit.parsers.numerals import Numeral, numerals
from stillhouse.elicit.parsers.statements import TOLD, Statement, Where, reasons, stated
from stillhouse.errors import RecipeError

ANNOUNCED = re.compile(rf"####[ \t]*|-->[ \t]*|{TOLD}")
MOST = 100
"""Announcements looked at, from the end."""

LETTERS = ("A", "B", "C", "D", "E")


def number(text: str, *, loose: bool = False) -> list[dict[str, Any]]:
    """A number, written plainly ("1,234.50" -> "1234.5"), under `answer`, and what comes before it under `rationale`.

    It is what the last of these announces: "#### 42" (GSM8K), "--> 42", "The answer is $5.", "A: 7", \\boxed{7}; of an
    equation there, its right side. `loose`: where nothing announces one, the last number of the text.
    Used by Fine-tune-CoT (2212.10071), Magister (2212.08410), STaR (2203.14465), LMSI (2210.11610), AFT (2309.02144).
    """
    said = announced_number(text)
    if said is None and loose:
        said = max(numerals(text), key=lambda numeral: numeral.start, default=None)
    if said is None:
        raise Unreadable("no number")
    return _found(text, Statement(said.text, said.start))


def announced_number(text: str) -> Numeral | None:
    """The number that the text gives as its answer, from where it is announced; None where there is none."""
    starts = [(match.start(), match.end()) for match in ANNOUNCED.finditer(text)]
    if inside := boxed_text(text):
        starts.append((inside.start, text.index("{", inside.start) + 1))
    for start, end in sorted(starts, reverse=True)[:MOST]:
        line = text[end : end + 300].split("\n", 1)[0]
        right = line.rpartition("=")[2]
        said = next(numerals(right), None) or next(numerals(line), None)
        if said:
            return Numeral(said.value, said.text, start)
    return None


def choice(text: str, *, choices: tuple[str, ...] = LETTERS, where: Where = "last") -> list[dict[str, Any]]:
    """The letter of a choice: "The answer is (B).", "(b)" or "B" alone on a line, "B. Because ...", \\boxed{B}.

    Used by SCoTD (2306.14050), STaR (2203.14465), MT-CoT (2210.06726) and CoT-Distill (2305.02301) on CSQA and OBQA.
    """
    if not choices or not all(choice.strip() for choice in choices):
        raise RecipeError("parser 'answer.choice' needs at least one letter in 'choices'")
    return _found(text, stated(text, {choice: (choice,) for choice in choices}, where))


def label(text: str, *, labels: tuple[str, ...], where: Where = "last") -> list[dict[str, Any]]:
    """One of `labels`, in the words of the recipe: "The answer is entailment.", "Label: neutral", or alone on a line.

    Used by CoT-Distill (2305.02301) on e-SNLI and ANLI, LogiCoT (2305.12147).
    """
    if not labels or not all(name.strip() for name in labels):
        raise RecipeError("parser 'answer.label' needs at least one word in 'labels'")
    return _found(text, stated(text, {name: (name,) for name in labels}, where))


def yes_no(text: str, *, where: Where = "last") -> list[dict[str, Any]]:
    """ "yes" or "no", also written true and false: "So the answer is no.", "Yes, ...", or alone on a line.

    Used by MT-CoT (2210.06726), Magister (2212.08410) and MaRio (2311.02805) on StrategyQA.
    """
    return _found(text, stated(text, {"yes": ("yes", "true"), "no": ("no", "false")}, where))


def boxed(text: str) -> list[dict[str, Any]]:
    """What stands in the last \\boxed{...}, as it is written. Used by MAmmoTH (2309.05653), WizardMath (2308.09583)."""
    found = boxed_text(text)
    if not found or not found.value:
        raise Unreadable("no box")
    return _found(text, found)


def boxed_text(text: str) -> Statement | None:
    """The inside of the last box that is closed; None where there is none."""
    start = text.rfind("\\boxed{")
    depth = 0
    for brace in re.finditer(r"\\.|[{}]", text[start:], re.S) if start >= 0 else ():
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if brace[0] == "}" and depth == 0:
            return Statement(text[start + len("\\boxed{") : start + brace.start()].strip(), start)
    return None


def _found(text: str, statement: Statement) -> list[dict[str, Any]]:
    return [{"answer": statement.value, "rationale": reasons(text, statement.start)}]
