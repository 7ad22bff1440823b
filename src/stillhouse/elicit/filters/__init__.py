"""Filters let records through or drop them with a reason."""
