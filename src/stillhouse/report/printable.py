"""Text from models and files as text that only shows: nothing in it can steer a page, a picture or a terminal."""

import re

# Control characters but tab and newline, lone surrogates, and the marks that reverse the direction of text.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def printable(text: str) -> str:
    """Hidden characters as pictures (U+241B for escape) or as code points in angle brackets."""
    return _HIDDEN.sub(lambda m: _picture(ord(m[0])), text)


def _picture(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"⟨U+{code:04X}⟩"
