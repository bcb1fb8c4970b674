"""CSV tables of text from outside: names of files and patients, and what errors say of them.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula and runs it, though it was the
name of a file. Such a cell gets a ``'`` in front (``guarded``), and loses it when mriad reads it (``unguarded``).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and their wide forms
_GUARD = "'"


def write_csv(table: pd.DataFrame, file: Path) -> None:
    """Write a table as CSV in UTF-8 without its index; cells of text are ``guarded``."""
    cells = {name: table[name].map(_cell) for name in table if not pd.api.types.is_numeric_dtype(table[name])}
    table.assign(**cells).rename(columns=_cell).to_csv(file, index=False)


def guarded(text: str) -> str:
    """A text as a cell: printable, and with ``'`` in front where a spreadsheet would take it for a formula."""
    text = printable(text)
    return _GUARD + text if _tempts(text) else text


def unguarded(cell: str) -> str:
    """The text that ``guarded`` made a cell of, but for bytes that are no UTF-8."""
    return cell[1:] if cell.startswith(_GUARD) and _tempts(cell[1:]) else cell


def printable(text: str) -> str:
    r"""A file's name as text that can be printed and written: a byte that is no UTF-8 becomes ``\xff``."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character, as Windows allows
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _tempts(text: str) -> bool:
    """Whether a spreadsheet takes a cell for a formula, or would do so without the guards that stand before it."""
    return text.lstrip(" " + _GUARD).startswith(_FORMULA)


def _cell(value: object) -> object:
    return guarded(value) if isinstance(value, str) else value
