"""Judges write verdicts into records: scores, preferences, critiques."""
