"""`fields.regex`: the named groups of a regular expression."""

from itertools import islice
from typing import Any

import re2

from stillhouse.elicit.parsers.contract import Unreadable
from stillhouse.errors import RecipeError

MOST = 1001
"""Matches looked at: one more than `items.sound` lets pass by default is enough to say that there are too many."""


def pattern(text: str, finished: bool = True, *, pattern: str, many: bool = False) -> list[dict[str, Any]]:
    """One item from the first match of `pattern`, or with `many` one from each: its named groups, "" where unmatched.

    The syntax is RE2's: that of `re` without look-around and back-references, with \\w, \\d and \\b for ASCII alone
    (\\pL is any letter). In return it needs time in proportion to the text, whatever the pattern and the text are.
    Of a text that was cut off, the match that reaches its end is left out.
    """
    compiled = _compiled(pattern)
    try:
        matches = list(islice(compiled.finditer(text), MOST if many else 1))
    except UnicodeEncodeError:
        raise Unreadable("broken characters") from None
    if not matches:
        raise Unreadable("no match")
    if not finished and not text[matches[-1].end() :].strip():
        matches.pop()
    if not matches:
        raise Unreadable("cut off")
    return [{name: (found or "").strip() for name, found in match.groupdict().items()} for match in matches]


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else error
        raise RecipeError(f"pattern {pattern!r} cannot be used ({reason}); the syntax is RE2's") from error
    if not compiled.groupindex:
        raise RecipeError(f"pattern {pattern!r} has no named group; write (?P<field>...) around what becomes a field")
    return compiled
