"""Parsers read a model's raw words into fields. They never guess: what cannot be read is Unreadable, with a reason."""

from stillhouse.elicit.parsers.catalogue import PARSERS
from stillhouse.elicit.parsers.contract import Parser, Unreadable

__all__ = ["PARSERS", "Parser", "Unreadable"]
