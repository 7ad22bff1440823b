"""Operators that ask a model for new text."""
