"""Operators that make records without asking anybody."""
