"""The table of costs as data: ``docs/results/costs.csv``, written by ``python -m benchmarks --record``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results.table import FOLDER

COLUMNS = ("row", "work", "against", "target", "measured", "verdict", "how", "command", "commit", "date", "machine")


def read_costs(folder: Path = FOLDER) -> list[dict[str, str]]:
    """The lines, as texts by column."""
    file = folder / "costs.csv"
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def record_costs(found: Sequence[tuple[str, tuple[str, ...]]], whence: dict[str, str], folder: Path = FOLDER) -> Path:
    """Put what was measured in the place of the lines of the same rows; the others stay as they are.

    Args:
        found: name and cells of each line, as ``benchmarks.table.Row`` gives them.
        whence: command, commit, date and machine.
        folder: where costs.csv lies.
    """
    new = [dict(zip(COLUMNS, (name, *cells), strict=False)) | whence for name, cells in found]
    measured = {line["row"] for line in new}
    old = read_costs(folder)
    order = list(dict.fromkeys([*(line["row"] for line in old), *(line["row"] for line in new)]))
    lines = [line for line in old if line["row"] not in measured] + new
    with (folder / "costs.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(lines, key=lambda line: order.index(line["row"])))
    return folder / "costs.csv"
