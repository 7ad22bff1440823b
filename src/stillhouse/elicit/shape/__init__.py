"""Operators that reshape records without asking anybody: fields, lists, groups."""
