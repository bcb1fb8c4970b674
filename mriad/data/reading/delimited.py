"""CSV as people have it: divided by commas, or by semicolons or tabs where a spreadsheet keeps commas for decimals."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

DIVIDERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, kw_only=True)
class Delimited:
    """The cells of a CSV file, without the spaces around them and without empty lines.

    Args:
        header: names of the columns.
        rows: number of the line and cells, row by row.
        divider: what stands between cells.
    """

    header: list[str]
    rows: list[tuple[int, list[str]]]
    divider: str


def read_delimited(file: Path, columns: Collection[str]) -> Delimited:
    """Read a CSV file in UTF-8, or in UTF-16 where it says so; its header tells what divides its cells.

    Args:
        file: the file; a first line such as ``sep=;``, which is meant for a spreadsheet, does not count.
        columns: names that the header may hold.

    Raises:
        OSError, UnicodeDecodeError, csv.Error: if it cannot be read.
    """
    raw = file.read_bytes()
    lines = io.StringIO(raw.decode("utf-16" if raw.startswith(_WIDE) else "utf-8-sig"), newline="")
    first, skipped = lines.readline(), 0
    if re.fullmatch(r"""['"]?sep=.['"]?\s*""", first, re.IGNORECASE):
        first, skipped = lines.readline(), 1

    def known(divider: str) -> int:
        return sum(name in columns for name in _cells(next(csv.reader([first], delimiter=divider), [])))

    divider = max(DIVIDERS, key=known)  # the first of them, a comma, where no column is known
    reader = csv.reader(lines, delimiter=divider, skipinitialspace=divider != "\t")
    header = _cells(next(csv.reader([first], delimiter=divider, skipinitialspace=True), []))
    rows = [(reader.line_num + skipped + 1, _cells(row)) for row in reader if any(map(str.strip, row))]
    return Delimited(header=header, rows=rows, divider=divider)


def _cells(row: list[str]) -> list[str]:
    return [cell.strip() for cell in row]
