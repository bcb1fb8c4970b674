"""Writes what the docs do not hold themselves: the reference, from option files and docstrings, and the tables."""
